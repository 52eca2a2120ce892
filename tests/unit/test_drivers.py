"""The papers' full grids as sweeps that any engine takes: which runs they are."""

from collections import Counter

from ratelab.runs import expand, read_recipe
from ratelab.runs.recipe import canonical

BETAS = [0.1, 0.15, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.5, 2.0, 4.0, 10.0]


def test_the_mnist_grid_of_alemi_has_every_family_at_every_beta_with_and_without_annealing() -> None:
    runs = expand(read_recipe("alemi2018/mnist-families"), ["objective.annealing=0,100"])
    families = Counter(canonical(run.model) for run in runs)
    assert set(families.values()) == {2 * len(BETAS)}
    assert len(families) == 12
    assert Counter((run.objective["beta"], run.objective["annealing"]) for run in runs) == {
        (beta, annealing): 12 for beta in BETAS for annealing in (0.0, 100.0)
    }
    assert all(run.training.epochs == 200 for run in runs)


def test_the_grid_of_xiao_and_bamler_holds_its_baselines() -> None:
    runs = expand(read_recipe("xiao2023/mnist-grid"))
    pairs = [tuple(run.objective["beta"]) for run in runs]
    assert len(set(pairs)) == len(runs) == 441
    assert (1.0, 1.0) in pairs
    assert sum(top == bottom for top, bottom in pairs) == 21
    assert {min(p) for p in zip(*pairs, strict=True)} == {0.1}
    assert {max(p) for p in zip(*pairs, strict=True)} == {10.0}
