"""A browser for the report page; the tests are skipped where the machine has none."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ratelab.report import write_report
from synthetic_store import write_sweep
from visits import Visit, visit

sync_api = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    return write_report(write_sweep(folder / "store"), folder / "report.html")[0]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no chromium on this machine")
    with sync_api.sync_playwright() as play:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        running = play.chromium.launch(executable_path=program, args=options)
        yield running
        running.close()


@pytest.fixture(scope="module")
def desktop(browser: Any, report: Path) -> Iterator[Visit]:
    found = visit(browser, report, viewport={"width": 1200, "height": 900})
    yield found
    found.page.context.close()


@pytest.fixture(scope="module")
def phone(browser: Any, report: Path) -> Iterator[Visit]:
    found = visit(browser, report, viewport={"width": 375, "height": 700}, is_mobile=True, has_touch=True)
    yield found
    found.page.context.close()


@pytest.fixture(scope="module")
def without_scripts(browser: Any, report: Path) -> Iterator[Visit]:
    found = visit(browser, report, viewport={"width": 1200, "height": 900}, java_script_enabled=False)
    yield found
    found.page.context.close()


@pytest.fixture(scope="module")
def dark(browser: Any, report: Path) -> Iterator[Visit]:
    found = visit(browser, report, viewport={"width": 1200, "height": 900}, color_scheme="dark")
    yield found
    found.page.context.close()
