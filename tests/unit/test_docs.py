"""What the pages promise runs: every Python example, the coverage page, the reference, the list of rooms."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = {p: found for p in PAGES if (found := re.findall(r"```python\n(.*?)```", p.read_text(), re.S))}


@pytest.mark.parametrize("page", EXAMPLES, ids=lambda p: p.name)
def test_python_examples_run(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One after another, as a reader types them: a later one may use what an earlier one made."""
    names: dict[str, object] = {}
    for code in EXAMPLES[page]:
        exec(compile(code, str(page), "exec"), names)
        assert "nats" in capsys.readouterr().out or "print" not in code


def test_the_readme_example_is_short() -> None:
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert code is not None
    assert len([line for line in code[1].splitlines() if line.strip()]) <= 15


@pytest.mark.parametrize("script", ["make_coverage.py", "make_reference.py"])
def test_generated_pages_are_up_to_date(script: str) -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target
