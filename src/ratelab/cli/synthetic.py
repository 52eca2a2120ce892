"""Finished critics of two known Gaussians: what the density-ratio trick found, and the truth."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ratelab.cli.options import find_run
from ratelab.core.errors import UserError


def synthetic_records(runs: Sequence[str], store: Path) -> list[dict[str, Any]]:
    """The named runs, or all of the store, by dimension and seed; :class:`UserError` where there is none, or a named one is none."""
    from ratelab.analysis.point import one
    from ratelab.analysis.records import read_record, read_records

    named = [read_record(find_run(run, store)) for run in runs]
    advice = "make some with 'ratelab sweep rosca2018/synthetic-kl'"
    found = []
    for record in named or read_records(store):
        if "synthetic_kl" in record.estimates and record.status == "done":
            truth, estimate, bias, dv, nwj = (
                one(record.estimates, f"synthetic_kl{part}") for part in ("_true", "", "_bias", "_dv", "_nwj")
            )
            size = record.recipe["data"]["dimensions"]
            known = {"run": record.run, "title": f"n = {size}", "seed": record.recipe["seed"], "dimensions": float(size)}
            numbers = {"truth": truth, "estimate": estimate, "bias": bias, "dv": dv, "nwj": nwj}
            found.append({**known, **{name: number.value for name, number in numbers.items()}})
        elif named:
            raise UserError(f"run {record.run} is no finished critic of two known Gaussians; {advice}")
    if not found:
        raise UserError(f"the store {store} holds no finished critic of two known Gaussians; {advice}")
    return sorted(found, key=lambda record: (record["dimensions"], record["seed"]))
