"""Requested rates against what was reached, and against beta-VAEs of the same networks, steps and data, from a store.

    ratelab sweep steering/mnist-rate --store targets
    ratelab sweep steering/mnist-beta --store targets
    python benchmarks/rate_targets.py targets

One line for each run that was given a rate: the held-out rate and its error, the tolerance (2 % or 0.1 nat, the larger), and the distortion
less that of the beta-VAEs at this rate. Theirs is a mean over seeds at each beta, moved along the frontier with its slope -beta to the
rate at hand, from the beta whose rate is nearest; runs of the same seed share their initial weights and order of examples.
"""

import argparse
from pathlib import Path

import numpy as np

from ratelab.analysis.records import Record, read_records
from ratelab.core.estimate import Estimate
from ratelab.core.target import tolerance


def value(record: Record, name: str) -> float:
    found = record.estimates[name]
    assert isinstance(found, Estimate)
    return found.value


def fixed(records: list[Record]) -> list[tuple[float, float, float, float]]:
    """(beta, R, D, spread of D + beta R over seeds) of the beta-VAEs, means over their seeds."""
    found: dict[float, list[tuple[float, float]]] = {}
    for record in records:
        if record.recipe["objective"]["name"] == "beta":
            point = value(record, "rate"), value(record, "distortion")
            found.setdefault(record.recipe["objective"]["beta"], []).append(point)
    return [
        (beta, *np.mean(points, axis=0), float(np.std([d + beta * r for r, d in points])))
        for beta, points in sorted(found.items())
    ]


def excess(rate: float, distortion: float, curve: list[tuple[float, float, float, float]]) -> tuple[float, float]:
    """Distortion less the beta-VAEs' at the same rate, and the distance in rate that they were moved. Nats."""
    beta, nearest, theirs, _ = min(curve, key=lambda point: abs(point[1] - rate))
    return distortion - (theirs + beta * (nearest - rate)), rate - nearest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    records = [record for record in read_records(parser.parse_args().store) if record.status == "done"]
    curve = fixed(records)
    for beta, rate, distortion, spread in curve:
        print(f"beta {beta:<5g} R {rate:7.3f}  D {distortion:8.3f}  (spread of D + beta R over seeds {spread:.2f})")
    asked = [r for r in records if r.recipe["objective"]["name"] == "controlled-rate"]
    for record in sorted(asked, key=lambda r: (str(r.recipe["objective"]["rate"]).zfill(8), r.recipe["seed"])):
        request, seed = record.recipe["objective"]["rate"], record.recipe["seed"]
        if isinstance(request, list):
            rates = [layer.value for layer in record.estimates["rates"]]  # type: ignore[union-attr]
            errors = ", ".join(f"{r - t:+.3f} (of {tolerance(t):.2f})" for r, t in zip(rates, request, strict=True))
            print(f"asked {request}, seed {seed}: R {[round(r, 3) for r in rates]}, off by {errors}")
            continue
        rate, distortion = value(record, "rate"), value(record, "distortion")
        off = f"off by {rate - request:+.3f} (of {tolerance(request):.2f})"
        line = f"asked {request:<4g} seed {seed}: R {rate:7.3f}, {off}, D {distortion:8.3f}"
        if curve:
            line += ", less the beta-VAEs' {:+.2f} (moved by {:+.2f} in R)".format(*excess(rate, distortion, curve))
        print(line)


if __name__ == "__main__":
    main()
