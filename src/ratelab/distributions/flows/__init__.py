"""Flows: invertible maps with known log-determinants, for encoders and marginals alike."""

from ratelab.core.table import Table
from ratelab.distributions.flows.autoregressive import Affine, Gated, MeanOnly
from ratelab.distributions.flows.coupling import Nice, RealNvp, Spline
from ratelab.distributions.flows.householder import Householder
from ratelab.distributions.flows.planar import Planar
from ratelab.distributions.flows.radial import Radial
from ratelab.distributions.flows.sigmoidal import Sigmoidal
from ratelab.distributions.flows.sylvester import Sylvester

FLOWS = Table(
    "flow",
    {
        "planar": Planar,
        "radial": Radial,
        "householder": Householder,
        "sylvester": Sylvester,
        "iaf-mean": MeanOnly,
        "iaf": Gated,
        "iaf-affine": Affine,
        "naf": Sigmoidal,
        "nice": Nice,
        "real-nvp": RealNvp,
        "spline": Spline,
    },
)
