"""The toy of Alemi et al. 2018: data of 0.5 nats, the hand-made optimum, the ELBO's collapse and the target that avoids it.

Expectations are exact sums over p*(x); all seeds are trained at once.
"""

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, stack_module_state, vmap

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.errors import UserError
from ratelab.core.objective import Setting
from ratelab.core.schedule import ConstantThenLinear
from ratelab.data import load, toy
from ratelab.exact.tables import FiniteTables
from ratelab.models import MODELS
from ratelab.objectives import OBJECTIVES

BINS = 30
JOINT = torch.as_tensor(toy.joint())
DATA = JOINT.sum(0)
ENTROPY = -float((DATA * DATA.log()).sum())
ELBO = (("name", "elbo"),)
TARGET = (("name", "target-rate"), ("rate", 0.5), ("late_weight", 3.0))


@cache
def trained(objective: tuple, seeds: tuple[int, ...], steps: int, index: str = "output") -> FiniteTables:
    """One model per seed, as float64 tables with the seeds as leading axis. Adam, lr .05, linear to 0 from half-way."""
    setting = Setting((), ((),), steps, BINS)
    chosen = OBJECTIVES.build(OBJECTIVES.resolve(dict(objective), "objective"), setting)
    members = []
    for seed in seeds:
        torch.manual_seed(seed)
        members.append(MODELS.build(MODELS.resolve({"name": "toy", "decoder_index": index}, "model"), load("toy")))
    parameters, buffers = stack_module_state(members)
    x, weight = torch.arange(float(BINS)), DATA.float()

    def loss(parameters: dict[str, Tensor], buffers: dict[str, Tensor], epoch: Tensor) -> Tensor:
        batch = Batch(x, epoch=epoch, weight=weight)
        seen = functional_call(members[0], {**parameters, **buffers}, (batch, LiveNoise(0)))
        return chosen.loss(seen, {}).total

    slope = vmap(grad(loss), in_dims=(0, 0, None))
    leaves = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    optimiser, schedule = torch.optim.Adam(leaves.values(), lr=0.05), ConstantThenLinear(0.5)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 0.05 * schedule(step, steps)
        with torch.no_grad():
            found = slope(leaves, buffers, torch.tensor(float(step)))
        for name, leaf in leaves.items():
            leaf.grad = found[name]
        optimiser.step()
    with torch.no_grad():
        tables = []
        for i, member in enumerate(members):
            member.load_state_dict({name: leaf[i] for name, leaf in leaves.items()}, strict=False)
            logits = (member.encoder_table, member.decoder_table, member.marginal_table)
            tables.append([table.double().softmax(-1) for table in logits])
    encoder, decoder, marginal = (torch.stack(part) for part in zip(*tables, strict=True))
    return FiniteTables(DATA, encoder, decoder, marginal)


def cluster_share(tables: FiniteTables) -> Tensor:
    """(seeds,) the most of I(x; z) that two groups of codes, one of smaller and one of larger code index, keep."""
    joint = tables.encoder_joint
    best = torch.zeros(joint.shape[0], dtype=torch.float64)
    for cut in range(1, BINS):
        two = torch.stack([joint[..., :cut].sum(-1), joint[..., cut:].sum(-1)], -1)
        independent = two.sum(-1, keepdim=True) * two.sum(-2, keepdim=True)
        best = torch.maximum(best, torch.where(two > 0, two * (two / independent).log(), 0.0).sum((-2, -1)))
    return best / tables.encoder_information


def class_codes(tables: FiniteTables) -> Tensor:
    """(seeds, 2, Z): e(z | class c)."""
    return (JOINT / JOINT.sum(1, keepdim=True)) @ tables.encoder


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
    split = load({"name": "toy", "n": 10_000}).train
    counts = np.bincount(split.x.astype(int), minlength=30)
    assert len(split) == 10_000
    assert np.abs(counts - 10_000 * DATA.numpy()).max() < 1
    assert set(split.y.tolist()) == {0, 1}


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
    codes = class_codes(tables)
    assert float(0.5 * (codes[:, 0] - codes[:, 1]).abs().sum(-1).min()) >= 0.6


@pytest.mark.spec("RD50")
def test_the_printed_decoder_does_not_collapse() -> None:
    assert float(trained(ELBO, (0, 1), 3000, "latent").rate.min()) > 0.4


@pytest.mark.spec("RD57")
def test_generative_information_lies_between_its_bounds() -> None:
    for tables in (trained(ELBO, (0, 1), 3000), trained(TARGET, (0, 1), 4000)):
        assert (tables.e_functional <= tables.model_information + 1e-12).all()
        assert (tables.model_information <= tables.g_functional(DATA) + 1e-12).all()


@pytest.mark.slow
@pytest.mark.spec("RD48", "RD49", "RD20")
def test_twenty_fresh_seeds() -> None:
    seeds = tuple(range(1000, 1020))
    elbo, target = trained(ELBO, seeds, 15_000), trained(TARGET, seeds, 15_000)
    check_collapse(elbo, 2e-3)
    codes = class_codes(elbo)
    assert float(0.5 * (codes[:, 0] - codes[:, 1]).abs().sum(-1).max()) < 0.05
    assert float((target.rate - 0.5).abs().max()) < 5e-4
    assert float((target.distortion + target.rate - ENTROPY).max()) < 1e-3
    for tables in (elbo, target):
        assert float(tables.model_gap.max()) < 1e-5
    assert int((cluster_share(target) > 0.9).sum()) >= 19
