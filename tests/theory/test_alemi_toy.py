"""The toy of Alemi et al. 2018: data of 0.5 nats, the hand-made optimum, the ELBO's collapse and the target that avoids it.

Expectations are exact sums over p*(x); all seeds are trained at once.
"""

from functools import cache

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from ratelab.core.errors import UserError
from ratelab.data import load, toy
from ratelab.evaluation.toy import toy_numbers
from ratelab.exact.clusters import class_masses, class_overlap, two_cluster_share
from ratelab.exact.tables import FiniteTables
from ratelab.models import MODELS
from ratelab.runs import expand, read_recipe
from ratelab.runs.assemble import build_trainer
from ratelab.training import StackTrainer

BINS = 30
JOINT = torch.as_tensor(toy.joint())
DATA = JOINT.sum(0)
ENTROPY = -float((DATA * DATA.log()).sum())
ELBO, TARGET, PRINTED = "alemi2018/toy_elbo", "alemi2018/toy_target", "alemi2018/toy_printed"


@cache
def trained(recipe: str, seeds: tuple[int, ...], steps: int = 15_000, *changes: str) -> FiniteTables:
    """The models of a shipped recipe, all seeds at once, as tables beside p*(x) with the seeds as leading axis."""
    words = [f"training.epochs={steps // 50}", f"seed={','.join(map(str, seeds))}", *changes]
    recipes = expand(read_recipe(recipe), words)
    trainers = {str(r.seed): build_trainer(r, load("toy"), torch.device("cpu")) for r in recipes}
    stack = StackTrainer(trainers)
    while not stack.done:
        stack.run_epoch()
    found = [trainers[str(seed)].model.tables(DATA) for seed in seeds]
    return FiniteTables(DATA, *(torch.stack([getattr(t, n) for t in found]) for n in ("encoder", "decoder", "marginal")))


@pytest.mark.spec("RD43")
def test_the_noise_is_solved_for_half_a_nat() -> None:
    table = {2.0: (0.599965, 3.298918), 3.0: (0.598422, 3.018393), 4.0: (0.596257, 2.731876), 5.0: (0.593467, 2.508752)}
    for reach, (deviation, entropy) in table.items():
        found = toy.deviation_for(0.5, 30, reach)
        assert found == pytest.approx(deviation, abs=1e-6)
        assert abs(toy.information(found, 30, reach) - 0.5) < 1e-10
        p = toy.joint(reach=reach).sum(0)
        assert -(p * np.log(p)).sum() == pytest.approx(entropy, abs=1e-6)
    assert toy.joint().sum(1) == pytest.approx([0.7, 0.3])


def test_the_rows_of_the_data_set_are_in_proportion() -> None:
    split = load({"name": "toy", "n": 10_000}).test
    counts = np.bincount(split.x.astype(int), minlength=30)
    assert len(split) == 10_000
    assert np.abs(counts - 10_000 * DATA.numpy()).max() < 1
    assert set(split.y.tolist()) == {0, 1}


def test_training_sums_over_the_law_itself_or_a_sample_of_it() -> None:
    exact, sampled = load("toy"), load({"name": "toy", "sample": 4000, "seed": 1})
    assert exact.train.x.tolist() == list(range(30))
    assert exact.train.weight == pytest.approx(DATA.numpy())
    assert sampled.train.weight is None
    counts = np.bincount(sampled.train.x.astype(int), minlength=30)
    assert (np.abs(counts - 4000 * DATA.numpy()) < 5 * np.sqrt(4000 * DATA.numpy()) + 1).all()
    assert len({exact.digest, sampled.digest, load({"name": "toy", "sample": 4000, "seed": 2}).digest}) == 3
    assert exact.test.x.tolist() == sampled.test.x.tolist()
    with pytest.raises(UserError, match="limit: it is trained on all of p"):
        load({"name": "toy", "limit": 10})


