"""The linear-Gaussian VAE, where rate, distortion and likelihood are known exactly.

x ~ N(mean, covariance), e(z|x) = N(W x + b, V), m(z) = N(0, I_k), d(x|z) = N(A z + c, sigma2 I_n). Its best achievable
rate-distortion curve is reverse water-filling (Cover and Thomas, Elements of Information Theory, section 10.3.3) with level
beta sigma2; at beta = 1 it is probabilistic PCA (Tipping and Bishop 1999).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ratelab.core.errors import UserError
from ratelab.exact import gaussians


class RateDistortion(NamedTuple):
    """A point, or points along equal leading axes, of the plane; nats."""

    rate: Tensor
    distortion: Tensor


def optimal_rate_distortion(eigenvalues: Tensor, sigma2: float | Tensor, k: int, beta: float | Tensor) -> RateDistortion:
    """The minimum of D + beta R over all linear encoders and decoders with ``k`` latents and fixed ``sigma2``.

    ``eigenvalues``: (n,) of the data covariance, in any order; ``beta``: a number or (...) tensor > 0, giving (...) results;
    the slope of the curve is -beta.
    R = sum_{i<=k} 1/2 log max(l_i / (beta sigma2), 1);
    D = n/2 log(2 pi sigma2) + [sum_{i<=k} min(l_i, beta sigma2) + sum_{i>k} l_i] / (2 sigma2).
    Raises :class:`~ratelab.core.errors.UserError` for values out of range.

    >>> R, D = optimal_rate_distortion(torch.tensor([3.0, 1.5, 0.4]), 0.3, k=3, beta=1.0)
    >>> round(R.item(), 6), round(D.item(), 6)
    (2.099853, 2.450856)
    """
    spectrum, noise = _spectrum(eigenvalues), _positive("sigma2", sigma2)
    level = (_positive("beta", beta) * noise).unsqueeze(-1)
    kept, discarded = spectrum[: _latents(k)], spectrum[k:].sum()
    rate = 0.5 * torch.log((kept / level).clamp_min(1)).sum(-1)
    residual = torch.minimum(kept, level).sum(-1) + discarded
    return RateDistortion(rate, _normaliser(len(spectrum), noise) + residual / (2 * noise))


def ppca_sigma2(eigenvalues: Tensor, k: int) -> Tensor:
    """The maximum-likelihood sigma2 of probabilistic PCA with ``k`` latents: the mean of the n - k smallest eigenvalues."""
    spectrum = _spectrum(eigenvalues)
    if _latents(k) >= len(spectrum):
        raise UserError(f"k: with {k} latents for {len(spectrum)} dimensions nothing is left over for sigma2; choose fewer")
    return spectrum[k:].mean()


@dataclass(frozen=True, eq=False)
class LinearGaussianVAE:
    """Any linear-Gaussian VAE on Gaussian data; its exact rate and distortion, differentiable in every parameter.

    ``mean``: (n,); ``covariance``: (n, n); ``encoder_weight`` W: (k, n); ``encoder_bias`` b: (k,); ``encoder_covariance`` V:
    its diagonal (k,) or in full (k, k); ``decoder_weight`` A: (n, k); ``decoder_bias`` c: (n,); ``sigma2``: a number.
    Parameters may have leading axes (many models at once), which must broadcast; results are then (...). All nats.
    Raises :class:`~ratelab.core.errors.UserError` when shapes do not fit.
    """

    mean: Tensor
    covariance: Tensor
    encoder_weight: Tensor
    encoder_bias: Tensor
    encoder_covariance: Tensor
    decoder_weight: Tensor
    decoder_bias: Tensor
    sigma2: Tensor

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            object.__setattr__(self, name, torch.as_tensor(getattr(self, name), dtype=torch.float64))
        n, k = self.mean.shape[-1], self.encoder_bias.shape[-1]
        if self.encoder_covariance.ndim == self.encoder_bias.ndim:
            object.__setattr__(self, "encoder_covariance", torch.diag_embed(self.encoder_covariance))
        shapes = {
            "covariance": (n, n), "encoder_weight": (k, n), "encoder_covariance": (k, k),
            "decoder_weight": (n, k), "decoder_bias": (n,),
        }  # fmt: skip
        for name, shape in shapes.items():
            given = tuple(getattr(self, name).shape)
            if given[-len(shape) :] != shape:
                raise UserError(f"{name}: expected shape {shape} for {n} dimensions and {k} latents, got {given}")

    @property
    def entropy(self) -> Tensor:
        """H, the differential entropy of the data."""
        return gaussians.entropy(self.covariance)

    @property
    def rate(self) -> Tensor:
        """R = E KL(e(z|x) || N(0, I)), (...)."""
        mean, covariance = self.aggregated_posterior
        moment = covariance.diagonal(dim1=-2, dim2=-1).sum(-1) + mean.square().sum(-1)
        return 0.5 * (moment - mean.shape[-1] - gaussians.log_determinant(self.encoder_covariance))

    @property
    def distortion(self) -> Tensor:
        """D = -E log d(x|z), with its normalising constant, (...)."""
        blind = torch.eye(self.mean.shape[-1], dtype=torch.float64) - self.decoder_weight @ self.encoder_weight
        offset = _apply(blind, self.mean) - _apply(self.decoder_weight, self.encoder_bias) - self.decoder_bias
        spread = blind @ self.covariance @ blind.mT + self._decoded_noise
        error = spread.diagonal(dim1=-2, dim2=-1).sum(-1) + offset.square().sum(-1)
        return _normaliser(self.mean.shape[-1], self.sigma2) + error / (2 * self.sigma2)

    @property
    def aggregated_posterior(self) -> tuple[Tensor, Tensor]:
        """Mean (..., k) and covariance (..., k, k) of p_e(z), which is Gaussian."""
        spread = self.encoder_weight @ self.covariance @ self.encoder_weight.mT
        return self.encode(self.mean), spread + self.encoder_covariance

    @property
    def encoder_information(self) -> Tensor:
        """I_e = 1/2 log |W S W' + V| / |V| with S the data covariance, (...)."""
        spread = self.aggregated_posterior[1]
        return 0.5 * (gaussians.log_determinant(spread) - gaussians.log_determinant(self.encoder_covariance))

    @property
    def marginal_gap(self) -> Tensor:
        """KL(p_e(z) || N(0, I)) = R - I_e, (...)."""
        mean, spread = self.aggregated_posterior
        standard = torch.eye(mean.shape[-1], dtype=torch.float64)
        return gaussians.kl_full(mean, spread, torch.zeros_like(mean), standard)

    @property
    def model_covariance(self) -> Tensor:
        """The covariance A A' + sigma2 I of the model's p_d(x), (..., n, n); its mean is c."""
        n = self.mean.shape[-1]
        return self.decoder_weight @ self.decoder_weight.mT + self.sigma2[..., None, None] * torch.eye(n, dtype=torch.float64)

    def encode(self, x: Tensor) -> Tensor:
        """The mean W x + b of e(z|x): (..., n) -> (..., k)."""
        return _apply(self.encoder_weight, x) + self.encoder_bias

    def rates(self, x: Tensor) -> Tensor:
        """KL(e(z|x) || N(0, I)) of single examples: (..., n) -> (...)."""
        trace = self.encoder_covariance.diagonal(dim1=-2, dim2=-1).sum(-1)
        log_volume = gaussians.log_determinant(self.encoder_covariance)
        return 0.5 * (trace + self.encode(x).square().sum(-1) - self.encoder_bias.shape[-1] - log_volume)

    def distortions(self, x: Tensor) -> Tensor:
        """-E_{e(z|x)} log d(x|z) of single examples: (..., n) -> (...)."""
        residual = x - _apply(self.decoder_weight, self.encode(x)) - self.decoder_bias
        error = residual.square().sum(-1) + self._decoded_noise.diagonal(dim1=-2, dim2=-1).sum(-1)
        return _normaliser(x.shape[-1], self.sigma2) + error / (2 * self.sigma2)

    def log_evidence(self, x: Tensor) -> Tensor:
        """log p_d(x) = log N(x; c, A A' + sigma2 I): (..., n) -> (...)."""
        return gaussians.log_density(x, self.decoder_bias, self.model_covariance)

    def model_posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (..., k) and covariance (k, k) of the model's true posterior p_d(z|x)."""
        k = self.encoder_bias.shape[-1]
        precision = (
            torch.eye(k, dtype=torch.float64) + self.decoder_weight.mT @ self.decoder_weight / self.sigma2[..., None, None]
        )
        covariance = torch.linalg.inv(precision)
        gain = covariance @ self.decoder_weight.mT / self.sigma2[..., None, None]
        return _apply(gain, x - self.decoder_bias), covariance

    @property
    def _decoded_noise(self) -> Tensor:
        return self.decoder_weight @ self.encoder_covariance @ self.decoder_weight.mT


