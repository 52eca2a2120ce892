"""RateLab: train latent-variable models, measure what their latents carry, and steer it.

``ratelab.VAE`` is loaded on first use, so that ``import ratelab`` stays light.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ratelab.sklearn import VAE as VAE

__version__ = "0.1.0"

__all__ = ["VAE", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "VAE":
        from ratelab.sklearn import VAE

        return VAE
    raise AttributeError(f"module 'ratelab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
