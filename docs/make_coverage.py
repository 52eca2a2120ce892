"""Writes docs/coverage.md: which feature of the papers is proved by which test.

    python docs/make_coverage.py           write the page
    python docs/make_coverage.py --check   fail if the page is not what the marks in tests/ say

The list of features is docs/features.tsv; a test claims one with ``@pytest.mark.spec("RD19")``.
"""

import argparse
import ast
import csv
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "coverage.md"
PAPERS = {
    "A18": "Alemi et al. 2018, Fixing a Broken ELBO",
    "X23": "Xiao and Bamler 2023, Trading Information between Latents in Hierarchical Variational Autoencoders",
    "R18": "Rosca et al. 2018, Distribution Matching in Variational Inference",
    "K19": "Kingma and Welling 2019, An Introduction to Variational Autoencoders",
    "C19": "Crescimanna and Graham 2019, The Variational InfoMax AutoEncoder",
    "all": "Shared by all papers",
    "named": "Named in the papers",
}


def claims() -> dict[str, list[str]]:
    """Feature id -> the tests that carry its mark, as ``file::test``."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef | ast.ClassDef):
                continue
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.spec":
                    for argument in mark.args:
                        found[ast.literal_eval(argument)].append(f"{path.relative_to(ROOT)}::{node.name}")
    return found


def features() -> list[dict[str, str]]:
    with (ROOT / "docs" / "features.tsv").open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def page() -> str:
    rows, proved = features(), claims()
    unknown = sorted(set(proved) - {row["id"] for row in rows})
    if unknown:
        raise SystemExit(f"marks of features that docs/features.tsv does not list: {', '.join(unknown)}")
    done = sum(row["id"] in proved for row in rows)
    lines = [
        "# What is proved, and by which test",
        "",
        "Every system that the papers describe is a row here. A row names the tests that fail when the feature is broken;",
        "a row without tests is not there yet. This page is written by `python docs/make_coverage.py` from the marks in `tests/`.",
        "",
        f"**{done} of {len(rows)}** rows are proved.",
    ]
    for key, title in PAPERS.items():
        own = [row for row in rows if row["paper"] == key]
        if not own:
            continue
        count = sum(row["id"] in proved for row in own)
        lines += [
            "",
            f"## {title}",
            "",
            f"{count} of {len(own)}",
            "",
            "| id | feature | kind | tests |",
            "| --- | --- | --- | --- |",
        ]
        for row in own:
            tests = "<br>".join(f"`{test}`" for test in proved.get(row["id"], []))
            lines.append(f"| {row['id']} | {row['name'].replace('|', '∣')} | {row['kind']} | {tests} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only say whether the page is up to date")
    text = page()
    if not parser.parse_args().check:
        PAGE.write_text(text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        sys.exit("docs/coverage.md is not what the marks say; run: python docs/make_coverage.py")


if __name__ == "__main__":
    main()
