"""A variational autoencoder that behaves like any scikit-learn transformer (Kingma and Welling 2019; Alemi et al. 2018)."""

import os
import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags, check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.core.target import off_target
from ratelab.estimators.rate_distortion import RateDistortion
from ratelab.evaluation import latents
from ratelab.sklearn import storage
from ratelab.sklearn.fitting import own_randomness, train
from ratelab.sklearn.inputs import Floats, choose_likelihood, is_binary, writable
from ratelab.sklearn.network import SUPPORTS, Blueprint, behind, build, moments
from ratelab.sklearn.record import RateDistortionRecord
from ratelab.sklearn.settings import checked, count, device

FLOATS = [np.float64, np.float32]


class VAE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A variational autoencoder with one or several layers of latents, for tables and for arrays of images.

    Minimises D + sum_l beta_l R_l: distortion D = -log d(x|z) and rate R = log e(z|x) - log m(z), in nats per example. The
    encoder is a diagonal Gaussian, the marginal of the (top) layer a standard normal.

    Parameters
    ----------
    latent_dim : int or tuple of int
        How many latents; a tuple makes a hierarchy, one size per layer, top layer first.
    beta : float or tuple of float
        The price of a nat of rate in nats of distortion; 1 maximises the ELBO. One number, or one per layer, top first.
    rate, rates, distortion : float, tuple of float, float, or None
        A target in nats instead of a price: the total rate, one rate per layer (top first), or the distortion in the units of
        X. A controller finds the price. At most one of them, and not with ``beta``. A target that is out of reach is a
        ``ConvergenceWarning`` that says where the training ended.
    hidden : tuple of int
        Widths of the hidden layers of the encoder and of the decoder.
    likelihood : "auto", "bernoulli" or "gaussian"
        What d(x|z) is. "auto": Bernoulli where every value of X is 0 or 1, otherwise Gaussian; ``likelihood_`` says which.
    sigma : "learned" or float
        The Gaussian's standard deviation. "learned": one number times each column's own spread (for N-D arrays: times the
        spread of all values). A float is in the units of X, the same for all columns.
    epochs, batch_size, learning_rate : int, int, float
        Passes over X at most, rows per step, and step size of Adam.
    patience : int or None
        Stop after this many epochs without a better D + sum beta R on held-out rows and keep the best epoch's weights. None,
        or fewer than 10 rows to hold out: all rows are trained on for all epochs.
    validation_fraction : float
        The share of the rows held out for ``patience``.
    encoder, decoder : torch.nn.Module or None
        Networks of your own in place of the hidden layers: (B, \\*event) -> (B, features), and (B, latents) -> (B, \\*event).
        They are copied, trained in float32 and used in float64; with a Gaussian likelihood they see standardised values. The
        layers of a hierarchy share one encoder network.
    device : "auto", "cpu" or "cuda"
        Where to compute. A fitted estimator's weights always rest in main memory, so it can be pickled anywhere.
    random_state : int, RandomState instance or None
        Weights, order, noise and samples. The global generators of NumPy and PyTorch are left as they are.
    verbose : int
        1 prints the likelihood chosen and one line per epoch.

    Attributes
    ----------
    likelihood_ : "bernoulli" or "gaussian".
    event_shape_ : the shape of one example.
    n_iter_ : epochs run.
    model_ : the trained model, in float64, in the units of X.
    n_features_in_, feature_names_in_ : as in scikit-learn.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().data
    >>> vae = VAE(latent_dim=4, hidden=(32,), epochs=5, random_state=0).fit(X)
    >>> vae.transform(X).shape
    (1797, 4)
    >>> vae.inverse_transform(vae.transform(X)).shape, vae.sample(3).shape
    ((1797, 64), (3, 64))
    >>> measured = vae.rate_distortion(X)
    >>> measured.rate > 0, abs(measured.neg_elbo + vae.score(X)) < 1e-9
    (True, True)
    """

    def __init__(
        self,
        latent_dim: int | tuple[int, ...] = 16,
        *,
        beta: float | tuple[float, ...] = 1.0,
        rate: float | None = None,
        rates: tuple[float, ...] | None = None,
        distortion: float | None = None,
        hidden: tuple[int, ...] = (256, 256),
        likelihood: Literal["auto", "bernoulli", "gaussian"] = "auto",
        sigma: float | Literal["learned"] = "learned",
        epochs: int = 200,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        patience: int | None = 20,
        validation_fraction: float = 0.1,
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
        device: Literal["auto", "cpu", "cuda"] = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.latent_dim = latent_dim
        self.beta = beta
        self.rate = rate
        self.rates = rates
        self.distortion = distortion
        self.hidden = hidden
        self.likelihood = likelihood
        self.sigma = sigma
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.encoder = encoder
        self.decoder = decoder
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on X (N, \\*event), real numbers; ``y`` is ignored.

        Warns with ``ConvergenceWarning`` when the training diverges (the best weights so far are kept). Raises
        :class:`~ratelab.core.errors.UserError`, a ``ValueError``, for a wrong parameter or X that the likelihood cannot score.
        """
        settings = checked(self.get_params(deep=False))
        x = validate_data(self, X, dtype=FLOATS, allow_nd=True)
        seed = self._draw_seed()
        likelihood = choose_likelihood(settings.likelihood, x)
        self._say(f"likelihood: {likelihood}{' (chosen from the data)' if settings.likelihood == 'auto' else ''}")
        gaussian = likelihood == "gaussian"
        # The columns of a table have units of their own, the values of an image have not; a stated sigma is the same for all.
        own_scales = x.ndim == 2 and settings.sigma == "learned"
        shift, scale = moments(x, own_scales) if gaussian else (np.zeros(()), np.ones(()))
        values = ((x - shift) / scale).astype(np.float32) if gaussian else x.astype(np.uint8)
        blueprint = Blueprint(
            event_shape=tuple(x.shape[1:]),
            layered=settings.layered,
            latent_dim=settings.latent_dim,
            hidden=settings.hidden,
            likelihood=likelihood,
            sigma="learned" if settings.sigma == "learned" else settings.sigma / float(scale.flat[0]),
            own_encoder=settings.encoder is not None,
            own_decoder=settings.decoder is not None,
        )
        with own_randomness(seed, settings.device):
            model = build(blueprint, settings.encoder, settings.decoder)
            log_jacobian = float(np.log(scale).sum()) if gaussian else 0.0
            fit = train(model, values, SUPPORTS[likelihood], settings, seed, self._report, log_jacobian)
        if fit.diverged:
            warnings.warn(
                f"VAE: the training diverged in epoch {fit.epochs}; the weights of epoch {fit.kept} are kept. "
                f"Lower learning_rate (now {settings.learning_rate:g})",
                ConvergenceWarning,
                stacklevel=2,
            )
        if fit.missed:
            warnings.warn(f"VAE: {fit.missed}; train longer or ask for less", ConvergenceWarning, stacklevel=2)
        if gaussian:
            behind(model, shift, scale)
        self.model_ = model.cpu().double().eval()
        self.likelihood_, self.event_shape_, self.n_iter_ = likelihood, blueprint.event_shape, fit.epochs
        self._blueprint, self._seed = blueprint, seed
        return self

    def transform(self, X: Any) -> Floats:
        """The modes of the latents of X (N, \\*event): (N, latents), layers side by side, top layer first."""
        x = self._examples(X)
        with self._placed() as model:
            layers = latents.encode(model, x)
        return np.concatenate(layers, axis=1).astype(x.dtype, copy=False)

    def inverse_transform(self, Z: Any) -> Floats:
        """The decoder's mean for latents (N, latents) as :meth:`transform` gives them: (N, \\*event), in the units of X."""
        check_is_fitted(self)
        z = writable(check_array(Z, dtype=FLOATS, input_name="Z"))
        sizes = self._blueprint.latent_dim
        if z.shape[1] != sum(sizes):
            raise UserError(f"Z has {z.shape[1]} columns, but this VAE has {sum(sizes)} latents; pass what transform returns")
        with self._placed() as model:
            x = latents.decode(model, np.split(z, np.cumsum(sizes)[:-1], axis=1))
        return x.astype(z.dtype, copy=False)

    def sample(self, n: int = 1) -> Floats:
        """``n`` draws from the model, z ~ m(z), x ~ d(x|z): (n, \\*event), in the units of X.

        An int as ``random_state`` gives the same draws at every call.
        """
        check_is_fitted(self)
        with self._placed() as model:
            return latents.sample(model, count("n", n), self._draw_seed())["sample"]

    def rate_distortion(self, X: Any, *, samples: int = 1) -> RateDistortionRecord:
        """Rates, distortion and negative ELBO of X (N, \\*event) in nats per example, with standard errors over examples.

        ``samples``: draws of z per example. Repeated calls use the same draws. The distortion is -log d(x|z) in the units of
        X: its density for a Gaussian, so it may be negative. :class:`~ratelab.core.errors.UserError` where a Bernoulli
        model is asked about values other than 0 and 1.
        """
        x = self._examples(X)
        if self.likelihood_ == "bernoulli" and not is_binary(x):
            raise UserError("X has values other than 0 and 1, which this VAE's Bernoulli likelihood cannot score")
        estimator = RateDistortion(samples=count("samples", samples))
        with self._placed() as model, torch.no_grad():
            noise = latents.live(model, self._seed, "score")
            for batch in latents.batches(model, x):
                estimator.observe(model, batch, noise)
        return RateDistortionRecord.of(estimator.result())

    def score(self, X: Any, y: Any = None) -> float:
        """The mean ELBO of X in nats per example, a lower bound on log p(x); higher is better. ``y`` is ignored."""
        return -self.rate_distortion(X).neg_elbo

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to one safetensors file (nothing is pickled), replacing it in one step.

        Modules of your own are stored as weights, not as code, and a RandomState instance not at all.
        """
        check_is_fitted(self)
        params = {name: value for name, value in self.get_params(deep=False).items() if name not in ("encoder", "decoder")}
        if isinstance(self.random_state, np.random.RandomState):
            params["random_state"] = None
        names = getattr(self, "feature_names_in_", None)
        facts = storage.Facts(self.n_features_in_, None if names is None else tuple(names), self.n_iter_, self._seed)
        storage.write(Path(path), params, facts, self._blueprint, self.model_)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, encoder: nn.Module | None = None, decoder: nn.Module | None = None) -> Self:
        """The estimator that :meth:`save` wrote; ``encoder`` and ``decoder`` are needed where it was fitted with them.

        Raises :class:`~ratelab.core.errors.UserError` for a missing, corrupt, newer or foreign file.
        """
        stored = storage.read(Path(path), encoder, decoder)
        unknown = sorted(stored.params.keys() - set(cls._get_param_names()))
        if unknown:
            raise UserError(f"{path} has parameters unknown here ({', '.join(unknown)}); upgrade ratelab to read it")
        vae = cls(**stored.params, encoder=encoder, decoder=decoder)
        facts = stored.facts
        if facts.feature_names_in is not None:
            vae.feature_names_in_ = np.asarray(facts.feature_names_in, dtype=object)
        vae.n_features_in_, vae.n_iter_, vae._seed = facts.n_features_in, facts.n_iter, facts.seed
        vae.model_, vae._blueprint = stored.model, stored.blueprint
        vae.likelihood_, vae.event_shape_ = stored.blueprint.likelihood, stored.blueprint.event_shape
        return vae

    @property
    def _n_features_out(self) -> int:
        return sum(self._blueprint.latent_dim)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.three_d_array = True
        return tags

    def _draw_seed(self) -> int:
        """A seed from ``random_state``; None asks the system, where scikit-learn would advance NumPy's global generator."""
        if self.random_state is None:
            return secrets.randbelow(2**31)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _examples(self, X: Any) -> Floats:
        """X as an array that torch can take, of the shape fitted."""
        check_is_fitted(self)
        x: Floats = writable(validate_data(self, X, dtype=FLOATS, allow_nd=True, reset=False))
        if x.shape[1:] != self.event_shape_:
            raise UserError(f"X has examples of shape {x.shape[1:]}, but this VAE was fitted on {self.event_shape_}")
        return x

    @contextmanager
    def _placed(self) -> Iterator[Model]:
        """The model on the device to compute on, and back in main memory afterwards."""
        try:
            yield self.model_.to(device(self.device))
        finally:
            self.model_.cpu()

    def _say(self, line: str) -> None:
        if self.verbose:
            print(f"[VAE] {line}", flush=True)

    def _report(self, row: dict[str, Any]) -> None:
        held_out = f", held out {row['validation/neg_elbo']:.4g}" if "validation/neg_elbo" in row else ""
        self._say(
            f"epoch {row['epoch']}/{self.epochs}: rate {row['train/rate']:.4g}, distortion {row['train/distortion']:.4g}, "
            f"-ELBO {row['train/neg_elbo']:.4g}{held_out} nats{off_target(row)}"
        )
