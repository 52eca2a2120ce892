"""The page as text: complete, escaped, self-contained, and honest about what is missing."""

import itertools
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ratelab.core.errors import UserError
from ratelab.core.estimate import Estimate
from ratelab.report import write, write_report
from ratelab.store import Store
from synthetic_store import recipe, run_id, write_run, write_sweep


class Reader(HTMLParser):
    """Collects tags with their attributes, and the text outside scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts.append(data)
        elif self.inside != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def data(self) -> dict[str, dict[str, object]]:
        return json.loads(self.scripts[0])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("report")
    return write_report(write_sweep(folder / "store"), folder / "out" / "report.html", title="Digits & sweeps")


@pytest.fixture(scope="module")
def page(written: list[Path]) -> Reader:
    return Reader(written[0].read_text())


def test_the_page_and_its_figures_are_written(written: list[Path]) -> None:
    assert written[0].name == "report.html"
    assert {p.name for p in written[1:]} == {
        f"{name}.{kind}" for name in ("plane", "plane-sum", "curves", "phase-diagram") for kind in ("svg", "png")
    }
    assert all(p.parent.name == "report-figures" and p.stat().st_size > 1000 for p in written[1:])
    assert not list(written[0].parent.rglob("*.tmp"))
    assert written[0].stat().st_size < 8_000_000


def test_nothing_on_the_page_comes_from_elsewhere(page: Reader) -> None:
    addresses = [value for _, a in page.tags for key, value in a.items() if key in ("src", "href", "xlink:href", "action")]
    assert addresses
    assert all(str(value).startswith(("data:image/", "#")) for value in addresses)
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a)
    assert "default-src 'none'" in str(policy)


def test_links_inside_the_page_lead_somewhere(page: Reader) -> None:
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {str(a["href"])[1:] for tag, a in page.tags if tag == "a"} <= set(ids)


def test_every_picture_has_an_alternative_and_headings_are_in_order(page: Reader) -> None:
    assert all(a.get("alt") for tag, a in page.tags if tag == "img")
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))


def test_every_estimate_says_what_it_claims(page: Reader) -> None:
    assert "20.67 ± 0.20 nats exact rate 200" in page.text
    assert "nats upper bound negative log-likelihood 200" in page.text
    assert "∞: the encoder is deterministic" in page.text


def test_failures_are_listed_with_their_reasons(page: Reader) -> None:
    assert f"{run_id('b0ad')} : diverged: the loss became NaN in epoch 3." in page.text
    assert f"{run_id('f00f')} : stopped." in page.text
    drawn = [run for family in page.data["planes"]["data-1"]["families"] for run in family["runs"]]  # type: ignore[index]
    assert len(drawn) == 18
    assert not {run_id("b0ad"), run_id("de7e"), run_id("f00f")} & set(drawn)


def test_the_words_are_explained_and_papers_cited(page: Reader) -> None:
    for word in ("Rate R", "Distortion D", "Achieved frontier", "Convex hull", "One standard error", "Ĥ"):
        assert word in page.text
    for key in ("alemi2018fixing", "higgins2017beta", "xiao2023trading", "kingma2014auto"):
        assert f"{{{key}," in page.text
    assert "rosca2018distribution" not in page.text
    assert "torch 2.13.0" in page.text


def test_pictures_are_embedded_once(written: list[Path], page: Reader) -> None:
    sources = re.findall(r"data:image/png;base64,[A-Za-z0-9+/=]{200,}", written[0].read_text())
    shown = {key for names in page.data["shown"].values() for key in names.values()}  # type: ignore[attr-defined]
    on_page = {a["data-picture"] for _, a in page.tags if "data-picture" in a}
    assert len(set(sources)) == len(shown)
    assert set(page.data["pictures"]) == shown - on_page


def test_a_page_that_would_grow_too_large_leaves_pictures_in_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i, name in enumerate(("a", "b", "c")):
        write_run(tmp_path / "s", name, [1.0], 3.0 + i)
    one = sum(path.stat().st_size for path in Store(tmp_path / "s").run(run_id("a")).pictures().values())
    monkeypatch.setattr(write, "room", lambda chapters, phase, runs: int(1.5 * one))
    found = Reader(write_report(tmp_path / "s", tmp_path / "r.html")[0].read_text())
    assert set(found.data["shown"]) == {run_id("a")}
    assert found.data["leftOut"] == [run_id("b"), run_id("c")]


def test_text_from_recipes_cannot_become_markup(tmp_path: Path) -> None:
    nasty = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    for i, name in enumerate((nasty, "mlp")):
        model = {"name": "vae", "decoder": {"name": name}}
        write_run(tmp_path / "s", "ab"[i], [1.0 + i], 3.0 - i, given=recipe(1.0, model, data=nasty))
    write_run(tmp_path / "s", "c", status="failed", why=nasty, given=recipe(data=nasty))
    found = Reader(write_report(tmp_path / "s", tmp_path / "r.html", title=nasty)[0].read_text())
    assert not any("onerror" in a for _, a in found.tags)
    assert len([1 for tag, _ in found.tags if tag == "script"]) == 3
    assert found.data["planes"]["data-1"]["data"] == nasty
    assert nasty in found.text


def test_each_data_set_has_its_own_plane(tmp_path: Path) -> None:
    write_run(tmp_path / "s", "a", [1.0], 3.0)
    write_run(tmp_path / "s", "b", [200.0], 3.0, given=recipe(data="mnist"))
    files = write_report(tmp_path / "s", tmp_path / "r.html")
    found = Reader(files[0].read_text())
    assert set(found.data["planes"]) == {"data-1", "data-2"}
    assert {"data-1-plane.svg", "data-2-plane.svg"} <= {p.name for p in files}
    assert "Ĥ diagonal, autoencoder" in found.text


def test_a_damaged_run_is_named_and_the_rest_is_drawn(tmp_path: Path) -> None:
    write_run(tmp_path / "s", "a", [1.0], 3.0)
    for name, file in (("b", "results.json"), ("c", "recipe.json"), ("d", "provenance.json")):
        (write_run(tmp_path / "s", name, [2.0], 3.0).path / file).write_text("{")
    (write_run(tmp_path / "s", "e").path / "recipe.json").write_text('{"data": 3}')
    (tmp_path / "s" / run_id("e") / "results.json").unlink()
    found = Reader(write_report(tmp_path / "s", tmp_path / "r.html")[0].read_text())
    assert "5 runs of the store" in found.text
    assert found.text.count(": damaged: ") == 4
    assert "unknown recipe" in found.text


def test_a_store_without_a_plane_still_gets_a_page(tmp_path: Path) -> None:
    unknown = Estimate(float("nan"), float("nan"), 9, of="distortion", why="the generator has no likelihood").to_json()
    write_run(tmp_path / "s", "a", [1.0], 3.0, changes={"distortion": unknown})
    found = Reader(write_report(tmp_path / "s", tmp_path / "r.html")[0].read_text())
    assert "there is no plane to draw" in found.text
    assert "unknown: the generator has no likelihood" in found.text


@pytest.mark.parametrize("name", ["report", "report.pdf", "folder.html"])
def test_an_output_that_is_no_page_is_a_users_mistake(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.html").mkdir()
    write_run(tmp_path / "s", "a", [1.0], 3.0)
    with pytest.raises(UserError, match=r"ends in \.html"):
        write_report(tmp_path / "s", tmp_path / name)


def test_a_store_with_nothing_finished_is_a_users_mistake(tmp_path: Path) -> None:
    write_run(tmp_path / "s", "a", status="running")
    with pytest.raises(UserError, match="no finished run"):
        write_report(tmp_path / "s", tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_neither_room_imports_torch() -> None:
    code = "import sys, ratelab.analysis.plane, ratelab.analysis.paired, ratelab.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
