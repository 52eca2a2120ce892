"""Encoders: what each law is, against torch.distributions, formulas of the papers, and models whose evidence is known."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, distributions, nn

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.distributions.flowed import Flowed
from ratelab.distributions.full_gaussian import FullGaussian
from ratelab.distributions.gaussians import DiagonalGaussian, StandardNormal
from ratelab.distributions.one_hot import OneHot
from ratelab.encoders import ENCODERS
from ratelab.encoders.leapfrog import leapfrog, leapfrog_back
from ratelab.estimators import ESTIMATORS
from ratelab.evaluation import evaluate
from ratelab.evaluation.latents import encode
from ratelab.models import MODELS

SMALL = {"name": "mlp", "hidden": [16]}
EVENT = (1, 4, 4)


def encoder(latent_dim: int = 3, **node: object) -> nn.Module:
    torch.manual_seed(0)
    resolved = ENCODERS.resolve({"network": SMALL, **node}, "encoder")
    return ENCODERS.build(resolved, EVENT, (latent_dim,)).double()


def examples(n: int = 5, seed: int = 0) -> Tensor:
    return (LiveNoise(seed, dtype=torch.float64).uniform((n, *EVENT)) < 0.4).double()


def noise(seed: int = 0) -> LiveNoise:
    return LiveNoise(seed, dtype=torch.float64)


def images() -> Dataset:
    split = Split(examples(40).numpy().astype("uint8"))
    return Dataset("images", Support.BINARY, split, split, split)


def model(name: str = "vae", **node: object) -> Model:
    torch.manual_seed(0)
    node = {"decoder": {"name": "bernoulli", "network": SMALL}, **node}
    return MODELS.build(MODELS.resolve({"name": name, **node}, "model"), images())


@pytest.mark.spec("RD32")
def test_the_plus_encoder_is_four_mean_only_steps_that_keep_volume() -> None:
    torch.manual_seed(0)
    built = ENCODERS.build(ENCODERS.resolve({"name": "flow", "network": SMALL}, "e"), EVENT, (64,)).double()
    assert sum(p.numel() for p in built.flow.parameters()) == 3_612_416
    law = built(examples(2))
    assert law.context is None
    z, scored = law.draw(noise())
    source = law.base.draw(noise()).value
    assert not torch.allclose(z, source)
    assert scored is not None
    assert torch.equal(scored, law.base.log_prob(source)), "log e(z|x) is the base's density: the log-determinant is 0"
    jacobian = torch.autograd.functional.jacobian(lambda at: built.flow(at).value, source[0])
    assert float(torch.linalg.slogdet(jacobian).logabsdet) == pytest.approx(0.0, abs=1e-9)
    assert jacobian.triu(1).abs().max() > 1e-4, "steps are flipped in between, so the whole is not triangular"
    assert jacobian.tril(-1).abs().max() > 1e-4


@pytest.mark.spec("VF34")
def test_the_full_gaussian_equals_multivariate_normal() -> None:
    law = encoder(name="full-gaussian")(examples())
    assert isinstance(law, FullGaussian)
    twin = distributions.MultivariateNormal(law.loc, scale_tril=law.tril)
    z = law.draw(noise(), 50).value
    assert torch.allclose(law.log_prob(z), twin.log_prob(z))
    assert law.tril[:, 2, :2].abs().min() > 1e-4
    standard = distributions.MultivariateNormal(torch.zeros(3).double(), torch.eye(3).double())
    closed = law.kl(StandardNormal((3,), law.loc))
    assert closed is not None
    assert torch.allclose(closed.sum(-1), distributions.kl_divergence(twin, standard))
    diagonal = DiagonalGaussian(torch.ones(3).double(), scale=torch.tensor([0.5, 1.0, 2.0]).double())
    other = distributions.MultivariateNormal(diagonal.loc, torch.diag(diagonal.scale.square()))
    assert torch.allclose(law.kl(diagonal).sum(-1), distributions.kl_divergence(twin, other))
    shifted = FullGaussian(law.loc + 1, law.tril @ law.tril[0])
    last = distributions.MultivariateNormal(shifted.loc, scale_tril=shifted.tril)
    assert torch.allclose(law.kl(shifted).sum(-1), distributions.kl_divergence(twin, last))


def test_full_gaussian_draws_have_its_covariance() -> None:
    law = encoder(name="full-gaussian")(examples(1))
    z = law.draw(noise(), 100_000).value[:, 0]
    whole = law.tril[0] @ law.tril[0].T
    spread = (whole.square() + whole.diagonal().outer(whole.diagonal())) / 100_000  # variance of a sample covariance
    assert ((torch.cov(z.T) - whole).abs() < 4.5 * spread.sqrt()).all()


@pytest.mark.spec("DM37")
def test_a_real_nvp_posterior_inverts_and_knows_its_density() -> None:
    law = encoder(name="flow", flow={"name": "real-nvp", "hidden": [8]}, steps=3)(examples(2))
    assert isinstance(law, Flowed)
    z, scored = law.draw(noise())
    source = law.base.draw(noise()).value
    assert torch.allclose(law.flow.inverse(z).value, source, atol=1e-5)
    for b in range(2):
        jacobian = torch.autograd.functional.jacobian(lambda at: law.flow(at).value, source[b])
        assert torch.allclose(scored[b], law.base.log_prob(source)[b] - torch.linalg.slogdet(jacobian).logabsdet, atol=1e-8)


@pytest.mark.parametrize("context", [0, 4])
def test_steps_see_x_only_through_a_context(context: int) -> None:
    built = encoder(name="flow", flow={"name": "iaf", "hidden": [8]}, steps=2, context=context)
    law = built(examples(2))
    moved = law.flow(torch.zeros(2, 3).double(), law.context).value
    assert torch.allclose(moved[0], moved[1]) == (context == 0)


@pytest.mark.spec("DM36")
def test_an_implicit_encoder_draws_differently_for_the_same_x_and_has_no_density() -> None:
    law = encoder(name="implicit")(examples())
    z, scored = law.draw(noise(), 200)
    assert tuple(z.shape) == (200, 5, 3)
    assert (z.std(0) > 1e-3).all()
    assert scored is not None
    assert scored.isnan().all()
    assert law.log_prob(z).isnan().all()
    assert tuple(law.mean.shape) == (5, 3)


def measured(which: str) -> dict:
    built = model(latent_dim=3, encoder={"name": which, "network": SMALL})
    estimates, _ = evaluate(built, images(), "test", [ESTIMATORS.resolve("rate-distortion", "e")], seed=0)
    return {name: estimates[name].to_json() for name in ("rate", "distortion", "neg_elbo")}


@pytest.mark.spec("DM36")
def test_a_missing_density_is_reported_as_missing() -> None:
    found = measured("implicit")
    assert found["rate"]["value"] is None
    assert "no density" in found["rate"]["why"]
    assert found["neg_elbo"]["value"] is None
    assert math.isfinite(found["distortion"]["value"])


def test_a_deterministic_encoder_has_an_infinite_rate() -> None:
    found = measured("deterministic")
    assert found["rate"]["value"] == "inf"
    law = encoder(name="deterministic")(examples())
    z = law.draw(noise(), 3).value
    assert torch.equal(z[0], z[2])
    assert (law.log_prob(z) == math.inf).all()
    assert (law.log_prob(z + 1) == -math.inf).all()


LOGITS = torch.tensor([[0.5, -1.0, 0.2, 1.4]]).double()


@pytest.mark.spec("VF27")
@pytest.mark.parametrize("temperature", [0.1, 0.67, 5.0])
def test_the_largest_entry_of_a_relaxed_draw_follows_the_probabilities_at_any_temperature(temperature: float) -> None:
    law = OneHot(LOGITS, sampling="relaxed", temperature=temperature)
    y = law.draw(noise(), 20_000).value
    assert torch.allclose(y.sum(-1), torch.ones(20_000).double())
    counts = torch.bincount(y.argmax(-1), minlength=4)
    assert stats.chisquare(counts.numpy(), 20_000 * LOGITS[0].softmax(-1).numpy()).pvalue > 1e-4


@pytest.mark.spec("VF27")
def test_a_relaxed_draw_becomes_one_hot_as_the_temperature_falls() -> None:
    drawn = {t: OneHot(LOGITS, sampling="relaxed", temperature=t).draw(noise(), 2000).value.amax(-1) for t in (1.0, 1e-3)}
    assert drawn[1.0].median() < 0.9
    assert drawn[1e-3].mean() > 0.999


@pytest.mark.spec("VF28")
def test_straight_through_passes_one_hot_forwards_and_the_soft_gradient_back() -> None:
    weights = torch.tensor([1.0, -2.0, 0.5, 3.0]).double()
    gradients = []
    for sampling in ("straight-through", "relaxed"):
        logits = LOGITS.clone().requires_grad_()
        y = OneHot(logits, sampling=sampling, temperature=0.7).draw(noise()).value
        if sampling == "straight-through":
            assert sorted(y.tolist()) == pytest.approx([0.0, 0.0, 0.0, 1.0])
        gradients.append(torch.autograd.grad((y * weights).sum(), logits)[0])
    assert torch.allclose(*gradients)
    assert gradients[0].abs().max() > 1e-3


def test_categorical_draws_are_relaxed_in_training_and_hard_in_evaluation() -> None:
    built = encoder(6, name="categorical", states=3)
    soft, hard = built.train()(examples()).draw(noise()).value, built.eval()(examples()).draw(noise()).value
    assert ((soft > 0) & (soft < 1)).all()
    assert set(hard.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(hard.unflatten(-1, (2, 3)).sum(-1), torch.ones(5, 2).double())
    through = encoder(6, name="categorical", states=3, gradient="straight-through").train()(examples()).draw(noise()).value
    assert torch.allclose(through, through.round())


def test_one_hot_masses_sum_to_one_and_closed_forms_agree() -> None:
    law = OneHot(torch.randn(2, 3, generator=torch.Generator().manual_seed(0)).double())
    states = torch.eye(3).double()
    every = torch.stack([torch.cat([a, b]) for a in states for b in states])
    mass = law.log_prob(every).exp()
    assert float(mass.sum()) == pytest.approx(1.0)
    other = OneHot(torch.zeros(2, 3).double())
    assert float(law.kl(other).sum()) == pytest.approx(float((mass * (mass.log() - other.log_prob(every))).sum()))
    assert float(law.kl(other).sum()) == pytest.approx(2 * math.log(3) - float(-(mass * mass.log()).sum()))


@pytest.mark.spec("VF19", "VF35")
def test_the_auxiliary_bound_is_the_elbo_less_the_reverse_models_divergence() -> None:
    """With discrete u the integral over u is a sum: L_aux = ELBO(integral) - E KL(e(u|x,z) || r(u|x,z))."""
    one_hot = {"name": "categorical", "network": SMALL, "states": 3}
    gaussian = {"name": "gaussian", "network": SMALL, "joint": [8]}
    built = model(
        "auxiliary", latent_dim=2, auxiliary_dim=3, auxiliary=one_hot, encoder=gaussian, reverse={**one_hot, "joint": [8]}
    )
    built.double().eval()
    x, states = examples(2), torch.eye(3).double()
    with torch.no_grad():
        for p in built.parameters():
            p.add_(0.3 * torch.randn(p.shape, dtype=p.dtype, generator=torch.Generator().manual_seed(1)))
        seen = built(Batch(x), noise(), 4000)
        bound = -(seen.rate + seen.distortion)
        z = seen.layers[1].z
        u = states.view(3, 1, 1, 3)
        log_outer = built.auxiliary(x).log_prob(u)
        log_inner = torch.stack([built.encoder(x, (u[i].expand(4000, 2, 3),)).log_prob(z) for i in range(3)])
        log_encoder = torch.logsumexp(log_outer + log_inner, 0)  # log e(z|x), u summed out
        elbo = built.log_joint(x, (z,)) - log_encoder
        posterior = (log_outer + log_inner - log_encoder).exp()
        gap = (posterior * (posterior.log() - built.reverse(x, (z,)).log_prob(u.expand(3, 4000, 2, 3)))).sum(0)
    difference = bound - (elbo - gap)  # zero on average given z
    assert (difference.mean(0).abs() < 4 * difference.std(0) / 4000**0.5).all()
    assert (gap > 0).all()
    assert gap.mean() > 1e-3
    built.reverse = _Exact(built)
    exact = built(Batch(x), noise(), 50)
    inner = torch.stack([built.encoder(x, (u[i].expand(50, 2, 3),)).log_prob(exact.layers[1].z) for i in range(3)])
    own = built.log_joint(x, (exact.layers[1].z,)) - torch.logsumexp(log_outer + inner, 0)
    assert torch.allclose(-(exact.rate + exact.distortion), own), "with the exact reverse model every single term is the ELBO's"


class _Exact(nn.Module):
    """The posterior of u given x and z, by Bayes' rule."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.whole = [model]

    def forward(self, x: Tensor, above: tuple[Tensor, ...]) -> OneHot:
        (z,), (model,) = above, self.whole
        states = torch.eye(3).double()
        inner = [model.encoder(x, (u.expand(*z.shape[:-1], 3),)).log_prob(z) for u in states]
        outer = [model.auxiliary(x).log_prob(u) for u in states]
        return OneHot(torch.stack([a + b for a, b in zip(inner, outer, strict=True)], -1).unsqueeze(-2))


