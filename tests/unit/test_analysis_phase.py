"""Regions of the phase diagram and behaviour categories."""

import pytest

from ratelab.analysis.phase import Behaviour, Region, behaviour, region

H = 80.0


@pytest.mark.spec("RD24")
@pytest.mark.parametrize(
    ("rate", "distortion", "expected"),
    [
        (0.0, H, Region.AUTODECODING),
        (H, 0.0, Region.AUTOENCODING),
        (30.0, H - 30.0, Region.DIAGONAL),
        (H + 5, 0.0, Region.BOTTOM),
        (0.0, H + 5, Region.LEFT),
        (40.0, 60.0, Region.INTERIOR),
        (30.0, 49.0, Region.INFEASIBLE),
        (-1.0, 90.0, Region.INFEASIBLE),
        (90.0, -1.0, Region.INFEASIBLE),
    ],
)
def test_regions(rate: float, distortion: float, expected: Region) -> None:
    assert region(rate, distortion, H) is expected


@pytest.mark.spec("RD24")
def test_the_tolerance_is_the_width_of_the_lines() -> None:
    assert region(0.4, H + 0.3, H, tolerance=1.0) is Region.AUTODECODING
    assert region(0.4, H + 0.3, H) is Region.INTERIOR
    assert region(30.0, 49.5, H, tolerance=1.0) is Region.DIAGONAL


def test_each_line_may_have_a_width_of_its_own() -> None:
    assert region(0.4, H - 0.1, H, tolerance=(0.5, 0.0, 0.1)) is Region.LEFT
    assert region(0.4, H - 0.1, H, tolerance=(0.1, 0.0, 0.5)) is Region.DIAGONAL
    assert region(H + 1, 0.4, H, tolerance=(0.0, 0.5, 0.0)) is Region.BOTTOM


def test_a_density_has_no_floor_under_its_distortion() -> None:
    assert region(90.0, -10.0, H, discrete=False) is Region.DIAGONAL
    assert region(90.0, -11.0, H, discrete=False) is Region.INFEASIBLE
    assert region(H + 5, 0.0, H, discrete=False) is Region.INTERIOR


@pytest.mark.spec("RD27")
@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (0.0004, Behaviour.AUTODECODER),
        (6.2, Behaviour.SEMANTIC),
        (120.3, Behaviour.SYNTACTIC),
        (156.0, Behaviour.AUTOENCODER),
    ],
)
def test_the_published_models_get_their_published_labels(rate: float, expected: Behaviour) -> None:
    assert behaviour(rate, "static_mnist") is expected


def test_the_limits_between_categories() -> None:
    names = [behaviour(rate, "mnist") for rate in (0.999, 1.0, 19.999, 20.0, 139.9, 140.0)]
    auto, semantic, syntactic, encoder = Behaviour
    assert names == [auto, semantic, semantic, syntactic, syntactic, encoder]


@pytest.mark.parametrize("data", ["omniglot", "digits", "color_mnist"])
def test_other_data_has_no_categories(data: str) -> None:
    assert behaviour(6.2, data) is None
