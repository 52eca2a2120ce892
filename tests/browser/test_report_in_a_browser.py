"""The report page as a person meets it: at a desk, on a phone, in the dark, by keyboard, and with scripts off."""

import base64
from pathlib import Path
from typing import Any

import pytest

from ratelab.store import Store
from synthetic_store import run_id
from visits import HORIZONTAL_OVERFLOW, violations


def shown_pictures(page: Any) -> dict[str, bytes]:
    """Captions and content of the pictures of the chosen run."""
    figures = page.locator(".detail .pictures figure").all()
    return {
        f.locator("figcaption").inner_text(): base64.b64decode(f.locator("img").get_attribute("src").split(",")[1])
        for f in figures
    }


def point_at(page: Any, run: str) -> tuple[float, float]:
    """Where plotly drew the middle of the point of ``run``."""
    x, y = page.evaluate(
        """run => {
            const plot = document.querySelector(".plot");
            const trace = plot.data.findIndex(t => t.customdata && t.customdata.includes(run));
            const i = plot.data[trace].customdata.indexOf(run);
            const [x, y] = [plot.data[trace].x[i], plot.data[trace].y[i]];
            plot.scrollIntoView({ block: "center" });
            const box = plot.querySelector(".nsewdrag").getBoundingClientRect();
            const { xaxis, yaxis } = plot._fullLayout;
            return [box.left + xaxis.c2p(x), box.top + yaxis.c2p(y)];
        }""",
        run,
    )
    return x, y


def hover_point(page: Any, run: str) -> tuple[float, float]:
    """Put the pointer on the point of ``run`` until its label is there: plotly leaves an earlier one standing for a moment."""
    place = point_at(page, run)
    page.mouse.move(*place)
    page.wait_for_function("run => document.querySelector('.hoverlayer').textContent.includes(run)", arg=run)
    return place


def click_point(page: Any, run: str) -> None:
    page.mouse.click(*hover_point(page, run))


@pytest.mark.parametrize("name", ["13a7c9", "21a7c9"])
def test_clicking_a_point_shows_that_models_pictures_and_numbers(desktop: Any, report: Path, name: str) -> None:
    run = run_id(name)
    click_point(desktop.page, run)
    desktop.page.wait_for_function("run => document.querySelector('.detail').textContent.includes(run)", arg=run)
    files = Store(report.parent / "store").run(run).pictures()
    assert shown_pictures(desktop.page) == {
        "Reconstructions of test examples": files["reconstructions"].read_bytes(),
        "Samples from the model": files["samples"].read_bytes(),
    }
    value = Store(report.parent / "store").run(run).results()["estimates"]["distortion"]["value"]  # type: ignore[index]
    assert f"{value:.2f} ± 0.30" in desktop.page.locator(".detail table").inner_text()


def test_hovering_tells_the_run(desktop: Any) -> None:
    hover_point(desktop.page, run_id("13a7c9"))
    labels = desktop.page.locator(".hoverlayer .hovertext").all()
    assert len(labels) == 1
    assert "vae, conv" in labels[0].text_content()


def test_a_click_chooses_what_lies_under_the_pointer_even_while_the_label_is_another_points(desktop: Any) -> None:
    page = desktop.page
    hover_point(page, run_id("13a7c9"))
    place = point_at(page, run_id("21a7c9"))
    page.evaluate(  # all in one task, before plotly's label can follow
        """([x, y]) => {
            const layer = document.querySelector(".plot .nsewdrag");
            for (const type of ["mousemove", "mousedown", "mouseup"])
                layer.dispatchEvent(new MouseEvent(type, { bubbles: true, clientX: x, clientY: y, view: window }));
        }""",
        place,
    )
    page.wait_for_function("run => document.querySelector('.detail').textContent.includes(run)", arg=run_id("21a7c9"))


def test_the_other_view_holds_the_sums(desktop: Any) -> None:
    heights = "document.querySelector('.plot').data.find(t => t.customdata).y"
    before = desktop.page.evaluate(heights)
    desktop.page.get_by_label("D + R", exact=True).check()
    rates = desktop.page.evaluate("document.querySelector('.plot').data.find(t => t.customdata).x")
    assert desktop.page.evaluate(heights) == pytest.approx([d + r for d, r in zip(before, rates, strict=True)])
    assert "D + R (nats)" in desktop.page.locator(".plot").inner_text()
    desktop.page.get_by_label("distortion D").check()


def test_a_run_is_chosen_by_keyboard(desktop: Any) -> None:
    run = run_id("de7e")
    button = desktop.page.locator(f"button[data-run='{run}']")
    button.focus()
    desktop.page.keyboard.press("Enter")
    detail = desktop.page.locator(".detail")
    assert run in detail.inner_text()
    assert "∞: the encoder is deterministic" in detail.inner_text()
    assert desktop.page.evaluate("document.activeElement.closest('.detail') !== null")
    assert "Showing vae, mlp, autoencoder" in desktop.page.locator("[role=status]").inner_text()
    assert len(shown_pictures(desktop.page)) == 2


def test_the_page_asks_nobody_and_nothing_goes_wrong(desktop: Any, phone: Any, dark: Any, report: Path) -> None:
    for found in (desktop, phone, dark):
        assert found.errors == []
        assert {url for url in found.requests if not url.startswith("data:")} == {report.as_uri()}


def test_the_plane_replaces_the_static_figures_only_where_scripts_run(desktop: Any, without_scripts: Any) -> None:
    assert not desktop.page.locator(".static").is_visible()
    page = without_scripts.page
    assert not page.locator(".interactive").is_visible()
    assert page.locator("button:visible").count() == 0
    for image in page.locator(".static img").all():
        assert image.is_visible()
        assert image.bounding_box()["height"] > 200
    assert page.locator(".card .pictures img").count() == 6


def test_a_point_is_chosen_by_touch(phone: Any) -> None:
    run = run_id("13a7c9")
    x, y = point_at(phone.page, run)
    phone.page.touchscreen.tap(x, y)
    phone.page.wait_for_function("run => document.querySelector('.detail').textContent.includes(run)", arg=run)


def test_a_phone_scrolls_in_one_direction_only(phone: Any) -> None:
    assert phone.page.evaluate(HORIZONTAL_OVERFLOW) <= 0
    phone.page.locator("button.pick").first.tap()
    phone.page.wait_for_selector(".detail table")
    for summary in phone.page.locator("summary").all()[:2]:
        summary.tap()
    assert phone.page.evaluate(HORIZONTAL_OVERFLOW) <= 0
    plot = phone.page.locator(".plot").bounding_box()
    assert plot["x"] >= 0
    assert plot["x"] + plot["width"] <= 375


def test_the_legend_lies_below_the_axis_title(desktop: Any, phone: Any) -> None:
    for found in (desktop, phone):
        title = found.page.locator(".plot .xtitle").bounding_box()
        legend = found.page.locator(".plot .legend").bounding_box()
        assert title["y"] + title["height"] <= legend["y"] + 1


def test_no_barrier_is_found_by_axe(desktop: Any, phone: Any, dark: Any) -> None:
    desktop.page.locator("button.pick").first.click()
    for summary in desktop.page.locator("summary").all()[:2]:
        summary.click()
    for found in (desktop, phone, dark):
        assert violations(found.page) == []