def test_the_auxiliary_variable_is_in_the_rate_and_not_in_the_representation() -> None:
    seen = model("auxiliary", latent_dim=2, auxiliary_dim=3)(Batch(examples(4).float()), LiveNoise(0))
    assert [layer.auxiliary for layer in seen.layers] == [True, False]
    assert torch.allclose(seen.rate, seen.layers[0].rate + seen.layers[1].rate)
    assert seen.rates.shape[0] == 1


def force(z: Tensor) -> Tensor:
    return -z - z.pow(3)


def energy(z: Tensor, v: Tensor) -> Tensor:
    return (0.5 * z.square() + 0.25 * z.pow(4) + 0.5 * v.square()).sum(-1)


@pytest.mark.spec("VF46")
def test_leapfrog_is_reversible_keeps_volume_and_nearly_keeps_energy() -> None:
    z, v = noise().normal((6, 2)), noise(1).normal((6, 2))
    step = torch.tensor(0.1).double()
    moved = leapfrog(z, v, force, step, 7)
    back = leapfrog_back(*moved, force, step, 7)
    assert torch.allclose(back[0], z, atol=1e-8)
    assert torch.allclose(back[1], v, atol=1e-8)
    both = torch.cat([z[0], v[0]])
    jacobian = torch.autograd.functional.jacobian(lambda at: torch.cat(leapfrog(at[:2], at[2:], force, step, 7)), both)
    assert float(torch.linalg.det(jacobian)) == pytest.approx(1.0, abs=1e-10)
    errors = []
    for count in (10, 20, 40):  # the same time in smaller steps
        end = leapfrog(z, v, force, torch.tensor(1.0 / count).double(), count)
        errors.append(float((energy(*end) - energy(z, v)).abs().max()))
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.25)
    assert errors[1] / errors[2] == pytest.approx(4.0, rel=0.25)


