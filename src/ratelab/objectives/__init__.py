"""Objectives: what is minimised, and by which players. One idea per file."""

from ratelab.core.table import Table
from ratelab.objectives.adversarial_autoencoder import AdversarialAutoencoder
from ratelab.objectives.beta import Beta
from ratelab.objectives.beta_tc import BetaTC
from ratelab.objectives.capacity import Capacity
from ratelab.objectives.controlled import ControlledDistortion, ControlledRate
from ratelab.objectives.denoising import Denoising
from ratelab.objectives.discrimination import Discrimination
from ratelab.objectives.doubly import DoublyReparameterised
from ratelab.objectives.elbo import Elbo
from ratelab.objectives.free_bits import FreeBits
from ratelab.objectives.geco import Geco
from ratelab.objectives.infovae import InfoVae, Vim
from ratelab.objectives.iwae import Iwae
from ratelab.objectives.maximum_a_posteriori import MaximumAPosteriori
from ratelab.objectives.mcmc_em import MonteCarloEm
from ratelab.objectives.muprop import MuProp
from ratelab.objectives.nvil import Nvil
from ratelab.objectives.overfitting import OverfittingTarget
from ratelab.objectives.renyi import Renyi
from ratelab.objectives.score_function import ScoreFunction
from ratelab.objectives.sticking import StickingTheLanding
from ratelab.objectives.target import TargetDistortion, TargetRate
from ratelab.objectives.vimco import Vimco
from ratelab.objectives.wasserstein import Wasserstein
from ratelab.objectives.weight_posterior import WeightPosterior

OBJECTIVES = Table(
    "objective",
    {
        "beta": Beta,
        "elbo": Elbo,
        "iwae": Iwae,
        "target-rate": TargetRate,
        "target-distortion": TargetDistortion,
        "controlled-rate": ControlledRate,
        "controlled-distortion": ControlledDistortion,
        "geco": Geco,
        "capacity": Capacity,
        "free-bits": FreeBits,
        "overfitting-target": OverfittingTarget,
        "sticking-the-landing": StickingTheLanding,
        "doubly-reparameterised": DoublyReparameterised,
        "renyi": Renyi,
        "infovae": InfoVae,
        "vim": Vim,
        "adversarial-autoencoder": AdversarialAutoencoder,
        "beta-tc": BetaTC,
        "map": MaximumAPosteriori,
        "weight-posterior": WeightPosterior,
        "mcmc-em": MonteCarloEm,
        "denoising": Denoising,
        "score-function": ScoreFunction,
        "nvil": Nvil,
        "vimco": Vimco,
        "muprop": MuProp,
        "discrimination": Discrimination,
        "wasserstein": Wasserstein,
    },
)
