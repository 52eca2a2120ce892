"""KL(q(z) || m(z)) by posterior and by likelihood (Rosca et al. 2018, section 3): shipped recipes, and what they show on small images."""

from pathlib import Path

import pytest
from command_lines import Cli

from ratelab.core.estimate import Estimate
from ratelab.runs import expand, read_recipe

SMALL = (
    "data={name: color-mnist, digits: embedded, mode: tinted}", "model.latent_dim=16", "training.epochs=15",
    "training.validate_every=15", "model.encoder.network={name: mlp, hidden: [64]}",
    "model.decoder.network={name: mlp, hidden: [64]}", "--workers", "1", "--together", "1",
)  # fmt: skip


def divergences(cli: Cli, recipe: str) -> dict[str, Estimate]:
    """By title, the Monte Carlo estimate of each run of a sweep, as the figure tells it."""
    assert cli("sweep", f"rosca2018/{recipe}@small", *SMALL, "--store", recipe).code == 0
    runs = cli("figure", "kl-bars", "--store", recipe, "-o", f"{recipe}.svg", "--json").json()["runs"]
    return {run["title"]: Estimate.from_json(run["estimates"]["marginal_kl"]) for run in runs}


def test_the_recipes_differ_in_the_posterior_or_in_the_likelihood_alone() -> None:
    runs = [run.model for name in ("posteriors", "likelihoods") for run in expand(read_recipe(f"rosca2018/{name}"))]
    assert [(model["encoder"]["name"], model["decoder"]["name"]) for model in runs] == [
        ("gaussian", "bernoulli"), ("flow", "bernoulli"), ("gaussian", "bernoulli"), ("gaussian", "quantised-normal"),
    ]  # fmt: skip
    assert all(model["latent_dim"] == 128 and model["marginal"] == {"name": "normal"} for model in runs)
    assert (runs[1]["encoder"]["flow"]["name"], runs[1]["encoder"]["steps"]) == ("real-nvp", 4)
    small = [run for name in ("posteriors", "likelihoods") for run in expand(read_recipe(f"rosca2018/{name}@small"))]
    assert {run.model["decoder"]["network"]["width"] for run in small} == {16}
    assert {run.data["batches"] for run in small} == {(1,)}


@pytest.mark.slow
@pytest.mark.spec("DM49")
def test_both_posteriors_are_measured_with_their_standard_errors(cli: Cli, place: Path) -> None:
    found = divergences(cli, "posteriors")
    assert set(found) == {"Gaussian posterior", "Real-NVP posterior"}
    for estimate in found.values():
        assert 1.0 < estimate.value < 100.0
        assert 0.05 < estimate.stderr < 2.0
    assert (place / "posteriors.svg").is_file()


@pytest.mark.slow
@pytest.mark.spec("DM50")
def test_codes_lie_further_from_the_marginal_under_a_quantised_normal(cli: Cli) -> None:
    found = divergences(cli, "likelihoods")
    quantised, bernoulli = found["quantised normal"], found["Bernoulli"]
    assert quantised.value - bernoulli.value > 4 * (quantised.stderr**2 + bernoulli.stderr**2) ** 0.5


@pytest.mark.slow
@pytest.mark.spec("DM56")
def test_of_a_thousand_latents_a_vae_ignores_most_and_an_adversarial_autoencoder_makes_points(cli: Cli) -> None:
    """An ignored unit keeps the marginal's variance of 1; an encoder that pays no rate gives every x nearly a point."""
    chosen = "objective=elbo,{name: adversarial-autoencoder, layers: 2, width: 100}"
    words = (*SMALL, "model.latent_dim=1000", "training.epochs=20", "training.validate_every=20", "optimiser.lr=2e-3", chosen)
    runs = cli("sweep", "rosca2018/latents@small", *words, "--json").json()["runs"]
    found = {
        run["recipe"]["objective"]["name"]: {
            name: Estimate.from_json(run["estimates"][name][0]) for name in ("active_units", "posterior_variance", "rates")
        }
        for run in runs
    }
    vae, adversarial = found["elbo"], found["adversarial-autoencoder"]
    assert vae["active_units"].value < 100
    assert adversarial["active_units"].value == 1000
    assert vae["posterior_variance"].value > 0.9
    assert adversarial["posterior_variance"].value + 4 * adversarial["posterior_variance"].stderr < 0.05
    assert adversarial["rates"].value > 100 * vae["rates"].value
