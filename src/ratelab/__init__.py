"""RateLab: train latent-variable models, measure what their latents carry, and steer it.

``ratelab.VAE`` and ``ratelab.measure`` are loaded on first use, so that ``import ratelab`` stays light.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ratelab.evaluation.foreign import measure as measure
    from ratelab.sklearn import VAE as VAE

__version__ = "0.1.0"

__all__ = ["VAE", "__version__", "measure"]


def __getattr__(name: str) -> Any:
    if name == "VAE":
        from ratelab.sklearn import VAE

        return VAE
    if name == "measure":
        from ratelab.evaluation.foreign import measure

        return measure
    raise AttributeError(f"module 'ratelab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
