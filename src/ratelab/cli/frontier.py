"""``ratelab frontier``: what a store's runs achieve together."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ratelab.cli.options import DEFAULT_STORE, AsJson, find_run
from ratelab.cli.terminal import answer, answers, print_json
from ratelab.core.at import parted

StoreFolder = Annotated[Path, Parameter(name="--store", help="Folder that holds the runs.")]


def frontier_command(
    store: StoreFolder = DEFAULT_STORE,
    *,
    data: Annotated[
        str | None, Parameter(help="Which data set (and kind of likelihood), where the store holds several.")
    ] = None,
    compare: Annotated[
        tuple[str, str] | None, Parameter(help="Two runs (folders, or starts of ids) to compare on the same test examples.")
    ] = None,
    per_task: Annotated[
        bool, Parameter(help="Every score the runs were measured with: the best run, and the best for each total rate.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """The achieved frontier, its hull, H-hat and the best model per task.

    For example:

      ratelab frontier ratelab-demo
      ratelab frontier ratelab-demo --per-task
      ratelab frontier ratelab-demo --compare 3fa c01

    The frontier is every run that no other run beats on both rate R and
    distortion D; the hull is what a sweep of beta can reach; H-hat = min(D + R)
    bounds the entropy of the data from above (for decoders that give densities, the
    differential entropy; they have a plane of their own). The best models are chosen
    on the validation split. The region says where a run lies in the phase diagram,
    H-hat standing in for the entropy. All numbers are nats per example on the test
    split, with one standard error. With --per-task: each score that 'ratelab evaluate'
    or the recipe measured (psnr, accuracies, information about the label, ...), the best
    run and, for a given total rate, the runs on the upper hull. With --compare: the mean difference of two runs
    over the same test examples, much sharper than the difference of two means.
    """
    if compare is not None:
        _compare(store, compare, as_json)
        return
    from ratelab.analysis.plane import frontier_document, plane, planes

    if as_json:
        print_json(frontier_document(store, data, per_task))
        return
    from ratelab.cli.tables import print_plane, print_tasks

    for each in planes(store) if data is None else [plane(store, data)]:
        print_plane(each, answers())
        if per_task:
            print_tasks(each, answers())


def _compare(store: Path, names: tuple[str, str], as_json: bool) -> None:
    from ratelab.analysis.paired import compare_document
    from ratelab.analysis.records import read_record, record_at
    from ratelab.cli.tables import print_comparison

    asked = [parted(name) for name in names]
    first, second = (record_at(read_record(find_run(name, store)), betas) for name, betas in asked)
    document = {**compare_document(first, second), "store": str(store)}
    answer(document, as_json, lambda out: print_comparison(document, out))
