"""The paper's tables of results: conditions, ours beside the paper's, controls, the forest, success and faults."""

from __future__ import annotations

from typing import Any

import polars as pl

from workbench.measure.reference import DATA
from workbench.show.origin import Origin
from workbench.show.paper import numbers, search_tables
from workbench.show.paper.cells import (
    absent,  # fmt: skip
    count_of,
    ends,
    framed,
    missing,
    name,
    origin_of,
    seeds,
    spread,
    stars,
    where,
)
from workbench.show.paper.numbers import ALIGNMENT, CELL, MAIN, MEASURES, SIMULATED
from workbench.show.style import FEATURE_NAMES, LOOKS
from workbench.show.typeset import Table, plain

HEADS = {"human_likeness": "HL", "coverage": "Coverage", "score": "Score", "USI_D1_D4": "USI D1–D4"}
_MARKS = (
    "* differs from the base simulator, † from the seed program: p < 0.05, sign flips of whole tasks "
    "averaged over seeds, adjusted by Holm over the table; D1–D4 compare means of features and have no test."
)


def tables(matrix: Any) -> list[Table]:
    """Return every table of the paper, in the order of reading."""
    origin, protocol = origin_of(matrix), numbers.main(matrix, equal_n=False)
    return [
        main(matrix, protocol, origin, equal_n=False),
        main(matrix, numbers.main(matrix, equal_n=True), origin, equal_n=True),
        beside_paper(protocol, origin),
        goodhart(matrix, origin),
        discriminator(matrix, origin),
        features(matrix, origin),
        success(matrix, origin),
        faults(matrix, origin),
        *search_tables.tables(matrix, origin),
    ]


def main(matrix: Any, found: pl.DataFrame, origin: Origin, *, equal_n: bool) -> Table:
    """Main results (the paper's Tables 1, 3 and 4), by the paper's protocol or at equal N; ``found`` by ``numbers.main``."""
    rows, bold = [], set()
    part = found.filter(pl.col("condition").is_in(SIMULATED)).group_by(CELL).agg(pl.col(MEASURES).max())
    best = {(r["domain"], r["simulator"]): r for r in part.to_dicts()}
    for i, row in enumerate(found.to_dicts()):
        cells = {"Setting": where(row), "Condition": name(row["condition"]), "Seeds": seeds(row)}
        for m in MEASURES:
            head = HEADS.get(m, m)
            cells[head] = spread(row, m, 1 if m in ALIGNMENT else 3) + stars(row, m)
            top = best.get((row["domain"], row["simulator"]), {}).get(m)
            if row["condition"] in SIMULATED and top is not None and row[m] == top:
                bold.add((i, head))
        if not row["seeds"]:
            cells["HL"] = absent(row)
        rows.append(cells)
    how = (
        "every condition with the same number of conversations a task"
        if equal_n
        else "the paper's protocol: the base simulator runs a task once, persona conditions N times; people in bundles of N"
    )
    note = (
        f"Held-out tasks, {how}. Mean ± standard deviation over seeds; bold: best of the simulated conditions - "
        f"human-likeness above people's is a warning, no triumph. {_MARKS} {missing(matrix.cells.filter(search=MAIN))}"
    )
    title = f"Main results, {'equal N' if equal_n else 'the paper’s protocol'}"
    file = "main_equal_n" if equal_n else "main"
    return Table(file, title, pl.DataFrame(rows), note.strip(), origin, frozenset(bold), "Setting", found)


def beside_paper(found: pl.DataFrame, origin: Origin) -> Table:
    """Ours beside the paper's, by its protocol; ``found`` by ``numbers.main``."""
    source = pl.format("ours, {}", "simulator")
    ours = found.select("domain", "condition", "seeds", "planned", *_with_std(MEASURES), source=source)
    theirs = (
        numbers.paper_rows()
        .rename({"user_simulator": "source"})
        .filter(pl.col("domain").is_in(ours["domain"].implode()))
    )
    both = pl.concat([ours.sort("source"), theirs.sort("source")], how="diagonal")
    sources = both["source"].unique(maintain_order=True)
    cell = {(r["domain"], r["condition"], r["source"]): r for r in both.to_dicts()}
    rows = []
    for domain in ours["domain"].unique().sort():
        for m, head in HEADS.items():
            for condition in numbers.PAPER:
                cells = {"Measure": f"{domain}: {head}", "Condition": name(condition)}
                for source in sources:
                    got = cell.get((domain, condition, source))
                    value = spread(got, m, 1 if m in ALIGNMENT else 3) if got else "–"
                    cells[source] = value or absent(got)  # type: ignore[arg-type]
                rows.append(cells)
    note = (
        "By the paper's protocol. Ours: ± standard deviation over seeds; the paper's columns: as printed, its ± is no "
        "deviation over searches, as it has one of each. "
        + "Ours are rehearsal models: the two are not comparable, and stand here for form. "
        * origin.rehearsed
        + "Our people are a sample of the paper's source, and our word lists are our own."
    )
    data = both.drop("planned").sort("domain", "source", "condition")
    return Table(
        "beside_paper",
        "Ours beside the paper's",
        pl.DataFrame(rows),
        note,
        origin,
        group="Measure",
        data=data,
    )


