"""Models: the wiring of encoders, decoders and marginals into passes."""

from ratelab.core.table import Table
from ratelab.models.auxiliary import Auxiliary
from ratelab.models.bottleneck import Bottleneck
from ratelab.models.bottom_up import BottomUp
from ratelab.models.classifier import Classifier
from ratelab.models.convolutional import Convolutional
from ratelab.models.critics import CodeCritic, SampleCritic
from ratelab.models.densities import CodeDensity, Density
from ratelab.models.gaussian_critic import GaussianCritic
from ratelab.models.gaussian_mixture import GaussianMixture
from ratelab.models.hamiltonian import Hamiltonian
from ratelab.models.hierarchy import Hierarchy
from ratelab.models.invertible import Invertible
from ratelab.models.local import LocalPosteriors
from ratelab.models.tables import TableModel
from ratelab.models.toy import ToyModel
from ratelab.models.vae import Vae
from ratelab.models.xiao2023 import Xiao2023

MODELS = Table(
    "model",
    {
        "vae": Vae,
        "hierarchy": Hierarchy,
        "xiao2023": Xiao2023,
        "convolutional": Convolutional,
        "bottom-up": BottomUp,
        "classifier": Classifier,
        "auxiliary": Auxiliary,
        "hamiltonian": Hamiltonian,
        "bottleneck": Bottleneck,
        "local": LocalPosteriors,
        "gaussian-mixture": GaussianMixture,
        "invertible": Invertible,
        "tables": TableModel,
        "toy": ToyModel,
        "density": Density,
        "code-density": CodeDensity,
        "code-critic": CodeCritic,
        "sample-critic": SampleCritic,
        "gaussian-critic": GaussianCritic,
    },
)
