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
from workbench.measure.reference import ANSWERS, COLUMNS, DATA, DOMAINS, SURVEY


def reference(traces: Path, domain: str) -> pl.DataFrame:
    """Fingerprint a domain's people; note the split of their task, its reward, and what they answered."""
    file = traces / "human" / f"{domain}.jsonl"
    turns = read_traces(file).collect()
    splits = json.loads((traces / "tau2" / f"split_tasks_{domain}.json").read_text(encoding="utf-8"))
    split = {task: name for name in ("train", "test") for task in splits[name]}
    about = turns.unique("dialogue_id", keep="first", maintain_order=True).select(
        "dialogue_id",
        "task_id",
        "tau2_task_id",
        "source",
        "reward",
        pl.col("tau2_task_id").replace_strict(split, default=None, return_dtype=pl.String).alias("split"),
    )
    table = about.join(fingerprint(turns), on="dialogue_id").join(answers(file), on="dialogue_id", how="left")
    return table.sort("dialogue_id").select(COLUMNS)


def answers(file: Path) -> pl.DataFrame:
    """Code the survey of each dialogue: an answer's place among its options, null where there is none."""
    rows = []
    for line in file.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        given = {key.removesuffix("_preference").removesuffix("_time").removesuffix("_score"): answer
                 for key, answer in (record.get("survey") or {}).items()}  # fmt: skip
        rows.append(
            {"dialogue_id": record["id"]} | {f"survey_{item}": code(item, given.get(item)) for item in SURVEY}
        )
    return pl.DataFrame(rows, schema={"dialogue_id": pl.String} | dict.fromkeys(ANSWERS, pl.Int8))


def code(item: str, answer: str | None) -> int | None:
    """Give an answer's place among the options of its question, worst first."""
    if answer is None:
        return None
    for place, options in enumerate(SURVEY[item]):
        if answer in options:
            return place
    raise WorkbenchError(f"{answer!r} is no option of survey question {item!r}: add it to SURVEY")


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
