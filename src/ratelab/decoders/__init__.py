"""Decoders d(x|z): modules that return a law over the data. One likelihood per file."""

from ratelab.core.table import Table
from ratelab.decoders.bernoulli import BernoulliDecoder
from ratelab.decoders.categorical import CategoricalDecoder
from ratelab.decoders.discretised_logistic import DiscretisedLogisticDecoder
from ratelab.decoders.gated_pixelcnn import GatedPixelCnnDecoder
from ratelab.decoders.gaussian import GaussianDecoder
from ratelab.decoders.logistic_mixture import LogisticMixtureDecoder
from ratelab.decoders.pixelcnnpp import PixelCnnPlusPlusDecoder
from ratelab.decoders.quantised_normal import QuantisedNormalDecoder

DECODERS = Table(
    "decoder",
    {
        "bernoulli": BernoulliDecoder,
        "gaussian": GaussianDecoder,
        "categorical": CategoricalDecoder,
        "quantised-normal": QuantisedNormalDecoder,
        "discretised-logistic": DiscretisedLogisticDecoder,
        "logistic-mixture": LogisticMixtureDecoder,
        "pixelcnn++": PixelCnnPlusPlusDecoder,
        "gated-pixelcnn": GatedPixelCnnDecoder,
    },
)
