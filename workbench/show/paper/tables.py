"""The paper's tables of results: conditions, ours beside the paper's, controls, the forest, success and faults."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl

from workbench.measure.reference import DATA
from workbench.show.origin import Origin
from workbench.show.paper import numbers, search_tables
from workbench.show.paper.cells import (
    Cell,
    absent,
    condition,
    counted,
    ends,
    mean,
    missing,
    origin_of,
    seeds,
    sheet,
    spread,
    stars,
    where,
)
from workbench.show.paper.numbers import ALIGNMENT, CELL, MAIN, MEASURES, ORDER, SIMULATED
from workbench.show.style import FEATURE_NAMES
from workbench.show.tables import NAMES, Row
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
    heads = {m: HEADS.get(m, m) for m in MEASURES}

    def measured(m: str) -> Cell:
        return lambda row: spread(row, m, 1 if m in ALIGNMENT else 3) + stars(row, m)

    likeness = measured("human_likeness")
    columns: dict[str, Cell] = {"Setting": where, "Condition": condition, "Seeds": seeds}
    columns |= {head: measured(m) for m, head in heads.items()}
    columns |= {"HL": lambda row: likeness(row) or absent(row)}
    simulated = pl.col("condition").is_in(SIMULATED)
    best = found.select(
        (simulated & (pl.col(m) == pl.col(m).filter(simulated).max().over(CELL))).alias(head)
        for m, head in heads.items()
    )
    bold = frozenset(
        (i, head) for i, row in enumerate(best.to_dicts()) for head in heads.values() if row[head]
    )
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
    return replace(sheet(file, title, found, columns, note, origin), bold=bold)


def beside_paper(found: pl.DataFrame, origin: Origin) -> Table:
    """Ours beside the paper's, by its protocol; ``found`` by ``numbers.main``."""
    source = pl.format("ours, {}", "simulator")
    means = [column for m in MEASURES for column in (m, f"{m}_std")]
    ours = found.select("domain", "condition", "seeds", "planned", *means, source=source)
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
            for who in numbers.PAPER:
                cells = {"Measure": f"{domain}: {head}", "Condition": NAMES[who]}
                for name in sources:
                    got = cell.get((domain, who, name))
                    cells[name] = spread(got, m, 1 if m in ALIGNMENT else 3) or absent(got) if got else "–"
                rows.append(cells)
    note = (
        "By the paper's protocol. Ours: ± standard deviation over seeds; the paper's columns: as printed, its ± is no "
        "deviation over searches, as it has one of each. "
        + "Ours are rehearsal models: the two are not comparable, and stand here for form. "
        * origin.rehearsed
        + "Our people are a sample of the paper's source, and our word lists are our own."
    )
    data = both.drop("planned").sort("domain", "source", "condition")
    frame = pl.DataFrame(rows)
    return Table("beside_paper", "Ours beside the paper's", frame, note, origin, group="Measure", data=data)


def goodhart(matrix: Any, origin: Origin) -> Table:
    """The Goodhart panel: what stands beside human-likeness."""
    measures = {
        "HL": ("human_likeness", 3), "Coverage": ("coverage", 3), "Fresh forest": ("forest_auc", 2), "Words": ("ngram_auc", 2),
        "Embedding": ("embedding_auc", 2), "Fréchet": ("frechet", 2), "Density JS": ("density_js", 2),
        "Precision": ("precision", 2), "Recall": ("recall", 2), "Faulty, %": ("share", 1),
    }  # fmt: skip
    frame = matrix.panel.with_columns(
        pl.col("condition").replace("people", "humans"), share=100 * pl.col("faulty") / pl.col("n")
    )
    by = [*CELL, "condition"]
    found = numbers.over_seeds(frame, by, [name for name, _ in measures.values()])
    every = pl.col("mark").filter(pl.col("mark") != "").str.split("; ").list.explode(empty_as_null=False)
    found = found.join(frame.group_by(by).agg(mark=every), on=by).sort(*CELL, ORDER)

    def marks(row: Row) -> str:
        return ", ".join(f"{m} {row['mark'].count(m)}" for m in sorted(set(row["mark"])))

    columns = {"Setting": where, "Condition": condition, "Seeds": counted("seeds")}
    columns |= {head: mean(name, digits) for head, (name, digits) in measures.items()}
    columns |= {"Marks: seeds": marks}
    note = (
        "Measures that the search never saw. Fresh forest, words, embedding: ROC-AUC of classifiers fitted afresh against other people; at 0.5 "
        "they cannot tell the condition from people. An evolved program whose likeness rose while they still catch it has learned the frozen "
        "forest, not people. Controls: people held out, and a rule that mangles the base simulator's messages. Marks: above people (HL), below the "
        "editor (HL), caught (the interval of a fresh AUC lies above 0.5). People's coverage is task by task here, with the one or two that a task has; in the main tables "
        "it is that of bundles of N drawn over tasks, so it is higher there. An empty column: not measured in this matrix."
    )
    return sheet("goodhart", "What could fool human-likeness", found, columns, note, origin)


