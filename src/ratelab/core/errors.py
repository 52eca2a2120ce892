"""The one exception a user's mistake raises.

Every room raises :class:`UserError` with a message of one line that says what is wrong, where, and what to do.
The command line prints that line and exits with code 2; a traceback therefore always means a bug of ours.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """Something in the user's input is wrong; the message is one line and says what to do."""


def nearest(word: str, known: Iterable[str]) -> str:
    """``" (did you mean 'beta'?)"`` for the known word nearest to ``word``, else the list of all of them.

    >>> nearest("betta", ["beta", "rate"])
    "; did you mean 'beta'?"
    >>> nearest("qqq", ["beta", "rate"])
    '; known: beta, rate'
    """
    names = sorted(known)
    close = get_close_matches(word, names, n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(names)}"
