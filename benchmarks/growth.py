"""How listing, frontier and report grow with the number of runs in a store: seconds, megabytes, and the opening of the page.

    python benchmarks/growth.py                 stores of 10, 100 and 1000 runs, written by hand in the format of run folders
    python benchmarks/growth.py --runs 10,100

Each number is the median of --repeats. "cpu" is the processor time of this process; "opens" is the wall time from the address to the
drawn plane in headless Chromium, where there is one and playwright is installed. Goals for 1000 runs: made in 10 s, 15 MB, open in 3 s.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ratelab.analysis.plane import frontier_document
from ratelab.analysis.progress import progress_document
from ratelab.report import write_report
from ratelab.store import Store

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from synthetic_store import write_many


def seconds(act: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median wall and processor seconds of an act."""
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        act()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return statistics.median(walls), statistics.median(cpus)


def opening(page: Path, repeats: int) -> float | None:
    """Seconds until Chromium has drawn the plane; None where there is no Chromium."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        return None
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page(viewport={"width": 1200, "height": 900})

        def visit() -> None:
            tab.goto(page.as_uri())
            tab.wait_for_selector(".plot path.point")

        found, _ = seconds(visit, repeats)
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", default="10,100,1000")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(f"load at the start {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        write_report(write_many(Path(folder) / "warm", 3), Path(folder) / "warm.html")
        for runs in map(int, arguments.runs.split(",")):
            store, page = write_many(Path(folder) / str(runs), runs), Path(folder) / f"{runs}.html"
            acts: dict[str, Callable[[], object]] = {
                "listing": Store(store).runs,
                "status": lambda store=store: progress_document(store),
                "frontier": lambda store=store: frontier_document(store),
                "report": lambda store=store, page=page: write_report(store, page),
            }
            for name, act in acts.items():
                wall, cpu = seconds(act, arguments.repeats)
                print(f"{runs:5} runs  {name:9} {wall:8.3f} s wall {cpu:8.3f} s cpu {1000 * cpu / runs:8.2f} ms cpu per run")
            opened = opening(page, arguments.repeats)
            print(
                f"{runs:5} runs  page      {page.stat().st_size / 1e6:8.2f} MB"
                + ("" if opened is None else f"   opens in {opened:.2f} s")
            )


if __name__ == "__main__":
    main()
