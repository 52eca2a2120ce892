"""What to cite: the framework always, other papers where a run's model or objective comes from them."""

from collections.abc import Iterable, Mapping
from typing import Any

from ratelab.analysis.family import flat, node
from ratelab.core import reference
from ratelab.core.reference import Paper

# A paper is used by a run if the name of its model, of a part of it, or of its objective starts with one of these words.
_USED_BY: tuple[tuple[Paper, tuple[str, ...]], ...] = (
    (reference.KINGMA14, ("vae", "elbo")),
    (reference.HIGGINS17, ("beta",)),
    (reference.BURDA16, ("iwae", "dreg")),
    (reference.X23, ("hierarchy", "xiao2023", "bottom-up")),
    (reference.BAE23, ("conditioned on beta",)),
    (reference.R18, ("avb", "aae", "veegan", "vgh", "gan", "wgan", "dcgan")),
    (reference.C19, ("vim", "alpha-vae", "infomax")),
    (reference.SHAO20, ("controlled-",)),
    (reference.REZENDE18, ("geco",)),
    (reference.BURGESS18, ("capacity",)),
    (reference.KINGMA16, ("free-bits", "iaf")),
    (reference.ROEDER17, ("sticking-the-landing",)),
    (reference.TUCKER19, ("doubly-reparameterised",)),
    (reference.LI16, ("renyi",)),
    (reference.ZHAO17, ("infovae",)),
    (reference.TOLSTIKHIN18, ("vim", "wae")),
    (reference.CHEN18, ("beta-tc",)),
    (reference.VINCENT08, ("denoising",)),
    (reference.WILLIAMS92, ("score-function",)),
    (reference.MNIH14, ("nvil",)),
    (reference.MNIH16, ("vimco",)),
    (reference.GU16, ("muprop",)),
    (reference.KINGMA15, ("weight-posterior",)),
    (reference.BLUNDELL15, ("weight-posterior",)),
    (reference.NEAL11, ("mcmc-em",)),
    (reference.ALEMI17, ("bottleneck",)),
)


def papers(recipes: Iterable[Mapping[str, Any]]) -> list[Paper]:
    """The papers that these runs use, the rate-distortion framework first.

    >>> [p.key for p in papers([{"model": {"name": "hierarchy"}, "objective": "elbo"}])]
    ['alemi2018fixing', 'kingma2014auto', 'xiao2023trading']
    """
    words = {word for recipe in recipes for word in _words(recipe)}
    used = [paper for paper, starts in _USED_BY if any(word.startswith(starts) for word in words)]
    return [reference.A18, *used]


def _words(recipe: Mapping[str, Any]) -> set[str]:
    leaves = flat({"model": node(recipe["model"]), "objective": node(recipe["objective"])})
    conditioned = {
        f"conditioned on {v}" for key, v in leaves.items() if key in ("model.conditioning", "model.conditioning.name")
    }
    return {value.lower() for key, value in leaves.items() if isinstance(value, str) and key.count(".") <= 2} | conditioned
