"""Evaluation: a trained model -> estimates, pictures, latents."""

from ratelab.evaluation.measure import Helper, check_estimators, evaluate
from ratelab.evaluation.pictures import draw_pictures

__all__ = ["Helper", "check_estimators", "draw_pictures", "evaluate"]
