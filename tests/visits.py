"""Pages opened in a browser, what went wrong on them, and the barriers that axe finds."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

HORIZONTAL_OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"


@dataclass
class Visit:
    """An open page, and what went wrong on it: console errors, exceptions, requests to anywhere but the file itself."""

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def visit(browser: Any, report: Path, **context: Any) -> Visit:
    """Open the report in a fresh context and wait for the plane where scripts run."""
    found = Visit(browser.new_context(**context).new_page())
    found.page.on("console", lambda message: found.errors.append(message.text) if message.type == "error" else None)
    found.page.on("pageerror", lambda error: found.errors.append(str(error)))
    found.page.on("request", lambda request: found.requests.append(request.url))
    found.page.goto(report.as_uri())
    if context.get("java_script_enabled", True):
        found.page.wait_for_selector(".plot path.point")
    return found


def violations(page: Any) -> list[str]:
    """What axe-core finds, of any severity."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page).response["violations"]
    return [f"{v['id']} ({v['impact']}): {v['nodes'][0]['html'][:200]}" for v in found]
