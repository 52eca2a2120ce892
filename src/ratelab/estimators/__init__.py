"""Estimators: what is measured about a trained model, each declaring what it bounds."""

from ratelab.core.table import Table
from ratelab.estimators.iwae import ImportanceWeighted
from ratelab.estimators.psnr import Psnr
from ratelab.estimators.rate_distortion import RateDistortion

ESTIMATORS = Table("estimator", {"rate-distortion": RateDistortion, "iwae": ImportanceWeighted, "psnr": Psnr})
