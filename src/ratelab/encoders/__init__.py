"""Encoders e(z|x): modules that return a law over the latents. One idea per file."""

from ratelab.core.table import Table
from ratelab.encoders.categorical import CategoricalEncoder
from ratelab.encoders.deterministic import DeterministicEncoder
from ratelab.encoders.flow import FlowEncoder
from ratelab.encoders.full_gaussian import FullGaussianEncoder
from ratelab.encoders.gaussian import GaussianEncoder
from ratelab.encoders.implicit import ImplicitEncoder

ENCODERS = Table(
    "encoder",
    {
        "gaussian": GaussianEncoder,
        "full-gaussian": FullGaussianEncoder,
        "flow": FlowEncoder,
        "categorical": CategoricalEncoder,
        "implicit": ImplicitEncoder,
        "deterministic": DeterministicEncoder,
    },
)
