"""The scikit-learn estimator: a variational autoencoder for an array of data, with rates and distortion in nats."""

from ratelab.sklearn.estimator import VAE
from ratelab.sklearn.record import RateDistortionRecord

__all__ = ["VAE", "RateDistortionRecord"]
