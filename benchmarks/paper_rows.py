"""Our Humans and Base rows on real traces beside the paper's, and a measurement for each difference.

    WORKBENCH_TRACES=/path/to/traces python benchmarks/paper_rows.py

Forest, cloud and alignment as the paper has them: fitted on people and base dialogues of train tasks, applied to test
tasks. One base row for each simulator with train dialogues; the paper's rows are means over its own three simulators.
Nothing is tuned towards the paper: the second half measures what each difference may come from.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from humans_vs_base import fingerprints

from workbench import Discriminator, alignment
from workbench.errors import WorkbenchError
from workbench.measure.coverage import Cloud
from workbench.measure.reference import DATA, DOMAINS

TASK = "tau2_task_id"
ROWS = ("human_likeness", "coverage", "score", "D1", "D2", "D3", "D4", "USI_D1_D4")
# A machine seems to have polished these dialogues (data/README.md).
POLISHED = ("retail_32", "retail_36", "retail_69", "retail_100", "retail_57_ann3", "airline_10_ann2", "airline_15_ann2",
            "airline_24_ann3")  # fmt: skip
DRAWS = 20


class Domain(NamedTuple):
    """A domain's people and base simulators, fingerprinted, with task and split."""

    name: str
    people: pl.DataFrame
    bases: dict[str, pl.DataFrame]

    def part(self, split: str) -> pl.DataFrame:
        """Return the people of train or of test tasks."""
        return self.people.filter(split=split)


def load(traces: Path, name: str) -> Domain:
    splits = json.loads((traces / "tau2" / f"split_tasks_{name}.json").read_text(encoding="utf-8"))
    split = {task: part for part in ("train", "test") for task in splits[part]}
    part = pl.col(TASK).replace_strict(split, default=None, return_dtype=pl.String).alias("split")
    people = fingerprints(traces / "human" / f"{name}.jsonl").with_columns(part)
    files = sorted((traces / "simulated").glob(f"{name}_base_*.jsonl.gz"))
    bases = {
        f.name.removesuffix(".jsonl.gz").removeprefix(f"{name}_base_"): fingerprints(f).with_columns(part)
        for f in files
    }
    return Domain(name, people, {k: b for k, b in bases.items() if len(b.filter(split="train"))})


def paper(domain: str, method: str) -> dict[str, tuple[float, float, float]]:
    """Read mean, least and greatest value over the paper's simulators."""
    table = pl.read_csv(DATA / "paper" / "table_simulators.csv").filter(domain=domain, method=method)
    columns = {row: table[row.lower()].to_numpy() for row in ROWS}
    return {row: (float(x.mean()), float(x.min()), float(x.max())) for row, x in columns.items()}


def humans_row(d: Domain) -> dict[str, list[float]]:
    """People of test tasks, one value a simulator's forest: coverage task by task, as a base row has it."""
    test, cloud = d.part("test"), Cloud(d.part("train"))
    cover = mean(cloud.by_task(test, TASK)["coverage"])
    likeness = [
        mean(Discriminator.fit(d.part("train"), b.filter(split="train")).likeness(test))
        for b in d.bases.values()
    ]
    terms = {k: [v] for k, v in alignment(test, d.part("train")).items()}
    scores = [0.5 * (x + cover) for x in likeness]
    return {"human_likeness": likeness, "coverage": [cover], "score": scores} | terms


def base_row(d: Domain) -> dict[str, list[float]]:
    """Base simulators on test tasks, one value a simulator; coverage of one run a task (averaged over its runs)."""
    cloud, found = Cloud(d.part("train")), []
    for base in d.bases.values():
        test = base.filter(split="test")
        likeness = mean(Discriminator.fit(d.part("train"), base.filter(split="train")).likeness(test))
        cover = cloud.equal_n(test, 1, task=TASK, draws=DRAWS)
        terms = alignment(test, d.part("train"))
        found.append(
            {"human_likeness": likeness, "coverage": cover, "score": 0.5 * (likeness + cover)} | terms
        )
    return {row: [f[row] for f in found] for row in ROWS}


def mean(values: pl.Series) -> float:
    return float(values.sort().to_numpy().mean())


def subsets(frame: pl.DataFrame, n: int, draws: int = DRAWS) -> list[pl.DataFrame]:
    """Draw ``n`` rows, several times."""
    rng = np.random.default_rng(n)
    if n >= len(frame):
        return [frame]
    return [frame[np.sort(rng.choice(len(frame), n, replace=False))] for _ in range(draws)]


def likeness_by_people(d: Domain) -> None:
    print(
        "  P(human) of people grows with the people that the forest was fitted on, and is far higher on those:"
    )
    train, test = d.part("train"), d.part("test")
    sizes = [*range(10, len(train), 10), len(train)]
    heads = [f"{n} people" for n in sizes] + ["fitted on, all train", "less the polished"]
    rows = []
    clean = [s.filter(~pl.col("dialogue_id").is_in(POLISHED)) for s in (train, test)]
    for name, base in d.bases.items():
        other = base.filter(split="train")
        curve = [
            np.mean([mean(Discriminator.fit(s, other).likeness(test)) for s in subsets(train, n, 5)])
            for n in sizes
        ]
        forest = Discriminator.fit(train, other)
        polished = mean(Discriminator.fit(clean[0], other).likeness(clean[1]))
        rows.append([name, *curve, mean(forest.likeness(train)), polished])
    show(["simulator", *heads], rows)


