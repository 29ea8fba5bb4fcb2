"""Make ``data/human/*.csv``: fingerprints of real people, from their dialogues.

The dialogues themselves stay outside the project. Point WORKBENCH_TRACES at the folder that holds
``human/{domain}.jsonl`` and ``tau2/split_tasks_{domain}.json``, then run

    python data/make_reference.py
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import polars as pl

from workbench import fingerprint, read_traces
from workbench.errors import WorkbenchError
from workbench.measure.reference import COLUMNS, DATA, DOMAINS


def reference(traces: Path, domain: str) -> pl.DataFrame:
    """Fingerprint a domain's people and note which official split their task belongs to."""
    turns = read_traces(traces / "human" / f"{domain}.jsonl").collect()
    splits = json.loads((traces / "tau2" / f"split_tasks_{domain}.json").read_text(encoding="utf-8"))
    split = {task: name for name in ("train", "test") for task in splits[name]}
    about = turns.unique("dialogue_id", keep="first", maintain_order=True).select(
        "dialogue_id",
        "task_id",
        "tau2_task_id",
        "source",
        pl.col("tau2_task_id").replace_strict(split, default=None, return_dtype=pl.String).alias("split"),
    )
    return about.join(fingerprint(turns), on="dialogue_id").sort("dialogue_id").select(COLUMNS)


def main() -> None:
    """Write one file a domain."""
    folder = os.environ.get("WORKBENCH_TRACES", "")
    if not folder:
        raise WorkbenchError("set WORKBENCH_TRACES to the folder that holds human/ and tau2/")
    for domain in DOMAINS:
        path = DATA / "human" / f"{domain}.csv"
        table = reference(Path(folder), domain)
        table.write_csv(path)
        print(path.relative_to(DATA.parent), table["split"].value_counts(sort=True).rows())


if __name__ == "__main__":
    try:
        main()
    except WorkbenchError as error:
        sys.exit(str(error))
