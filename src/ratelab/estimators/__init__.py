"""Estimators: what is measured about a trained model, each declaring what it bounds."""

from ratelab.core.table import Table
from ratelab.estimators.active_units import ActiveUnits
from ratelab.estimators.annealed import AnnealedLikelihood
from ratelab.estimators.annealed_curve import AnnealedCurve
from ratelab.estimators.bidirectional import Bidirectional
from ratelab.estimators.classified import Accuracy
from ratelab.estimators.density_models import LstmKL, MafKL, MixtureKL
from ratelab.estimators.density_ratio import DensityRatioKL
from ratelab.estimators.downstream import Downstream
from ratelab.estimators.generative_bounds import GenerativeBounds
from ratelab.estimators.generative_information import GenerativeInformation
from ratelab.estimators.inception_distance import InceptionDistance
from ratelab.estimators.iwae import ImportanceWeighted
from ratelab.estimators.joint_label_information import JointLabelInformation
from ratelab.estimators.joint_marginal_kl import JointMarginalKL
from ratelab.estimators.judged import FrechetDistance, InceptionScore, Recognised
from ratelab.estimators.known_divergence import KnownDivergence
from ratelab.estimators.label_information import LabelInformation
from ratelab.estimators.marginal_kl import MarginalKL
from ratelab.estimators.neighbour_information import NeighbourInformation
from ratelab.estimators.parzen import ParzenWindow
from ratelab.estimators.posterior_variance import PosteriorVariance
from ratelab.estimators.psnr import Psnr
from ratelab.estimators.rate_distortion import RateDistortion
from ratelab.estimators.wasserstein import WassersteinCritic

ESTIMATORS = Table(
    "estimator",
    {
        "rate-distortion": RateDistortion,
        "iwae": ImportanceWeighted,
        "ais": AnnealedLikelihood,
        "bidirectional": Bidirectional,
        "annealed-curve": AnnealedCurve,
        "parzen": ParzenWindow,
        "marginal-kl": MarginalKL,
        "marginal-kl-ratio": DensityRatioKL,
        "marginal-kl-gmm": MixtureKL,
        "marginal-kl-maf": MafKL,
        "marginal-kl-lstm": LstmKL,
        "joint-marginal-kl": JointMarginalKL,
        "active-units": ActiveUnits,
        "posterior-variance": PosteriorVariance,
        "generative-information": GenerativeInformation,
        "generative-bounds": GenerativeBounds,
        "wasserstein": WassersteinCritic,
        "synthetic-kl": KnownDivergence,
        "psnr": Psnr,
        "label-information": LabelInformation,
        "joint-label-information": JointLabelInformation,
        "neighbour-information": NeighbourInformation,
        "downstream": Downstream,
        "accuracy": Accuracy,
        "inception-score": InceptionScore,
        "fid": FrechetDistance,
        "fid-inception": InceptionDistance,
        "reconstruction-accuracy": Recognised,
    },
)