def optimal_vae(mean: Tensor, covariance: Tensor, sigma2: float, k: int, beta: float) -> LinearGaussianVAE:
    """The encoder and decoder that attain :func:`optimal_rate_distortion` on N(mean, covariance).

    Latent i follows the i-th principal direction u with eigenvalue l: if l > beta sigma2 the encoder has variance
    v = beta sigma2 / l and weight sqrt((1 - v) / l) u, the decoder weight sqrt(l (1 - v)) u; otherwise v = 1 and both are 0.
    So p_e(z) = N(0, I) exactly, and R = I_e. Latents beyond the dimension of x stay unused.
    """
    center, spread = mean.to(torch.float64), covariance.to(torch.float64)
    ascending, vectors = torch.linalg.eigh(spread)
    spectrum, directions = _spectrum(ascending.clamp_min(0)), vectors.flip(-1)
    level, used = _positive("beta", beta) * _positive("sigma2", sigma2), min(_latents(k), len(spectrum))
    kept = spectrum[:used]
    variance = torch.where(kept > level, level / torch.maximum(kept, level), 1.0)
    gain = torch.sqrt(kept * (1 - variance))
    weight, encoder_variance = center.new_zeros(len(center), k), center.new_ones(k)
    weight[:, :used] = directions[:, :used] * gain
    encoder_variance[:used] = variance
    encoder = center.new_zeros(k, len(center))
    encoder[:used] = (weight[:, :used] / torch.maximum(kept, level)).mT
    return LinearGaussianVAE(
        mean=center, covariance=spread, encoder_weight=encoder, encoder_bias=-(encoder @ center),
        encoder_covariance=encoder_variance, decoder_weight=weight, decoder_bias=center, sigma2=_positive("sigma2", sigma2),
    )  # fmt: skip


def _spectrum(eigenvalues: Tensor) -> Tensor:
    spectrum = torch.as_tensor(eigenvalues, dtype=torch.float64)
    if spectrum.ndim != 1 or len(spectrum) == 0 or not bool((spectrum >= 0).all()):
        raise UserError("eigenvalues: expected a vector of numbers >= 0, the eigenvalues of a covariance matrix")
    return spectrum.sort(descending=True).values


def _positive(name: str, value: float | Tensor) -> Tensor:
    number = torch.as_tensor(value, dtype=torch.float64)
    if not bool((number > 0).all()):
        raise UserError(f"{name}: must be greater than 0, got {value}")
    return number


def _latents(k: int) -> int:
    if k < 0:
        raise UserError(f"k: the number of latents cannot be negative, got {k}")
    return k


def _normaliser(n: int, sigma2: Tensor) -> Tensor:
    return 0.5 * n * torch.log(2 * math.pi * sigma2)


def _apply(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)
