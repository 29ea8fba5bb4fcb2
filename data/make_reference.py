"""Make ``data/human/*.csv`` and ``data/simulated/*.parquet``: fingerprints of real people and of simulators.

The dialogues themselves stay outside the project. Point WORKBENCH_TRACES at the folder that holds
``human/{domain}.jsonl``, ``simulated/*.jsonl.gz`` and ``tau2/split_tasks_{domain}.json``, then run

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
from workbench.measure.editor import edit
from workbench.measure.faults import faults
from workbench.measure.reference import ANSWERS, COLUMNS, DATA, DOMAINS, SIMULATED, SURVEY
from workbench.traces import read_scenarios


def reference(traces: Path, domain: str) -> pl.DataFrame:
    """Fingerprint a domain's people; note the split of their task, its reward, and what they answered."""
    file = traces / "human" / f"{domain}.jsonl"
    turns = read_traces(file).collect()
    about = turns.unique("dialogue_id", keep="first", maintain_order=True).select(
        "dialogue_id",
        "task_id",
        "tau2_task_id",
        "source",
        "domain",
        "reward",
        split_of(traces, domain),
    )
    table = about.join(fingerprint(turns), on="dialogue_id").join(answers(file), on="dialogue_id", how="left")
    return table.sort("dialogue_id").select(COLUMNS)


def simulators(traces: Path, domain: str) -> pl.DataFrame:
    """Fingerprint a domain's simulated users, as found and after the rule-based editor; note faults and rewards."""
    tables = []
    for file in sorted((traces / "simulated").glob(f"*{domain}*.jsonl.gz")):
        turns, scenarios = read_traces(file).collect(), read_scenarios(file)
        about = turns.unique("dialogue_id", keep="first", maintain_order=True)
        about = about.join(scenarios.select("dialogue_id", "user_model"), on="dialogue_id")
        for variant, said in (("as_found", turns), ("edited", edit(turns))):
            prints = fingerprint(said).join(
                faults(said, scenarios).select("dialogue_id", "fault"), on="dialogue_id"
            )
            columns = {"file": pl.lit(file.name.removesuffix(".jsonl.gz")), "variant": pl.lit(variant)}
            tables.append(
                about.with_columns(split_of(traces, domain), **columns).join(prints, on="dialogue_id")
            )
    return pl.concat(tables).select(SIMULATED).sort("file", "variant", "dialogue_id")


def split_of(traces: Path, domain: str) -> pl.Expr:
    """Name the official split of ``tau2_task_id``."""
    splits = json.loads((traces / "tau2" / f"split_tasks_{domain}.json").read_text(encoding="utf-8"))
    split = {task: name for name in ("train", "test") for task in splits[name]}
    return pl.col("tau2_task_id").replace_strict(split, default=None, return_dtype=pl.String).alias("split")


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
        path = DATA / "simulated" / f"{domain}.parquet"
        path.parent.mkdir(exist_ok=True)
        table = simulators(Path(folder), domain)
        table.write_parquet(path)
        print(
            path.relative_to(DATA.parent),
            table.filter(variant="as_found")["file"].value_counts().sort("file").rows(),
        )


if __name__ == "__main__":
    try:
        main()
    except WorkbenchError as error:
        sys.exit(str(error))
