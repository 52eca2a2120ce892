"""Training: one loop over players, its optimisers, its data loader and its checkpoints; many trainings as one."""

from ratelab.training.layout import convolves
from ratelab.training.loader import Loader
from ratelab.training.loop import Trainer, load_weights
from ratelab.training.optimisers import OPTIMISERS
from ratelab.training.plan import EarlyStopping, Plan
from ratelab.training.precision import Precision
from ratelab.training.stack import FullState, StackTrainer, Unstackable, pack, unpack
from ratelab.training.stackable import likeness, refusal

__all__ = [
    "OPTIMISERS",
    "EarlyStopping",
    "FullState",
    "Loader",
    "Plan",
    "Precision",
    "StackTrainer",
    "Trainer",
    "Unstackable",
    "convolves",
    "likeness",
    "load_weights",
    "pack",
    "refusal",
    "unpack",
]