def discriminator(matrix: Any, origin: Origin) -> Table:
    """How well the forest tells people from base simulators on held-out tasks (the paper's Table 5)."""
    names = ["auc", "auc_low", "auc_high", "accuracy", "f1", "n_people", "n_simulated"]
    frame = matrix.discriminator.with_columns(pl.col("seed").fill_null(0))
    ours = numbers.over_seeds(frame, ["real", *CELL], names).sort("real", *CELL)
    theirs = pl.read_csv(DATA / "paper" / "table_discriminator.csv").rename(
        {"user_simulator": "simulator", "roc_auc": "auc"}
    )
    found = pl.concat([ours, theirs.sort("domain", "simulator")], how="diagonal")
    sources = {None: "the paper's", True: "public dialogues of real simulators", False: "this matrix"}
    columns = {
        "Source": lambda r: sources[r["real"]],
        "Domain": lambda r: r["domain"],
        "Simulator": lambda r: r["simulator"].removeprefix(f"{r['domain']}_base_"),
        "ROC-AUC": mean("auc"),
        "95 % interval": lambda r: ends(r["auc_low"], r["auc_high"]),
        "Accuracy": mean("accuracy"),
        "F1": mean("f1"),
        "People": counted("n_people"),
        "Simulated": counted("n_simulated"),
    }
    note = (
        "Fitted on train tasks, tested on the dialogues of others, whose number stands at the right. Over several seeds: mean ± standard deviation, "
        "mean ends of the interval; F1 is that of people. People are those whose fingerprints ship with the project."
    )
    return sheet("discriminator", "Telling people from base simulators", found, columns, note, origin)


def features(matrix: Any, origin: Origin, top: int = 10) -> Table:
    """What the forest goes by (the paper's Table 6), ours beside the paper's."""
    theirs = pl.read_csv(DATA / "paper" / "table_feature_importance.csv").rename(
        {"gini_importance": "printed"}
    )
    frame = matrix.importance.with_columns(pl.col("seed").fill_null(0))
    found = numbers.over_seeds(frame, ["real", *CELL, "feature"], ["gini", "permutation"])
    found = found.join(theirs.select("domain", "feature", "printed"), on=["domain", "feature"], how="left")
    found = found.sort("real", *CELL, "gini", "feature", descending=[False, False, False, True, False])
    strongest = found.filter(~pl.col("real")).group_by(CELL, maintain_order=True).head(top)
    columns = {
        "Setting": where,
        "Feature": lambda r: FEATURE_NAMES[r["feature"]],
        "Gini": mean("gini"),
        "Permutation": lambda r: spread(r, "permutation").replace("-", "−"),
        "Gini, the paper's": lambda r: "–" if r["printed"] is None else f"{r['printed']:.3f}",
    }
    note = (
        f"The {top} strongest of each setting; the CSV has all, and those against real simulators. Permutation: what the held-out AUC loses when the "
        "column is shuffled; features that say the same cover for each other. The paper prints ten for retail with DeepSeek-V3.1."
    )
    table = sheet("features", "What the forest goes by", strongest, columns, note, origin)
    return replace(table, data=found)


def success(matrix: Any, origin: Origin) -> Table:
    """Success rates, and realism with and without faulty episodes."""
    found = numbers.success(matrix)
    columns = {
        "Setting": where,
        "Condition": condition,
        "Seeds": seeds,
        "Success": lambda r: spread(r, "success", 2) or absent(r),
        "Success, write tasks": mean("success_write", 2),
        "HL": mean("human_likeness"),
        "HL, sound": mean("human_likeness_sound"),
        "Coverage": mean("coverage"),
        "Coverage, sound": mean("coverage_sound"),
        "Score": mean("score"),
        "Score, sound": mean("score_sound"),
        "Episodes": counted("n_episodes"),
        "Failed": counted("n_failed"),
        "Faulty": counted("n_faults"),
    }
    note = (
        "Mean ± standard deviation over seeds, all at equal N; counts are sums over seeds, people's too, who are the same in each. Failed episodes are in no "
        "mean; faulty ones (the simulated user spoiled its own task) are left out of the columns “sound”, which people, who are not audited, leave empty. Write tasks: the "
        f"right outcome changes data. {missing(matrix.cells.filter(search=MAIN))}"
    )
    title = "Success, and realism without faulty episodes"
    return sheet("success", title, found, columns, note, origin)


def faults(matrix: Any, origin: Origin) -> Table:
    """Which faults and errors, by condition."""
    found = numbers.fault_counts(matrix)
    columns = {
        "Setting": where,
        "Condition": condition,
        "Kind": lambda r: r["kind"],
        "What": lambda r: plain(r["what"].replace("_", " ")),
        "Episodes": counted("n"),
        "of": counted("episodes"),
        "Share": lambda r: f"{r['n'] / r['episodes']:.1%}",
    }
    note = "Episodes by the first fault of the simulated user, or the error that ended them; held-out tasks, all seeds."
    return sheet("faults", "What went wrong in conversations", found, columns, note, origin)
