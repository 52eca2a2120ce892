"""Evaluation: a trained model -> estimates, pictures, latents."""

from ratelab.evaluation.measure import check_estimators, evaluate
from ratelab.evaluation.pictures import draw_pictures

__all__ = ["check_estimators", "draw_pictures", "evaluate"]