def linear_world() -> tuple[Model, Tensor, distributions.MultivariateNormal]:
    """A linear-Gaussian model of four numbers, data, and p(x). All is near N(0, 1), so that weights stay tame."""
    x = noise(3).normal((3, 4))
    split = Split(x.float().numpy())
    dataset = Dataset("numbers", Support.REAL, split, split, split)
    torch.manual_seed(0)
    linear = {"name": "mlp", "hidden": []}
    gaussian = {"name": "gaussian", "network": linear, "joint": []}
    node = {
        "name": "hamiltonian",
        "latent_dim": 2,
        "transitions": 2,
        "leapfrogs": 3,
        "step_size": 0.2,
        "encoder": gaussian,
        "reverse": gaussian,
        "decoder": {"name": "gaussian", "network": linear, "sigma": 2.0},
    }
    built = MODELS.build(MODELS.resolve(node, "model"), dataset).double()
    with torch.no_grad():  # encoder and reverse models near N(0, 1)
        for p in built.group("inference"):
            p.mul_(1.0 if p is built.log_steps else 0.2)
    head = built.decoder.network.head
    covariance = head.weight @ head.weight.T + built.decoder.log_sigma.exp().square() * torch.eye(4)
    return built, x, distributions.MultivariateNormal(head.bias, covariance)


