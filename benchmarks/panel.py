"""Can a rule without a model fool human-likeness, and does the panel catch it? On real traces.

    WORKBENCH_TRACES=/path/to/traces python benchmarks/panel.py [--faults]

For each file of base simulators: a forest fitted on people and base dialogues of train tasks; then, on test tasks, real
people, the base simulator, and the rule-based editor applied to it. Ends with exit code 1 unless the editor scores above
people in at least three files and a fresh forest tells it from people in every one of those. ``--faults`` prints how
often each rule for faults fires on each file instead, people included (people's scenarios come from tau2-bench).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import polars as pl

from workbench.errors import WorkbenchError
from workbench.measure.discriminator import Discriminator
from workbench.measure.editor import edit
from workbench.measure.faults import FAULTS, faults
from workbench.measure.panel import dossier, panel
from workbench.traces import read_scenarios, read_traces

DOMAINS = ("retail", "airline")


def splits(traces: Path, domain: str) -> dict[str, str]:
    """Read which official split each tau2 task belongs to."""
    found = json.loads((traces / "tau2" / f"split_tasks_{domain}.json").read_text(encoding="utf-8"))
    return {task: name for name in ("train", "test") for task in found[name]}


def people(traces: Path, domain: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read a domain's people: their turns, and what tau2-bench's user is told in each one's task."""
    from workbench.simulate import tau2

    turns = read_traces(traces / "human" / f"{domain}.jsonl").collect()
    told = {name: task.context for name, task in tau2.load(domain).tasks.items()}
    about = turns.unique("dialogue_id").select(
        "dialogue_id",
        scenario=pl.col("tau2_task_id").replace_strict(told, default=None, return_dtype=pl.String),
        ended_by=pl.lit("stop"),
    )
    return turns, about


def one(traces: Path, name: str) -> pl.DataFrame:
    """Return the panel of a base file: real people, the base simulator, the editor applied to it."""
    domain = name.split("_", maxsplit=1)[0]
    split = pl.col("task_id").replace_strict(splits(traces, domain), default=None, return_dtype=pl.String)
    human = dossier(*people(traces, domain)).with_columns(split=split)

    def sides(file: str) -> tuple[pl.DataFrame, pl.DataFrame]:
        path = traces / "simulated" / f"{file}.jsonl.gz"
        turns, about = read_traces(path).collect(), read_scenarios(path)
        found = [dossier(edit(turns) if control else turns, about) for control in (False, True)]
        return found[0].with_columns(split=split), found[1].with_columns(split=split)

    base, edited = sides(name)
    train = base.filter(split="train")
    if train.is_empty():  # no train task in this file: fit on the domain's other files
        train = pl.concat([sides(other)[0] for other in files(traces, domain) if other != name]).filter(
            split="train"
        )
    forest = Discriminator.fit(human.filter(split="train"), train)
    conditions = {"base": base.filter(split="test"), "editor": edited.filter(split="test")}
    return panel(conditions, forest, human.filter(split="train"), human.filter(split="test"))


def files(traces: Path, domain: str) -> list[str]:
    """Name the files of a domain's base simulators."""
    found = (traces / "simulated").glob(f"{domain}_base_*.jsonl.gz")
    return sorted(file.name.removesuffix(".jsonl.gz") for file in found)


def rates(traces: Path) -> pl.DataFrame:
    """Return how often each fault was found in each file."""
    sides = {f"{domain} people": people(traces, domain) for domain in DOMAINS}
    for file in sorted((traces / "simulated").glob("*.jsonl.gz")):
        sides[file.name.removesuffix(".jsonl.gz")] = (read_traces(file).collect(), read_scenarios(file))
    rows = []
    for name, (turns, about) in sides.items():
        found = faults(turns, about)
        counts = {fault: int(found[fault].is_not_null().sum()) for fault in FAULTS}
        rows.append({"file": name, "n": len(found), "faulty": found["fault"].is_not_null().mean()} | counts)
    return pl.DataFrame(rows)


def main() -> int:
    folder = os.environ.get("WORKBENCH_TRACES", "")
    if not folder:
        raise WorkbenchError("set WORKBENCH_TRACES to the folder that holds human/, simulated/ and tau2/")
    pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=220, float_precision=2, tbl_hide_dataframe_shape=True,
              tbl_hide_column_data_types=True)  # fmt: skip
    if "--faults" in sys.argv[1:]:
        print(rates(Path(folder)))
        return 0
    fooled, caught = [], []
    for name in (name for domain in DOMAINS for name in files(Path(folder), domain)):
        table = one(Path(folder), name)
        print(name)
        print(table.select("condition", "n", "faulty", "human_likeness", "human_likeness_sound", "coverage", "forest_auc",
                           "forest_auc_low", "ngram_auc", "embedding_auc", "frechet", "density_js", "precision", "recall",
                           "mark"))  # fmt: skip
        editor = table.row(by_predicate=pl.col("condition") == "editor", named=True)
        if editor["human_likeness"] > table["human_likeness"][0]:
            fooled.append(name)
            caught += [name] * (editor["forest_auc_low"] > 0.5)
    print(
        f"the editor scores above people in {len(fooled)} files; a fresh forest catches it in {len(caught)} of them"
    )
    return 0 if len(fooled) >= 3 and len(caught) == len(fooled) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WorkbenchError as error:
        sys.exit(str(error))
