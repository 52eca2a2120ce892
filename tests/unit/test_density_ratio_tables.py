"""The driver behind docs/results/density-ratios.md, at a size of seconds: every table it prints."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from ratelab.core.estimate import Estimate
from ratelab.store import Store

SCRIPT = Path(__file__).parents[2] / "docs" / "make_density_ratios.py"


@pytest.fixture(scope="module")
def driver() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_density_ratios", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def run(driver: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, str]:
    store = Store.create(tmp_path_factory.mktemp("ratios") / "runs")
    return store, driver.trained(store, "digits", 8)


def cells(table: str) -> list[list[str]]:
    """Headings and rows of a table in Markdown, without the rule between them."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return [lines[0], *lines[2:]]


def shown(found: Estimate) -> str:
    return f"{found.value:.2f} ± {found.stderr:.2f}"


@pytest.mark.spec("DM53", "DM54")
def test_the_sensitivity_table_has_every_configuration_beside_monte_carlo(driver: ModuleType, run: tuple[Store, str]) -> None:
    driver.CRITIC["width"] = 16
    reference = driver.measured(*run, {"name": "marginal-kl"})[0]
    rows = list(driver.sensitivity(*run, 40))
    assert len(rows) >= 6
    assert {key for row in rows for key in row["change"]} >= {"noise", "lr", "penalty", "dropout", "layers"}
    assert len({row["run"] for row in rows}) == len(rows), "each is a helper of its own"
    for row in rows:
        for name, bound in (("ratio", "estimate"), ("dv", "lower"), ("nwj", "lower")):
            found = row["estimates"][f"marginal_kl_{name}"]
            assert isinstance(found, Estimate)
            assert found.bound in (bound, "estimate")
        slack = 4 * (row["estimates"]["marginal_kl_nwj"].stderr + reference["marginal_kl"].stderr)
        assert row["estimates"]["marginal_kl_nwj"].value < reference["marginal_kl"].value + slack
    headings, monte_carlo, *body = cells(driver.comparison_table(reference, rows))
    assert headings[:4] == ["critic", "ratio trick", "Donsker-Varadhan", "NWJ"]
    assert monte_carlo[:2] == ["Monte Carlo", shown(reference["marginal_kl"])]
    assert "penalty 10" in [line[0] for line in body]
    for row, line in zip(rows, body, strict=True):
        assert line[1:4] == [shown(row["estimates"][f"marginal_kl_{name}"]) for name in ("ratio", "dv", "nwj")]


@pytest.mark.spec("DM55")
def test_all_density_models_lie_below_monte_carlo(driver: ModuleType, run: tuple[Store, str]) -> None:
    small = ({"components": 5, "steps": 100}, {"layers": 2, "hidden": [16], "steps": 100}, {"hidden": 8, "steps": 60})
    nodes = tuple({**node, **sizes} for node, sizes in zip(driver.DENSITIES, small, strict=True))
    reference = driver.measured(*run, {"name": "marginal-kl"})[0]
    rows = list(driver.gap(*run, 100, nodes))
    assert [row["model"] for row in rows] == ["gmm", "maf", "lstm"]
    for row in rows:
        (found,) = row["estimates"].values()
        assert found.bound == "lower"
        assert found.value < reference["marginal_kl"].value + 4 * (found.stderr + reference["marginal_kl"].stderr)
        assert row["seconds"] > 0
    _, monte_carlo, *body = cells(driver.gap_table(reference, rows))
    assert monte_carlo[:2] == ["Monte Carlo", shown(reference["marginal_kl"])]
    for row, line in zip(rows, body, strict=True):
        (found,) = row["estimates"].values()
        assert line[:2] == [row["model"], shown(found)]
        assert float(line[2]) == pytest.approx(reference["marginal_kl"].value - found.value, abs=0.006)
