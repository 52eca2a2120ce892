"""Marginals m(z): modules that return a law over one layer's latents."""

from ratelab.core.table import Table
from ratelab.marginals.categorical import CategoricalMarginal
from ratelab.marginals.conditional import ConditionalGaussian
from ratelab.marginals.diagonal import DiagonalMarginal
from ratelab.marginals.flow import FlowMarginal, MafMarginal, RealNvpMarginal
from ratelab.marginals.logistic import LogisticMarginal
from ratelab.marginals.lstm import LstmMarginal
from ratelab.marginals.mixture import MixtureMarginal
from ratelab.marginals.normal import NormalMarginal
from ratelab.marginals.vamp import VampPrior

MARGINALS = Table(
    "marginal",
    {
        "normal": NormalMarginal,
        "diagonal": DiagonalMarginal,
        "logistic": LogisticMarginal,
        "mixture": MixtureMarginal,
        "maf": MafMarginal,
        "real-nvp": RealNvpMarginal,
        "flow": FlowMarginal,
        "lstm": LstmMarginal,
        "vamp": VampPrior,
        "categorical": CategoricalMarginal,
    },
)
CONDITIONALS = Table("conditional marginal", {"gaussian": ConditionalGaussian})