def test_information_that_no_noise_can_carry_is_refused() -> None:
    with pytest.raises(UserError, match="no noise lets 3 bins"):
        load({"name": "toy", "bins": 3, "reach": 3.0})  # the means are bin edges: half of either class falls in the middle
    with pytest.raises(UserError, match="'toy' takes one state's index"):
        MODELS.build(MODELS.resolve("toy", "model"), load("digits"))


@pytest.mark.spec("RD47")
def test_the_hand_made_optimum() -> None:
    """Two codes, e = p(c|x), m = (0.7, 0.3), d = p(x|c): R = I = 0.5 and D = H - 0.5."""
    classes = JOINT.sum(1)
    best = FiniteTables(DATA, (JOINT / DATA).mT, JOINT / classes.unsqueeze(1), classes)
    assert abs(float(best.rate) - 0.5) < 1e-9
    assert abs(float(best.encoder_information) - 0.5) < 1e-9
    assert abs(float(best.distortion) - (ENTROPY - 0.5)) < 1e-9


def test_the_tables_are_those_of_the_paper_in_both_indexings() -> None:
    data = load("toy")
    for index in ("output", "latent"):
        model = MODELS.build(MODELS.resolve({"name": "toy", "decoder_index": index, "init": 1.0}, "model"), data)
        w, b = model.decoder_curve.detach()
        x, z = torch.linspace(0, 1, 30), torch.linspace(0, 2, 30)
        i, j = 7, 21
        expected = -((w[j] * z[i] - b[j]) ** 2) if index == "output" else -((w[i] * x[j] - b[i]) ** 2)
        assert model.decoder_table[i, j].item() == pytest.approx(expected.item(), rel=1e-5)
        assert sum(p.numel() for p in model.parameters()) == 60 + 60 + 30


def check_collapse(tables: FiniteTables, rate: float) -> None:
    assert float(tables.rate.max()) < rate
    assert float((tables.distortion + tables.rate - ENTROPY).max()) < 1e-3


def test_the_elbo_collapses() -> None:
    """On its way there after a fifth of the training; where it ends is looked at below."""
    check_collapse(trained(ELBO, (0, 1), 3000), 5e-3)


@pytest.mark.spec("RD49", "RD20")
def test_a_target_rate_recovers_the_classes() -> None:
    tables = trained(TARGET, (0, 1), 4000)
    assert float((tables.rate - 0.5).abs().max()) < 1e-3
    assert float((tables.rate - tables.encoder_information).abs().max()) < 1e-3, "the rate carries information"
    assert float(class_overlap(tables, JOINT).min()) >= 0.6


@pytest.mark.spec("RD50")
def test_the_printed_decoder_does_not_collapse() -> None:
    assert float(trained(ELBO, (0, 1), 3000, "model.decoder_index=latent").rate.min()) > 0.4


def test_the_printed_decoder_finds_the_masses_of_the_classes() -> None:
    """A mixture of Gaussians has one decomposition of least rate: 70 % and 30 %."""
    tables = trained(PRINTED, (0, 1), 3000)
    assert float((tables.rate - 0.5).abs().max()) < 1e-3
    assert float((class_masses(tables, JOINT)[:, 0] - 0.7).abs().max()) < 0.02