@pytest.mark.spec("VF46")
def test_the_hamiltonian_bound_lies_below_the_evidence_and_its_weights_average_to_it() -> None:
    built, x, evidence = linear_world()
    with torch.no_grad():
        log_evidence = evidence.log_prob(x)
        seen = built(Batch(x), noise(), 40_000)
        log_weights = -(seen.rate + seen.distortion)
        error = log_weights.std(0) / 200
        assert (log_weights.mean(0) < log_evidence - 4 * error).all()
        ratio = (log_weights - log_evidence).exp()
        assert ((ratio.mean(0) - 1).abs() < 4 * ratio.std(0) / 200).all()
        still = built(Batch(x), noise(), 40_000).layers[-1].z
        start = built.encoder(x).draw(noise(), 40_000).value
    assert (built.log_joint(x, (still,)).mean(0) > built.log_joint(x, (start,)).mean(0)).all(), "towards the posterior"


@pytest.mark.spec("VF46")
@torch.no_grad()
def test_a_pass_from_the_model_runs_the_momenta_backwards() -> None:
    """Over draws of (x, z, v) from the model, e(z, v | x) p(x) over the model's own density averages to one."""
    built, _, evidence = linear_world()
    seen = built.generate(40_000, noise())
    ratio = (seen.rate + seen.distortion + evidence.log_prob(seen.target)).exp()[0]
    assert abs(float(ratio.mean()) - 1) < 4 * float(ratio.std()) / 200
    assert 0.1 < float(ratio.std()) < 5
    log_densities = [built.generate(40_000, noise(seed)).layers[0].log_encoder for seed in (1, 2)]
    assert not torch.equal(*log_densities)


