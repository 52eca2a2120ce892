"""Training in bfloat16: networks are rounded, parameters and everything measured are not; stacks do what a training alone does."""

from pathlib import Path

import pytest
import torch
from test_stack import QUICK, alone, assert_close, betas, clockless, stacked, trainer
from tiny_runs import tiny

from ratelab.core.errors import UserError
from ratelab.runs import Circumstances, execute, open_run
from ratelab.runs.execute import Run
from ratelab.store import Store
from ratelab.training import StackTrainer, unpack
from ratelab.training.tally import Tally


def test_the_loss_is_rounded_and_what_is_kept_is_not() -> None:
    rounded, plain = trainer(precision="bf16"), trainer()
    ours, theirs = alone(rounded), alone(plain)
    losses = [(a["train/loss"], b["train/loss"]) for a, b in zip(ours, theirs, strict=True)]
    assert all(a != b for a, b in losses)
    assert all(a == pytest.approx(b, rel=5e-3) for a, b in losses)
    tensors, _ = rounded.full_state()
    assert all(t.dtype in {torch.float32, torch.uint8} for t in tensors.values())


def test_validation_is_in_float32() -> None:
    member, in_a_stack = (trainer(precision="bf16", validate_every=1) for _ in range(2))
    stack = StackTrainer({"0": in_a_stack})
    for made, row in ((member, member.run_epoch()), (in_a_stack, stack.run_epoch()["0"])):
        made.model.eval()
        tally, noise = Tally(), made.validation_noise()
        for batch in made.validation_loader.ordered():
            tally.see(made.model(batch, noise), batch.size)
        assert row["validation/distortion"] == pytest.approx(tally.row("validation")["validation/distortion"], rel=1e-6)


@pytest.mark.parametrize("case", ["vae", *(pytest.param(case, marks=pytest.mark.slow) for case in sorted(QUICK - {"vae"}))])
def test_a_stack_in_bfloat16_trains_as_alone_within_its_rounding(case: str) -> None:
    def members() -> list:
        return [trainer(case, {"name": "beta", "beta": 0.5 + seed}, seed, precision="bf16") for seed in range(2)]

    ours, theirs = stacked(members()), [alone(member) for member in members()]
    assert_close(
        [[row["train/loss"] for row in rows] for rows in ours], [[r["train/loss"] for r in rows] for rows in theirs], 2e-3
    )


def test_the_program_of_a_stack_is_in_bfloat16() -> None:
    plain, rounded = (stacked([trainer(precision=precision)])[0] for precision in ("float32", "bf16"))
    assert all(abs(a["train/loss"] / b["train/loss"] - 1) > 1e-6 for a, b in zip(plain, rounded, strict=True))


def test_a_training_in_bfloat16_cut_and_continued_is_bit_identical() -> None:
    whole, first, again = (trainer(precision="bf16", epochs=6) for _ in range(3))
    rows = alone(whole)
    for _ in range(3):
        first.run_epoch()
    again.restore(first.save())
    assert alone(again) == rows[3:]
    assert again.save() == whole.save()


def test_a_stack_in_bfloat16_cut_and_continued_is_bit_identical() -> None:
    options = {"precision": "bf16", "epochs": 6}
    rows = stacked(betas(**options))
    first, again = StackTrainer({str(i): m for i, m in enumerate(betas(**options))}), betas(**options)
    head = [first.run_epoch() for _ in range(3)]
    for name, (tensors, facts) in unpack(first.save(), "the stack").items():
        again[int(name)].load_full_state(tensors, facts, "the stack")
    tail = stacked(again)
    assert [[clockless(row[str(i)]) for row in head] + tail[i] for i in range(3)] == rows


def test_precision_is_part_of_a_runs_identity_and_results_are_float32(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "runs")
    results = execute(tiny("training.precision=bf16"), store)
    assert results["run"] != Run(tiny(), store, Circumstances()).folder.id
    assert results["recipe"]["training"]["precision"] == "bf16"
    trained = open_run(store.run(results["run"]))
    assert all(p.dtype == torch.float32 for p in trained.model.parameters())


@pytest.mark.parametrize(("value", "hint"), [("bf61", "'float32' or 'bf16'"), ("16", "'float32' or 'bf16'")])
def test_an_unknown_precision_is_one_line(value: str, hint: str) -> None:
    with pytest.raises(UserError, match=f"training.precision: must be {hint}; got"):
        tiny(f"training.precision={value}")
