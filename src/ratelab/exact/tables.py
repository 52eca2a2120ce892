"""Every functional of the rate-distortion plane on finite alphabets, by summation.

Alemi et al. 2018, "Fixing a Broken ELBO": the four distributions (section 2, eq. 1-5), the generative bounds E and G
(App. C and D), the pair U and S (App. C.1). ELBO surgery: Hoffman and Johnson 2016; Rosca et al. 2018, eq. 5.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ratelab.core.errors import UserError
from ratelab.exact.discrete import entropy, kl, mutual_information, probabilities, weighted_log


@dataclass(frozen=True, eq=False)
class FiniteTables:
    """p\\*(x), e(z|x), d(x|z) and m(z) as tables, and what follows from them.

    ``data``: (..., X); ``encoder``: (..., X, Z), row x is e(.|x); ``decoder``: (..., Z, X), row z is d(.|z);
    ``marginal``: (..., Z). Leading axes hold many models at once and broadcast. Kept as float64; results are in nats, (...) per
    model unless said otherwise, and differentiable. A support that is missing gives ``inf``, never an error.
    Raises :class:`~ratelab.core.errors.UserError` when shapes do not fit or a table is not normalised.

    >>> half = torch.full((2,), 0.5)
    >>> lossless = FiniteTables(half, torch.eye(2), torch.eye(2), half)
    >>> round(lossless.rate.item(), 6), lossless.distortion.item() == 0
    (0.693147, True)
    """

    data: Tensor
    encoder: Tensor
    decoder: Tensor
    marginal: Tensor

    def __post_init__(self) -> None:
        for name in ("data", "encoder", "decoder", "marginal"):
            object.__setattr__(self, name, probabilities(name, getattr(self, name)))
        x, z = self.data.shape[-1], self.marginal.shape[-1]
        if self.encoder.shape[-2:] != (x, z):
            raise UserError(f"encoder: expected (..., X, Z) = (..., {x}, {z}), got {tuple(self.encoder.shape)}")
        if self.decoder.shape[-2:] != (z, x):
            raise UserError(f"decoder: expected (..., Z, X) = (..., {z}, {x}), got {tuple(self.decoder.shape)}")

    # The two joints and what they imply.

    @property
    def encoder_joint(self) -> Tensor:
        """p_e(x, z) = p\\*(x) e(z|x), (..., X, Z)."""
        return self.data.unsqueeze(-1) * self.encoder

    @property
    def model_joint(self) -> Tensor:
        """p_d(x, z) = m(z) d(x|z), (..., X, Z)."""
        return (self.marginal.unsqueeze(-1) * self.decoder).mT

    @property
    def aggregated_posterior(self) -> Tensor:
        """p_e(z), (..., Z): also the optimal marginal for this encoder."""
        return self.encoder_joint.sum(-2)

    @property
    def encoder_posterior(self) -> Tensor:
        """p_e(x|z), (..., Z, X): also the optimal decoder. For a code that is never used it is p\\*(x), by choice."""
        return _conditional(self.encoder_joint.mT, self.data)

    @property
    def model_marginal(self) -> Tensor:
        """p_d(x), (..., X): the model's law of the data."""
        return self.model_joint.sum(-1)

    @property
    def model_posterior(self) -> Tensor:
        """p_d(z|x), (..., X, Z): also the encoder with the best ELBO. Where p_d(x) = 0 it is m(z), by choice."""
        return _conditional(self.model_joint, self.marginal)

    # Per example, (..., X).

    @property
    def distortions(self) -> Tensor:
        """-E_{e(z|x)} log d(x|z) for each x, (..., X)."""
        return -weighted_log(self.encoder, self.decoder.mT).sum(-1)

    @property
    def rates(self) -> Tensor:
        """KL(e(z|x) || m(z)) for each x, (..., X)."""
        return kl(self.encoder, self.marginal.unsqueeze(-2))

    @property
    def elbos(self) -> Tensor:
        """E_{e(z|x)}[log p_d(x, z) - log e(z|x)] for each x, (..., X) (Kingma and Welling 2019, eq. 2.10)."""
        return (weighted_log(self.encoder, self.model_joint) - weighted_log(self.encoder, self.encoder)).sum(-1)

    @property
    def log_evidence(self) -> Tensor:
        """log p_d(x) for each x, (..., X)."""
        return torch.log(self.model_marginal)

    @property
    def posterior_gaps(self) -> Tensor:
        """KL(e(z|x) || p_d(z|x)) for each x, (..., X): log p_d(x) minus the ELBO (Kingma and Welling 2019, eq. 2.8)."""
        return kl(self.encoder, self.model_posterior)

    # The plane.

    @property
    def entropy(self) -> Tensor:
        """H, the entropy of p\\*(x)."""
        return entropy(self.data)

    @property
    def distortion(self) -> Tensor:
        """D = -E_{p_e} log d(x|z)."""
        return -weighted_log(self.encoder_joint, self.decoder.mT).sum((-2, -1))

    @property
    def rate(self) -> Tensor:
        """R = E_{p*} KL(e(z|x) || m(z))."""
        joint = self.encoder_joint
        return (weighted_log(joint, self.encoder) - weighted_log(joint, self.marginal.unsqueeze(-2))).sum((-2, -1))

    @property
    def neg_elbo(self) -> Tensor:
        """-ELBO averaged over p\\*(x); equals D + R."""
        return -_expected(self.data, self.elbos)

    @property
    def encoder_information(self) -> Tensor:
        """I_e, the mutual information of x and z under p_e: H - D <= I_e <= R."""
        return mutual_information(self.encoder_joint)

    @property
    def model_information(self) -> Tensor:
        """I_d, the mutual information of x and z under p_d: E <= I_d <= G."""
        return mutual_information(self.model_joint)

    @property
    def marginal_gap(self) -> Tensor:
        """KL(p_e(z) || m(z)) = R - I_e."""
        return kl(self.aggregated_posterior, self.marginal)

    @property
    def decoder_gap(self) -> Tensor:
        """E_{p_e(z)} KL(p_e(x|z) || d(x|z)) = I_e - (H - D)."""
        return _expected(self.aggregated_posterior, kl(self.encoder_posterior, self.decoder))

    @property
    def joint_gap(self) -> Tensor:
        """KL(p_e(x, z) || p_d(x, z)) = D + R - H."""
        return kl(self.encoder_joint.flatten(-2), self.model_joint.flatten(-2))

    @property
    def model_gap(self) -> Tensor:
        """KL(p\\*(x) || p_d(x)), how far the model's law is from the data's."""
        return kl(self.data, self.model_marginal)

    # The generative side, and the functionals that need a density q(x) of the data, (..., X).

    @property
    def e_functional(self) -> Tensor:
        """E = E_{p_d}[log e(z|x) - log m(z)] <= I_d; may be negative, -inf where e lacks a code that p_d has."""
        joint = self.model_joint
        return (weighted_log(joint, self.encoder) - weighted_log(joint, self.marginal.unsqueeze(-2))).sum((-2, -1))

    @property
    def e_gap(self) -> Tensor:
        """E_{p_d(x)} KL(p_d(z|x) || e(z|x)) = I_d - E."""
        return _expected(self.model_marginal, kl(self.model_posterior, self.encoder))

    def g_functional(self, q: Tensor) -> Tensor:
        """G = E_{p_d}[log d(x|z) - log q(x)] >= I_d."""
        return self._against(self.model_joint, q)

    def g_gap(self, q: Tensor) -> Tensor:
        """KL(p_d(x) || q(x)) = G - I_d."""
        return kl(self.model_marginal, probabilities("q", q))

    def u_functional(self, q: Tensor) -> Tensor:
        """U = E_{p_e}[log d(x|z) - log q(x)]; U - S = H - D for every q. NaN where d and q both lack an x that is seen."""
        return self._against(self.encoder_joint, q)

    def s_functional(self, q: Tensor) -> Tensor:
        """S = E_{p*}[log p\\*(x) - log q(x)] = KL(p\\* || q)."""
        return kl(self.data, probabilities("q", q))

    def _against(self, joint: Tensor, q: Tensor) -> Tensor:
        reference = probabilities("q", q).unsqueeze(-1)
        return (weighted_log(joint, self.decoder.mT) - weighted_log(joint, reference)).sum((-2, -1))

    # The best partners.

    def with_optimal_marginal(self) -> "FiniteTables":
        """m(z) replaced by p_e(z): then R = I_e."""
        return replace(self, marginal=self.aggregated_posterior)

    def with_optimal_decoder(self) -> "FiniteTables":
        """d(x|z) replaced by p_e(x|z): then H - D = I_e."""
        return replace(self, decoder=self.encoder_posterior)

    def with_optimal_encoder(self) -> "FiniteTables":
        """e(z|x) replaced by p_d(z|x): then -ELBO = -E log p_d(x), and E = I_d."""
        return replace(self, encoder=self.model_posterior)


def random_tables(x: int, z: int, seed: int, models: tuple[int, ...] = ()) -> FiniteTables:
    """Tables drawn uniformly from their simplices, ``models`` of them along leading axes; the same seed, the same tables."""
    generator = torch.Generator().manual_seed(seed)

    def simplex(*shape: int) -> Tensor:
        draws = torch.empty(*models, *shape, dtype=torch.float64).exponential_(generator=generator)
        return draws / draws.sum(-1, keepdim=True)

    return FiniteTables(simplex(x), simplex(x, z), simplex(z, x), simplex(z))


def _conditional(joint: Tensor, otherwise: Tensor) -> Tensor:
    """The joint (..., A, B) conditioned on A; rows without mass become ``otherwise`` (..., B)."""
    mass = joint.sum(-1, keepdim=True)
    return torch.where(mass > 0, joint / torch.where(mass > 0, mass, 1.0), otherwise.unsqueeze(-2))


def _expected(weight: Tensor, values: Tensor) -> Tensor:
    """Weighted sum over the last axis in which a weight of 0 cancels an infinite value."""
    return torch.where(weight > 0, weight * torch.where(weight > 0, values, 0.0), 0.0).sum(-1)
