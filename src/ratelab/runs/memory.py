"""Memory that a step has freed stays with the process, where the next step finds it.

Left alone, the C library gives a freed tensor of some megabytes back to the system, which maps and clears its pages anew for the next
tensor of that size. In a stack of networks that takes up to a fifth of a step, and less in estimators of many draws.
"""

import ctypes

KEPT = 1 << 30  # bytes: larger blocks, and more than this at the end of the heap, do go back
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names in glibc's malloc.h


def keep_freed_memory() -> None:
    """Ask the C library for it; nothing happens where it is not glibc."""
    try:
        adjust = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    adjust(_MMAP_THRESHOLD, KEPT)
    adjust(_TRIM_THRESHOLD, KEPT)
