"""Can the 19 features tell people from base simulators? Train tasks → test tasks, one forest for each file.

    WORKBENCH_TRACES=/path/to/traces python benchmarks/humans_vs_base.py

Splits go by the tau2-bench task number, so no task is on both sides. Prints ROC-AUC with a 95 % interval from
resampling test tasks, and P(human) of both sides; ends with exit code 1 where a file stays below 0.95.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from workbench import Discriminator, fingerprint, read_traces
from workbench.errors import WorkbenchError
from workbench.measure.held_out import report, scored

NEEDED = 0.95
RESAMPLES = 2000


class Row(NamedTuple):
    """What one base file gave: dialogues tested, how well they are told apart, mean P(human) of both sides."""

    file: str
    people: int
    base: int
    auc: float
    low: float
    high: float
    accuracy: float
    f1: float
    ece: float
    likeness_people: float
    likeness_base: float
    note: str


def rows(
    traces: Path, resamples: int = RESAMPLES, prints: Mapping[str, pl.DataFrame] | None = None
) -> Iterator[Row]:
    """Test humans against each base file of their domain; ``prints``: by file, fingerprints that others made."""
    for domain in ("retail", "airline"):
        splits = json.loads((traces / "tau2" / f"split_tasks_{domain}.json").read_text(encoding="utf-8"))
        split = {task: name for name in ("train", "test") for task in splits[name]}
        paths = [
            traces / "human" / f"{domain}.jsonl",
            *sorted((traces / "simulated").glob(f"{domain}_base_*.jsonl.gz")),
        ]
        tables = {path.name.split(".jsonl")[0]: path for path in paths}
        part = (
            pl.col("tau2_task_id").replace_strict(split, default=None, return_dtype=pl.String).alias("split")
        )
        bases = {
            name: (fingerprints(path) if prints is None else prints[name]).with_columns(part)
            for name, path in tables.items()
        }
        human = bases.pop(domain)
        for name, base in bases.items():
            train, note = base.filter(split="train"), ""
            if train.is_empty():
                others = [other for key, other in bases.items() if key != name]
                train, note = (
                    pl.concat(others).filter(split="train"),
                    "no train task here: fitted on the others",
                )
            forest = Discriminator.fit(human.filter(split="train"), train)
            table = scored(forest, human.filter(split="test"), base.filter(split="test"))
            found = report(table, resamples=resamples)
            means = [table.filter(y=y)["score"].to_numpy().mean() for y in (1, 0)]
            ends = (found["auc"], found["auc_low"], found["auc_high"])
            rest = (found["accuracy"], found["f1"], found["ece"], *map(float, means))
            yield Row(name, int(found["n_people"]), int(found["n_simulated"]), *ends, *rest, note)


def fingerprints(file: Path) -> pl.DataFrame:
    """Fingerprint a file and note each dialogue's task."""
    turns = read_traces(file).collect()
    tasks = turns.unique("dialogue_id", keep="first").select("dialogue_id", "tau2_task_id")
    return fingerprint(turns).join(tasks, on="dialogue_id").sort("dialogue_id")


def main() -> int:
    folder = os.environ.get("WORKBENCH_TRACES", "")
    if not folder:
        raise WorkbenchError("set WORKBENCH_TRACES to the folder that holds human/, simulated/ and tau2/")
    print(
        f"{'file':40}{'people':>7}{'base':>6}   {'ROC-AUC [95 % interval]':24}{'accuracy':>9}{'F1':>6}{'ECE':>6}{'P(h) people':>12}{'P(h) base':>10}"
    )
    found = []
    for row in rows(Path(folder)):
        found.append(row.auc)
        interval = f"{row.auc:.3f} [{row.low:.3f}, {row.high:.3f}]"
        print(
            f"{row.file:40}{row.people:7}{row.base:6}   {interval:24}"
            f"{row.accuracy:9.2f}{row.f1:6.2f}{row.ece:6.2f}{row.likeness_people:12.2f}{row.likeness_base:10.2f}  {row.note}"
        )
    print(f"mean ROC-AUC {np.mean(found):.3f}, least {min(found):.3f}; needed: {NEEDED} for every file")
    return 0 if min(found) >= NEEDED else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WorkbenchError as error:
        sys.exit(str(error))
