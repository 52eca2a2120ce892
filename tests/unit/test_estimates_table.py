"""The table of estimates shows every standard error that is not zero."""

import io
import math

import pytest
from rich.console import Console

from ratelab.cli.tables import estimates_table
from ratelab.core.estimate import Estimate


@pytest.mark.parametrize(
    ("stderr", "shown"),
    [(0.0012, "0.8012 ± 0.0012"), (0.0049, "0.8012 ± 0.0049"), (0.005, "0.80 ± 0.01"), (0.0, "0.80 ± 0.00")],
)
def test_a_small_standard_error_is_not_shown_as_none(stderr: float, shown: str) -> None:
    out = io.StringIO()
    record = Estimate(0.8012, stderr, 250, of="acceptance").to_json()
    Console(file=out, width=120).print(estimates_table({"estimates": {"ais_acceptance": record}}))
    assert shown in out.getvalue()


@pytest.mark.parametrize(
    ("unit", "stderr", "shown"), [("1", math.nan, "16 "), ("1", 0.5, "16.00 ± 0.50"), ("nat", math.nan, "16.00")]
)
def test_a_number_of_things_has_no_decimals(unit: str, stderr: float, shown: str) -> None:
    out = io.StringIO()
    record = Estimate(16.0, stderr, 250, of="units", unit=unit).to_json()
    Console(file=out, width=120).print(estimates_table({"estimates": {"active_units": record}}))
    assert shown in out.getvalue()


def test_the_table_says_of_how_many_examples() -> None:
    out = io.StringIO()
    Console(file=out, width=120).print(estimates_table({"estimates": {"iwae": Estimate(90.0, 1.0, 37, of="NLL").to_json()}}))
    assert out.getvalue().splitlines()[-1].split() == ["iwae", "90.00", "±", "1.00", "nats", "exact", "37", "NLL"]


def test_an_unknown_value_says_why() -> None:
    out = io.StringIO()
    record = Estimate(math.nan, math.nan, 37, of="rate", why="the encoder has no density").to_json()
    Console(file=out, width=120).print(estimates_table({"estimates": {"rate": record}}))
    assert "unknown" in out.getvalue()
    assert "rate: the encoder has no density" in out.getvalue()
