"""The same sweep by each engine, side by side: wall seconds once the workers are up, medians and ratios to the process pool.

    python benchmarks/engines.py                        16 runs of a digits VAE, local and ray, each run by itself
    python benchmarks/engines.py --engines local,ray,slurm

An engine is opened once and first makes one small run on each worker, so that processes are started and libraries loaded; then the
engines take turns with fresh stores. slurm stands for submitit's local executor, which starts a process for each job. Goal: ray at
most 1.1 times local.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from ratelab.runs import Circumstances, Recipe, expand, read_recipe
from ratelab.runs.engines import Engine, open_engine
from ratelab.runs.execute import Run
from ratelab.runs.sweep import Sweep
from ratelab.store import Store

OPTIONS = {"local": {}, "ray": {}, "slurm": {"cluster": "local"}}
UNDER = Circumstances()


def recipes(runs: int, epochs: int, first: int) -> list[Recipe]:
    seeds = ",".join(str(first + n) for n in range(runs))
    return expand(read_recipe("digits/vae"), [f"seed={seeds}", f"training.epochs={epochs}"])


def sweep(engine: Engine, store: Store, chosen: list[Recipe]) -> float:
    """Wall seconds of a sweep in a store that was empty before."""
    runs = {Run(recipe, store, UNDER).folder.id: recipe for recipe in chosen}
    started = time.perf_counter()
    results = Sweep(runs, store, UNDER, engine, 1, None, None).run()
    assert all(found["status"] == "done" for found in results), results
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", default="local,ray")
    parser.add_argument("--runs", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    names = arguments.engines.split(",")
    print(f"{arguments.runs} runs of {arguments.epochs} epochs, {arguments.workers} workers, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        # One store for each engine: its workers are bound to it. Every turn has seeds of its own, so no run is there before.
        stores = {name: Store.create(Path(folder) / name) for name in names}
        engines = {name: open_engine(name, OPTIONS[name], stores[name].path, UNDER, arguments.workers, 10**6) for name in names}
        took: dict[str, list[float]] = {name: [] for name in names}
        try:
            for name in names:
                sweep(engines[name], stores[name], recipes(2 * arguments.workers, 1, 10**6))
            for turn in range(arguments.repeats):
                for name in names if turn % 2 == 0 else reversed(names):
                    took[name].append(
                        sweep(engines[name], stores[name], recipes(arguments.runs, arguments.epochs, turn * 1000))
                    )
        finally:
            for engine in engines.values():
                engine.close()
    for name in names:
        ratios = [mine / base for mine, base in zip(took[name], took[names[0]], strict=True)]
        middle, low, high = statistics.median(took[name]), min(took[name]), max(took[name])
        print(
            f"  {name:6} {middle:7.2f} s ({low:.2f} to {high:.2f})   x{statistics.median(ratios):.3f} of {names[0]}, median of pairs"
        )


if __name__ == "__main__":
    main()