@pytest.mark.spec("RD57")
def test_generative_information_lies_between_its_bounds_at_every_beta() -> None:
    """The numbers of the figure against sums written out; E is the looser the further beta is below 1."""
    words = ["training.epochs=20", "seed=0", "objective=beta", "objective.beta=0.6,0.9,1,2"]
    trainers = {
        str(r.objective["beta"]): build_trainer(r, load("toy"), torch.device("cpu")) for r in expand(read_recipe(ELBO), words)
    }
    stack = StackTrainer(trainers)
    while not stack.done:
        stack.run_epoch()
    gaps = {}
    for beta, trainer in trainers.items():
        tables = trainer.model.tables(DATA)
        told = toy_numbers(tables, JOINT)
        encoder, decoder, marginal = (part.numpy() for part in (tables.encoder, tables.decoder, tables.marginal[:, None]))
        joint = marginal * decoder
        information = (joint * np.log(decoder / joint.sum(0))).sum()
        lower, upper = (joint * np.log(encoder.T / marginal)).sum(), (joint * np.log(decoder / DATA.numpy())).sum()
        assert lower <= information + 1e-12 <= upper + 2e-12
        found = [told[name] for name in ("e", "generative_information", "g")]
        assert found == pytest.approx([lower, information, upper], abs=1e-10)
        gaps[float(beta)] = information - lower
    assert gaps[0.6] > 2 * gaps[0.9] > 4 * gaps[1.0]


def test_two_clusters_keep_all_of_two_codes_and_less_of_more() -> None:
    optimum = FiniteTables(DATA, (JOINT / DATA).mT, JOINT / JOINT.sum(1, keepdim=True), JOINT.sum(1))
    assert float(two_cluster_share(optimum)) == pytest.approx(1.0)
    assert class_masses(optimum, JOINT).tolist() == pytest.approx([0.7, 0.3])
    # Codes of any order: the same clusters under other names.
    swapped = FiniteTables(DATA, optimum.encoder.flip(-1), optimum.decoder.flip(0), optimum.marginal.flip(0))
    assert float(two_cluster_share(swapped)) == pytest.approx(1.0)
    assert class_masses(swapped, JOINT).tolist() == pytest.approx([0.7, 0.3])
    lossless = FiniteTables(torch.full((4,), 0.25), torch.eye(4), torch.eye(4), torch.full((4,), 0.25))
    assert float(two_cluster_share(lossless)) == pytest.approx(0.5)  # one bit of two


@pytest.mark.parametrize("mass", [0.3, 0.5, 0.75])
def test_codes_of_very_different_masses_are_all_optima(mass: float) -> None:
    """A code of one bit with h(mass) >= 1/2 can be noisy enough to carry 1/2 nat; with its own m and d, D + R = H. No objective of
    R and D tells these optima apart."""
    x = torch.linspace(-1, 1, BINS, dtype=torch.float64)

    def code(slope: float) -> FiniteTables:
        def one(offset: float) -> torch.Tensor:
            return torch.sigmoid(slope * x + offset)

        reach = slope + 60
        best = one(brentq(lambda offset: float(DATA @ one(offset)) - (1 - mass), -reach, reach, xtol=1e-14))
        encoder = torch.stack([1 - best, best], -1)
        alone = FiniteTables(DATA, encoder, torch.full((2, BINS), 1 / BINS), torch.tensor([0.5, 0.5]))
        return alone.with_optimal_marginal().with_optimal_decoder()

    tables = code(brentq(lambda slope: float(code(slope).encoder_information) - 0.5, 0.0, 100.0, xtol=1e-12))
    assert float(tables.marginal[0]) == pytest.approx(mass, abs=1e-6)
    assert float(tables.rate) == pytest.approx(0.5, abs=1e-6)
    assert float(tables.distortion + tables.rate) == pytest.approx(ENTROPY, abs=1e-9)


@pytest.mark.slow
@pytest.mark.spec("RD48", "RD49", "RD20")
def test_twenty_fresh_seeds() -> None:
    seeds = tuple(range(1000, 1020))
    elbo, target = trained(ELBO, seeds), trained(TARGET, seeds)
    check_collapse(elbo, 2e-3)
    assert float(class_overlap(elbo, JOINT).max()) < 0.05
    assert float((target.rate - 0.5).abs().max()) < 5e-4
    assert float((target.distortion + target.rate - ENTROPY).max()) < 1e-3
    for tables in (elbo, target):
        assert float(tables.model_gap.max()) < 1e-5
    assert int((two_cluster_share(target) > 0.9).sum()) >= 19