def _with_std(names: tuple[str, ...]) -> list[str]:
    return [column for n in names for column in (n, f"{n}_std")]


def goodhart(matrix: Any, origin: Origin) -> Table:
    """The Goodhart panel: what stands beside human-likeness."""
    columns = {
        "HL": ("human_likeness", 3), "Coverage": ("coverage", 3), "Fresh forest": ("forest_auc", 2), "Words": ("ngram_auc", 2),
        "Embedding": ("embedding_auc", 2), "Fréchet": ("frechet", 2), "Density JS": ("density_js", 2),
        "Precision": ("precision", 2), "Recall": ("recall", 2),
    }  # fmt: skip
    frame = matrix.panel.with_columns(
        pl.col("condition").replace("people", "humans"), share=100 * pl.col("faulty") / pl.col("n")
    )
    found = numbers.over_seeds(
        frame, [*CELL, "condition"], {c: c for c, _ in columns.values()} | {"share": "share"}
    )
    every = pl.col("mark").filter(pl.col("mark") != "").str.split("; ").list.explode(empty_as_null=False)
    marks = frame.group_by(*CELL, "condition").agg(mark=every)
    order = pl.col("condition").replace_strict({c: i for i, c in enumerate(LOOKS)}, default=99)
    found = found.join(marks, on=[*CELL, "condition"]).sort(*CELL, order)
    rows = []
    for r in found.to_dicts():
        said = [f"{m} {r['mark'].count(m)}" for m in sorted(set(r["mark"]))]
        rows.append(
            {"Setting": where(r), "Condition": name(r["condition"]), "Seeds": str(r["seeds"])}
            | {head: spread(r, column, digits) for head, (column, digits) in columns.items()}
            | {"Faulty, %": spread(r, "share", 1), "Marks: seeds": ", ".join(said)}
        )
    note = (
        "Measures that the search never saw. Fresh forest, words, embedding: ROC-AUC of classifiers fitted afresh against other people; at 0.5 "
        "they cannot tell the condition from people. An evolved program whose likeness rose while they still catch it has learned the frozen "
        "forest, not people. Controls: people held out, and a rule that mangles the base simulator's messages. Marks: above people (HL), below the "
        "editor (HL), caught (the interval of a fresh AUC lies above 0.5). People's coverage is task by task here, with the one or two that a task has; in the main tables "
        "it is that of bundles of N drawn over tasks, so it is higher there. An empty column: not measured in this matrix."
    )
    schema = ["Setting", "Condition", "Seeds", *columns, "Faulty, %", "Marks: seeds"]
    return Table(
        "goodhart",
        "What could fool human-likeness",
        framed(rows, schema),
        note,
        origin,
        group="Setting",
        data=found,
    )


def discriminator(matrix: Any, origin: Origin) -> Table:
    """How well the forest tells people from base simulators on held-out tasks (the paper's Table 5)."""
    names = {c: c for c in ("auc", "auc_low", "auc_high", "accuracy", "f1", "n_people", "n_simulated")}
    frame = matrix.discriminator.with_columns(pl.col("seed").fill_null(0))
    ours = numbers.over_seeds(frame, ["real", *CELL], names).sort("real", *CELL)
    theirs = pl.read_csv(DATA / "paper" / "table_discriminator.csv").rename(
        {"user_simulator": "simulator", "roc_auc": "auc"}
    )
    found = pl.concat([ours, theirs.sort("domain", "simulator")], how="diagonal")
    rows = []
    for r in found.to_dicts():
        source = {None: "the paper's", True: "public dialogues of real simulators", False: "this matrix"}[
            r["real"]
        ]
        rows.append(
            {"Source": source, "Domain": r["domain"], "Simulator": r["simulator"].removeprefix(f"{r['domain']}_base_"),
             "ROC-AUC": spread(r, "auc"), "95 % interval": ends(r["auc_low"], r["auc_high"]), "Accuracy": spread(r, "accuracy"),
             "F1": spread(r, "f1"), "People": count_of(r["n_people"]), "Simulated": count_of(r["n_simulated"])}
        )  # fmt: skip
    note = (
        "Fitted on train tasks, tested on the dialogues of others, whose number stands at the right. Over several seeds: mean ± standard deviation, "
        "mean ends of the interval; F1 is that of people. People are those whose fingerprints ship with the project."
    )
    return Table(
        "discriminator",
        "Telling people from base simulators",
        pl.DataFrame(rows),
        note,
        origin,
        group="Source",
        data=found,
    )


