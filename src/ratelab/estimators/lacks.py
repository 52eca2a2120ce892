"""What a model may lack that an estimator needs, found before anything is measured, each in one line."""

from ratelab.core.codes import Codes, represented
from ratelab.core.errors import UserError
from ratelab.core.passes import Pass
from ratelab.distributions.one_hot import is_discrete


def check_likelihood(seen: Pass, name: str) -> None:
    """:class:`UserError` where nothing scores the data."""
    if seen.decoder is None:
        raise UserError(f"estimator '{name}' needs a likelihood d(x|z), and this model has none; leave it out")


def check_sampled(seen: Pass, name: str) -> None:
    """:class:`UserError` where every latent is visited and nothing is left to sample."""
    if seen.weights is not None:
        raise UserError(f"estimator '{name}': this model enumerates its latents, its rate and neg_elbo are exact; leave it out")


def check_density(seen: Pass, name: str) -> None:
    """:class:`UserError` where the encoder cannot be scored: it is deterministic or implicit, or there is none."""
    if not seen.layers or not all(bool(layer.log_encoder.isfinite().all()) for layer in seen.layers):
        raise UserError(f"estimator '{name}' needs the density of the encoder, and this model has none; leave it out")


def check_continuous(seen: Pass, name: str) -> None:
    """:class:`UserError` where there are no latents that the gradient of log d(x|z) m(z) can move."""
    check_likelihood(seen, name)
    check_sampled(seen, name)
    if not represented(seen):
        raise UserError(f"estimator '{name}' moves latents, and this model has none; leave it out")
    if any(is_discrete(layer.marginal) for layer in represented(seen)):
        raise UserError(f"estimator '{name}' moves latents continuously, and these are discrete; use 'iwae'")


def check_one_layer(seen: Pass, name: str) -> None:
    """:class:`UserError` for several layers of latents, whose marginals hang together."""
    if len(represented(seen)) != 1:
        raise UserError(f"estimator '{name}' is of one layer of latents, and this model has several; leave it out")


def check_codes(seen: Pass, which: Codes, name: str) -> None:
    """:class:`UserError` where the law q(z) of these codes cannot be learnt from draws of it."""
    line = which.lack(seen)
    if line:
        raise UserError(f"estimator '{name}': {line}; leave it out")
