"""Grids of two-layer models on the page: turned, clicked, read by score, with holes, on a phone, in the dark, and with scripts off."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ratelab.report import write_report
from ratelab.store import Store
from synthetic_grid import write_grid
from synthetic_store import run_id
from visits import HORIZONTAL_OVERFLOW, Visit, violations, visit

HOLE = (10.0, 10.0)
WIDE = {"width": 1200, "height": 900}


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grid")
    return write_report(write_grid(folder / "store", holes=(HOLE,)), folder / "report.html")[0]


@pytest.fixture
def wide(browser: Any, grid: Path) -> Iterator[Visit]:
    found = visit(browser, grid, viewport=WIDE)
    yield found
    assert found.errors == []
    assert {url for url in found.requests if not url.startswith("data:")} == {grid.as_uri()}
    found.page.context.close()


def place(page: Any, drawing: str, run: str) -> tuple[float, float]:
    """The middle of a run's mark in a drawing."""
    mark = page.locator(f".landscape svg.{drawing} g[data-run='{run}']")
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def shown(page: Any) -> dict[str, bytes]:
    figures = page.locator(".landscape .detail .pictures figure").all()
    return {
        f.locator("figcaption").inner_text(): base64.b64decode(f.locator("img").get_attribute("src").split(",")[1])
        for f in figures
    }


def faces(page: Any) -> list[str]:
    return page.evaluate(
        "[...document.querySelectorAll('.landscape svg.surface polygon.face')].map(f => f.getAttribute('points'))"
    )  # type: ignore[no-any-return]


@pytest.mark.parametrize("drawing", ["surface", "rates", "prices", "hull"])
def test_a_model_clicked_in_any_drawing_shows_its_samples_and_reconstructions(wide: Visit, grid: Path, drawing: str) -> None:
    run = run_id("0.1x10")
    wide.page.mouse.click(*place(wide.page, drawing, run))
    assert run in wide.page.locator(".landscape .detail").inner_text()
    files = Store(grid.parent / "store").run(run).pictures()
    expected = {"Reconstructions of test examples": "reconstructions", "Samples from the model": "samples"}
    assert shown(wide.page) == {caption: files[name].read_bytes() for caption, name in expected.items()}
    assert wide.page.locator(".landscape .ring.chosen").count() == 4
    assert "psnr" in wide.page.locator(".landscape .detail table").inner_text()


def test_the_surface_turns_when_it_is_dragged_and_by_buttons(wide: Visit) -> None:
    page = wide.page
    start = faces(page)
    surface = page.locator(".landscape svg.surface")
    surface.scroll_into_view_if_needed()
    box = surface.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 80, y + 20, steps=4)
    page.mouse.up()
    dragged = faces(page)
    assert len(dragged) == len(start) == 3  # of 4 faces one has a corner without a run
    assert set(dragged).isdisjoint(start)
    assert page.locator(".landscape .detail h4").count() == 0  # a drag chooses nothing
    page.get_by_label("Turn back to the start").click()
    assert faces(page) == start
    page.get_by_label("Turn left").focus()
    page.keyboard.press("Enter")
    assert faces(page) != start


def test_another_score_has_other_values_and_another_hull(wide: Visit) -> None:
    page = wide.page
    options = page.locator(".landscape select option").all_inner_texts()
    assert options[:2] == ["distortion D (nats), lower is better", "PSNR (dB), higher is better"]
    assert [words.split(",")[0] for words in options[2:]] == ["accuracy", "accuracy"]
    colours = "[...document.querySelectorAll('.landscape svg.prices rect[fill]')].map(r => r.getAttribute('fill'))"
    before = page.evaluate(colours)
    page.locator(".landscape select").select_option(label="PSNR (dB), higher is better")
    assert page.evaluate(colours) != before
    title = page.locator(f".landscape svg.rates g[data-run='{run_id('1x1')}'] title").text_content()
    assert title.startswith("β₂ = 1, β₁ = 1, VAE\nR₂ = 3, R₁ = 8 nats\nPSNR (dB): 14.796")
    assert "PSNR (dB)" in page.locator(".landscape svg.hull").text_content()


def test_lines_of_equal_total_rate_baselines_and_hull_are_marked(wide: Visit) -> None:
    count = lambda kind: wide.page.locator(f".landscape svg.rates {kind}").count()  # noqa: E731
    assert count("line.iso") == 6
    assert count(".ring.vae") == 1
    assert count(".ring.beta") == 1  # of two other equal pairs one is the hole
    assert count(".ring.best") == wide.page.locator(".landscape svg.hull .ring.best").count() > 1


def test_what_is_missing_is_said(wide: Visit) -> None:
    assert wide.page.locator(".landscape .missing").inner_text() == "1 of 9 pairs of prices have no run"
    assert wide.page.locator(".landscape svg.prices rect[fill]").count() == 8


def test_a_grid_on_a_phone_in_the_dark_and_without_barriers(browser: Any, grid: Path) -> None:
    phone = visit(browser, grid, viewport={"width": 375, "height": 700}, is_mobile=True, has_touch=True, color_scheme="dark")
    page = phone.page
    page.touchscreen.tap(*place(page, "rates", run_id("1x0.1")))
    page.wait_for_selector(".landscape .detail table")
    assert run_id("1x0.1") in page.locator(".landscape .detail").inner_text()
    assert page.evaluate(HORIZONTAL_OVERFLOW) <= 0
    assert violations(page) == []
    assert phone.errors == []
    page.context.close()


def test_drawings_replace_the_static_figures_only_where_scripts_run(browser: Any, grid: Path, wide: Visit) -> None:
    assert wide.page.locator(".landscape + .static").is_hidden()
    page = visit(browser, grid, viewport=WIDE, java_script_enabled=False).page
    assert page.locator(".landscape").is_hidden()
    assert page.locator(".landscape + .static img").count() == 4
    assert page.locator(".landscape + .static img").first.bounding_box()["height"] > 200
    page.context.close()