def features(matrix: Any, origin: Origin, top: int = 10) -> Table:
    """What the forest goes by (the paper's Table 6), ours beside the paper's."""
    theirs = pl.read_csv(DATA / "paper" / "table_feature_importance.csv").rename(
        {"gini_importance": "printed"}
    )
    frame = matrix.importance.with_columns(pl.col("seed").fill_null(0))
    found = numbers.over_seeds(
        frame, ["real", *CELL, "feature"], {"gini": "gini", "permutation": "permutation"}
    )
    found = found.join(theirs.select("domain", "feature", "printed"), on=["domain", "feature"], how="left")
    found = found.sort("real", *CELL, "gini", "feature", descending=[False, False, False, True, False])
    rows = [
        {"Setting": where(r), "Feature": FEATURE_NAMES.get(r["feature"], r["feature"]), "Gini": spread(r, "gini"),
         "Permutation": spread(r, "permutation").replace("-", "−"), "Gini, the paper's": "–" if r["printed"] is None else f"{r['printed']:.3f}"}
        for r in found.filter(~pl.col("real")).group_by(CELL, maintain_order=True).head(top).to_dicts()
    ]  # fmt: skip
    note = (
        f"The {top} strongest of each setting; the CSV has all, and those against real simulators. Permutation: what the held-out AUC loses when the "
        "column is shuffled; features that say the same cover for each other. The paper prints ten for retail with DeepSeek-V3.1."
    )
    schema = ["Setting", "Feature", "Gini", "Permutation", "Gini, the paper's"]
    return Table(
        "features", "What the forest goes by", framed(rows, schema), note, origin, group="Setting", data=found
    )


def success(matrix: Any, origin: Origin) -> Table:
    """Success rates, and realism with and without faulty episodes."""
    found = numbers.success(matrix)
    columns = {"Success": "success", "Success, write tasks": "success_write", "HL": "human_likeness", "HL, sound": "human_likeness_sound",
               "Coverage": "coverage", "Coverage, sound": "coverage_sound", "Score": "score", "Score, sound": "score_sound"}  # fmt: skip
    rows = [
        {"Setting": where(r), "Condition": name(r["condition"]), "Seeds": seeds(r)}
        | {head: spread(r, old, 2 if old.startswith("success") else 3) for head, old in columns.items()}
        | {
            "Episodes": count_of(r["n_episodes"]),
            "Failed": count_of(r["n_failed"]),
            "Faulty": count_of(r["n_faults"]),
        }
        | ({} if r["seeds"] else {"Success": absent(r)})
        for r in found.to_dicts()
    ]
    note = (
        "Mean ± standard deviation over seeds, all at equal N; counts are sums over seeds, people's too, who are the same in each. Failed episodes are in no "
        "mean; faulty ones (the simulated user spoiled its own task) are left out of the columns “sound”, which people, who are not audited, leave empty. Write tasks: the "
        f"right outcome changes data. {missing(matrix.cells.filter(search=MAIN))}"
    )
    title = "Success, and realism without faulty episodes"
    return Table("success", title, pl.DataFrame(rows), note.strip(), origin, group="Setting", data=found)


def faults(matrix: Any, origin: Origin) -> Table:
    """Which faults and errors, by condition."""
    found = numbers.fault_counts(matrix)
    rows = [
        {"Setting": where(r), "Condition": name(r["condition"]), "Kind": r["kind"], "What": plain(r["what"].replace("_", " ")),
         "Episodes": count_of(r["n"]), "of": count_of(r["episodes"]), "Share": f"{r['n'] / r['episodes']:.1%}"}
        for r in found.to_dicts()
    ]  # fmt: skip
    note = "Episodes by the first fault of the simulated user, or the error that ended them; held-out tasks, all seeds."
    schema = ["Setting", "Condition", "Kind", "What", "Episodes", "of", "Share"]
    return Table(
        "faults",
        "What went wrong in conversations",
        framed(rows, schema),
        note,
        origin,
        group="Setting",
        data=found,
    )
