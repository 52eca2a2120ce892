"""Evaluation: a trained model -> estimates, pictures, latents."""

from ratelab.evaluation.measure import evaluate
from ratelab.evaluation.pictures import draw_pictures

__all__ = ["draw_pictures", "evaluate"]