@pytest.mark.parametrize(
    ("node", "says"),
    [
        ({"encoder": {"name": "flow", "flow": "iff"}}, "unknown flow 'iff'; did you mean 'iaf'"),
        ({"encoder": {"name": "flow", "flow": {"name": "iaf", "widths": [3]}}}, "unknown key 'widths'"),
        ({"encoder": {"name": "flow", "steps": 0}}, "model.encoder.steps"),
        ({"encoder": "categorical", "marginal": "categorical", "latent_dim": 9}, "multiple of 8"),
        ({"encoder": "categorical", "latent_dim": 8}, "marginal 'categorical'; use it"),
        ({"marginal": "categorical", "latent_dim": 8}, "use encoder 'categorical'"),
        ({"encoder": {"name": "categorical", "states": 4}, "marginal": "categorical", "latent_dim": 8}, "make them the same"),
        ({"encoder": "implicit", "marginal": {"name": "vamp", "pseudo_inputs": 5}}, "this encoder has none"),
        ({"name": "auxiliary", "marginal": {"name": "vamp", "pseudo_inputs": 5}}, "use 'mixture'"),
        ({"name": "hamiltonian", "encoder": "categorical", "marginal": "categorical"}, "cannot be moved"),
        (
            {"name": "hierarchy", "latent_dim": [8, 8], "encoder": "categorical", "marginal": "categorical"},
            "of the top layer alone",
        ),
        ({"marginal": {"name": "vamp", "pseudo_inputs": 500}}, "only 40 training examples"),
        ({"marginal": "real-nvp", "latent_dim": 1}, "at least 2"),
        ({"marginal": {"name": "flow", "flow": "splin"}}, "unknown flow 'splin'; did you mean 'spline'"),
    ],
)
def test_mistakes_are_one_line_before_training(node: dict, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        model(**node)
    assert "\n" not in str(caught.value)


def test_a_model_with_a_vamp_prior_takes_no_data_of_another_shape() -> None:
    built = model(marginal={"name": "vamp", "pseudo_inputs": 5})
    with pytest.raises(UserError, match=r"examples have shape \(1, 5, 5\), this model was trained on \(1, 4, 4\)"):
        encode(built, np.zeros((2, 1, 5, 5), np.float32))