def coverage_by_bundle(d: Domain) -> None:
    test = d.part("test")
    bundles = [1, 2, 3, 4, 5, 10, 20, len(test)]
    rows = []
    for what, cloud in (("train people", Cloud(d.part("train"))), ("train + test people", Cloud(d.people))):
        tasks = cloud.by_task(test, TASK)
        for size in sorted(tasks["n"].unique()):
            one = tasks.filter(n=size)
            print(
                f"  people of a test task against {what}: {size} a task, {len(one)} tasks: {mean(one['coverage']):.3f}"
            )
        rows.append([what, *[cloud.equal_n(test, n, draws=200) for n in bundles]])
    print("  test people in bundles drawn over all tasks:")
    show(["against", *[f"N = {n}" for n in bundles]], rows)


def coverage_of_base(d: Domain) -> None:
    print("  base simulators, by runs a task (the paper runs a task once) and by simulator:")
    cloud, heads, rows = Cloud(d.part("train")), [1, 2, 3, 4], []
    for name, base in d.bases.items():
        test = base.filter(split="test")
        runs = int(test.group_by(TASK).len()["len"].min())  # type: ignore[arg-type]
        got = [cloud.equal_n(test, n, task=TASK, draws=DRAWS) if n <= runs else None for n in heads]
        rows.append([name, *got, mean(test["words_per_turn"]), mean(test["opening_length"])])
    people = d.part("train")
    rows.append(["train people", *[None] * 4, mean(people["words_per_turn"]), mean(people["opening_length"])])
    show(["", *[f"{n} a task" for n in heads], "words a turn", "opening"], rows)


def alignment_by_people(d: Domain) -> None:
    print("  alignment of two halves of the people, cut at random, by the number of people in a half, %:")
    rng = np.random.default_rng(0)
    sizes, rows = [5, 10, 20, len(d.people) // 2], []
    for n in sizes:
        draws = [rng.permutation(len(d.people))[: 2 * n] for _ in range(100)]
        found = [alignment(d.people[np.sort(x[:n])], d.people[np.sort(x[n:])]) for x in draws]
        rows.append([str(n), *[float(np.mean([f[t] for f in found])) for t in ROWS[3:]]])
    train, test = d.part("train"), d.part("test")
    rows += [
        ["test | train", *[alignment(test, train)[t] for t in ROWS[3:]]],
        ["all | train", *[alignment(d.people, train)[t] for t in ROWS[3:]]],
    ]
    show(["people", *ROWS[3:]], rows, 1)
    print("  base simulators differ as much from each other as from the paper's:")
    show(
        ["simulator", *ROWS[3:]],
        [[k, *[alignment(b.filter(split="test"), train)[t] for t in ROWS[3:]]] for k, b in d.bases.items()],
        1,
    )


def show(heads: Sequence[str], rows: Sequence[Sequence[Any]], digits: int = 3) -> None:
    cells = [[c if isinstance(c, str) else "–" if c is None else f"{c:.{digits}f}" for c in r] for r in rows]
    widths = [max(len(r[i]) for r in [list(heads), *cells]) for i in range(len(heads))]
    for row in [list(heads), *cells]:
        print("    " + "  ".join(c.ljust(w) if not i else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))))  # fmt: skip


def compared(d: Domain) -> None:
    """Print both rows beside the paper's."""
    train, test = d.part("train"), d.part("test")
    print(
        f"{d.name}: {len(train)} people of {train[TASK].n_unique()} train tasks, {len(test)} of {test[TASK].n_unique()} test tasks"
    )
    for name, base in d.bases.items():
        parts = [base.filter(split=s) for s in ("train", "test")]
        print(f"  base {name}: {len(parts[0])} train and {len(parts[1])} test dialogues, {len(parts[1]) / parts[1][TASK].n_unique():.0f} a task")  # fmt: skip
    for method, ours in (("Humans", humans_row(d)), ("Base-simulator", base_row(d))):
        theirs, rows = paper(d.name, method), []
        for row in ROWS:
            digits = 1 if row in ROWS[3:] else 3
            x, (middle, low, high) = ours[row], theirs[row]
            spread = [
                f"{np.mean(v):.{digits}f}"
                + (f" [{min(v):.{digits}f}, {max(v):.{digits}f}]" if max(v) > min(v) else "")
                for v in (x, [middle, low, high])
            ]
            overlap = "overlap" if min(x) <= high and low <= max(x) else "apart"
            rows.append([row, *spread, f"{np.mean(x) - middle:+.{digits}f}", overlap])
        print(f"  {method}: mean [least, greatest over simulators]")
        show(["", "ours", "the paper's", "difference", "ranges"], rows)


def main() -> None:
    folder = os.environ.get("WORKBENCH_TRACES", "")
    if not folder:
        raise WorkbenchError("set WORKBENCH_TRACES to the folder that holds human/, simulated/ and tau2/")
    domains = [load(Path(folder), name) for name in DOMAINS]
    for d in domains:
        compared(d)
        print()
    questions = {
        "Human-likeness of people": likeness_by_people,
        "Coverage of people": coverage_by_bundle,
        "Coverage of the base simulator": coverage_of_base,
        "Alignment": alignment_by_people,
    }
    for title, measure in questions.items():
        for d in domains:
            print(f"{title}, {d.name}")
            measure(d)
            print()


if __name__ == "__main__":
    try:
        main()
    except WorkbenchError as error:
        sys.exit(str(error))
