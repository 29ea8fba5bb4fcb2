"""The paper's tables from a matrix's frames: numbers from ``numbers``, cells, captions, what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from workbench.measure.reference import DATA
from workbench.show.origin import Origin, spans
from workbench.show.paper import numbers
from workbench.show.paper.numbers import ALIGNMENT, CELL, MAIN, MEASURES, SIMULATED
from workbench.show.style import FEATURE_NAMES, LOOKS, count, money
from workbench.show.typeset import Table, plain

NAMES = {condition: look.name for condition, look in LOOKS.items()} | {"people": "People (held out)"}
HEADS = {"human_likeness": "HL", "coverage": "Coverage", "score": "Score", "USI_D1_D4": "USI D1–D4"}
SURE = 0.05
_MARKS = (
    "* differs from the base simulator, † from the seed program: p < 0.05, sign flips of whole tasks "
    "averaged over seeds, adjusted by Holm over the table; D1–D4 are of means and have no test."
)
Row = Mapping[str, Any]


def tables(matrix: Any) -> list[Table]:
    """Return every table of the paper, in the order of reading."""
    origin = origin_of(matrix)
    return [
        main(matrix, origin, equal_n=False),
        main(matrix, origin, equal_n=True),
        beside_paper(matrix, origin),
        gains(matrix, origin),
        panel(matrix, origin),
        discriminator(matrix, origin),
        features(matrix, origin),
        success(matrix, origin),
        faults(matrix, origin),
        searches(matrix, origin, transfer=False),
        searches(matrix, origin, transfer=True),
        cost(matrix, origin),
        failures(matrix, origin),
        quirks(),
        runs(matrix, origin),
    ]


def origin_of(matrix: Any, **where: Any) -> Origin:
    """Return the origin of a matrix's numbers, or of the cells that match."""
    cells = matrix.cells.filter(pl.col("run_id").is_not_null())
    cells = cells.filter(**where) if where else cells
    info = matrix.info
    return Origin(
        tuple(cells["run_id"].unique().sort()),
        tuple(cells["domain"].unique().sort()),
        tuple(cells["seed"].unique().sort()),
        tuple(sorted(set(_models(info["models"])))),
        str(info["version"]),
        str(info["date"])[:10],
        bool(info["rehearsed"]),
    )


def _models(found: Any) -> list[str]:
    """Gather the names in a mapping of mappings."""
    if isinstance(found, Mapping):
        return [name for value in found.values() for name in _models(value)]
    return [name for value in found for name in _models(value)] if isinstance(found, list) else [str(found)]


def main(matrix: Any, origin: Origin, *, equal_n: bool) -> Table:
    """Main results (the paper's Tables 1, 3 and 4), by the paper's protocol or at equal N."""
    found = numbers.main(matrix, equal_n=equal_n)
    rows, bold = [], set()
    best = {
        (*key, m): value
        for m in MEASURES
        for *key, value in found.filter(pl.col("condition").is_in(SIMULATED))
        .group_by(CELL)
        .agg(pl.col(m).max())
        .rows()
        if value is not None
    }
    for i, row in enumerate(found.to_dicts()):
        cells = {"Setting": _where(row), "Condition": _name(row["condition"]), "Seeds": _seeds(row)}
        for m in MEASURES:
            head = HEADS.get(m, m)
            cells[head] = spread(row, m, 1 if m in ALIGNMENT else 3) + _stars(row, m)
            if row["condition"] in SIMULATED and row[m] == best.get((row["domain"], row["simulator"], m)):
                bold.add((i, head))
        if not row["seeds"]:
            cells["HL"] = _absent(row)
        rows.append(cells)
    how = (
        "every condition with the same number of conversations a task"
        if equal_n
        else "the paper's protocol: the base simulator runs a task once, persona conditions N times; people in bundles of N"
    )
    note = (
        f"Held-out tasks, {how}. Mean ± standard deviation over seeds; bold: best of the simulated conditions - "
        f"human-likeness above people's is a warning, no triumph. {_MARKS} {_missing(matrix, search=MAIN)}"
    )
    title = f"Main results, {'equal N' if equal_n else 'paper’s protocol'}"
    name = "main_equal_n" if equal_n else "main"
    return Table(name, title, pl.DataFrame(rows), note.strip(), origin, frozenset(bold), "Setting", found)


def beside_paper(matrix: Any, origin: Origin) -> Table:
    """Ours beside the paper's, by its protocol."""
    shown = ("human_likeness", "coverage", "score", "USI_D1_D4")
    ours, theirs = numbers.main(matrix, equal_n=False), numbers.paper_rows()
    simulators = ours["simulator"].unique().sort().to_list()
    models = theirs["user_simulator"].unique(maintain_order=True).to_list()
    rows, data = [], []
    for domain in ours["domain"].unique().sort():
        for m in shown:
            for condition in numbers.PAPER:
                digits = 1 if m in ALIGNMENT else 3
                cells = {"Measure": f"{domain}: {HEADS[m]}", "Condition": _name(condition)}
                for s in simulators:
                    got = ours.filter(domain=domain, simulator=s, condition=condition).to_dicts()
                    cells[f"ours, {s}"] = (
                        spread(got[0], m, digits) or _absent(got[0]) if got else "not planned"
                    )
                    data += [_long(domain, condition, m, f"ours, {s}", r[m], r[f"{m}_std"]) for r in got]
                for model in models:
                    got = theirs.filter(domain=domain, user_simulator=model, condition=condition).to_dicts()
                    cells[model] = spread(got[0], m, digits) if got else "–"
                    data += [_long(domain, condition, m, model, r[m], r[f"{m}_std"]) for r in got]
                rows.append(cells)
    note = (
        "By the paper's protocol. Ours: ± standard deviation over seeds; the paper's columns: as printed, its ± is no "
        "deviation over searches (it has one). "
        + (
            "Ours are rehearsal models: the two are not comparable, and stand here for form. "
            * origin.rehearsed
        )
        + "Our people are a sample of the paper's source and our word lists are our own."
    )
    return Table("beside_paper", "Ours beside the paper's", pl.DataFrame(rows), note, origin, group="Measure",
                 data=pl.DataFrame(data, infer_schema_length=None))  # fmt: skip


def _long(domain: str, condition: str, m: str, source: str, mean: Any, std: Any) -> dict[str, Any]:
    return {
        "domain": domain,
        "condition": condition,
        "measure": m,
        "source": source,
        "mean": mean,
        "std": std,
    }


def gains(matrix: Any, origin: Origin) -> Table:
    """What each search of the main plan gained on held-out tasks."""
    found = numbers.gains(matrix).filter(search=MAIN)
    rows = [
        {"Setting": _where(r), "Seed": str(r["seed"]), "Gain": f"{r['gain']:+.3f}".replace("-", "−"),
         "95 % interval": _ends(r, "low", "high"), "p": _p(r["p"]), "Tasks": str(r["n_tasks"])}
        for r in found.to_dicts()
    ]  # fmt: skip
    schema = ["Setting", "Seed", "Gain", "95 % interval", "p", "Tasks"]
    note = "Score at equal N of the evolved minus the seed program, paired by held-out task; p by sign flips, not adjusted."
    return Table(
        "gains",
        "What evolution gained, seed by seed",
        _frame(rows, schema),
        note,
        origin,
        group="Setting",
        data=found,
    )


def panel(matrix: Any, origin: Origin) -> Table:
    """The Goodhart panel: what stands beside human-likeness."""
    columns = {
        "HL": ("human_likeness", 3), "HL, no faults": ("human_likeness_sound", 3), "Coverage": ("coverage", 3),
        "Fresh forest AUC": ("forest_auc", 2), "Word AUC": ("ngram_auc", 2), "Embedding AUC": ("embedding_auc", 2),
        "Fréchet": ("frechet", 2), "Density JS": ("density_js", 2), "Precision": ("precision", 2), "Recall": ("recall", 2),
    }  # fmt: skip
    frame = matrix.panel.with_columns(
        pl.col("condition").replace("people", "humans"), share=pl.col("faulty") / pl.col("n")
    )
    names = {old: old for old, _ in columns.values()} | {"share": "share"}
    found = numbers.over_seeds(frame, [*CELL, "condition"], names)
    marks = frame.group_by(*CELL, "condition").agg(
        mark=pl.col("mark").filter(pl.col("mark") != "").str.split("; ").list.explode().drop_nulls()
    )
    order = pl.col("condition").replace_strict({c: i for i, c in enumerate(LOOKS)}, default=99)
    found = found.join(marks, on=[*CELL, "condition"]).sort(*CELL, order)
    rows = []
    for r in found.to_dicts():
        said = [f"{m} {r['mark'].count(m)}" for m in dict.fromkeys(sorted(r["mark"]))]
        rows.append(
            {"Setting": _where(r), "Condition": _name(r["condition"]), "Seeds": str(r["seeds"])}
            | {head: spread(r, old, digits) for head, (old, digits) in columns.items()}
            | {"Faulty": "" if r["share"] is None else f"{r['share']:.1%}", "Marks (seeds)": ", ".join(said)}
        )
    schema = ["Setting", "Condition", "Seeds", *columns, "Faulty", "Marks (seeds)"]
    note = (
        "Measures that the search never saw, against other people: an AUC of 0.5 says that a classifier fitted afresh cannot "
        "tell the condition from people, so an evolved program whose likeness rose while its fresh AUC stays high has "
        "learned the frozen forest, not people. Controls: people held out, and a rule that mangles the base simulator's messages. "
        "Marks: above people (HL), below the editor (HL), caught (a fresh interval above 0.5)."
    )
    return Table(
        "goodhart",
        "What could fool human-likeness",
        _frame(rows, schema),
        note,
        origin,
        group="Setting",
        data=found,
    )


def discriminator(matrix: Any, origin: Origin) -> Table:
    """How well the forest tells people from base simulators on held-out tasks (the paper's Table 5)."""
    rows = []
    for r in matrix.discriminator.sort(*CELL).to_dicts():
        people, simulated = (r.get(k) for k in ("n_people", "n_simulated"))
        interval = _ends({"low": r.get("auc_low"), "high": r.get("auc_high")}, "low", "high", 3)
        rows.append(_scores("ours", r["domain"], r["simulator"], r["auc"], interval, r["accuracy"], r["f1"], f"{people} / {simulated}"))  # fmt: skip
    for r in (
        pl.read_csv(DATA / "paper" / "table_discriminator.csv").sort("domain", maintain_order=True).to_dicts()
    ):
        rows.append(_scores("the paper's", r["domain"], r["user_simulator"], r["roc_auc"], "", r["accuracy"], r["f1"], ""))  # fmt: skip
    note = (
        "Fitted on train tasks, tested on others. n: test dialogues of people / of the simulator. Ours: the rehearsal "
        "simulator of this matrix, and public dialogues of real simulators against the people that ship with the project."
    )
    return Table("discriminator", "Telling people from base simulators", pl.DataFrame(rows), note, origin, group="Source",
                 data=matrix.discriminator.sort(*CELL))  # fmt: skip


def _scores(source: str, domain: str, simulator: str, auc: float, interval: str, accuracy: float, f1: float, n: str) -> dict[str, str]:  # fmt: skip
    return {"Source": source, "Domain": domain, "Simulator": simulator, "ROC-AUC": f"{auc:.3f}", "95 % interval": interval,
            "Accuracy": f"{accuracy:.3f}", "F1": f"{f1:.3f}", "n": n}  # fmt: skip


def features(matrix: Any, origin: Origin, top: int = 10) -> Table:
    """What the forest goes by (the paper's Table 6), ours beside the paper's."""
    theirs = pl.read_csv(DATA / "paper" / "table_feature_importance.csv")
    found = matrix.importance.sort("gini", "feature", descending=[True, False])
    rows = []
    for (domain, simulator), part in found.partition_by(*CELL, as_dict=True, maintain_order=True).items():
        printed = {r["feature"]: r["gini_importance"] for r in theirs.filter(domain=domain).to_dicts()}
        for r in part.head(top).to_dicts():
            rows.append(
                {"Setting": f"{domain} · {simulator}", "Feature": FEATURE_NAMES.get(r["feature"], r["feature"]),
                 "Gini": f"{r['gini']:.3f}", "Permutation": f"{r['permutation']:.3f}".replace("-", "−"),
                 "Gini, the paper's": f"{printed[r['feature']]:.3f}" if r["feature"] in printed else "–"}
            )  # fmt: skip
    rows.sort(key=lambda r: r["Setting"])
    schema = ["Setting", "Feature", "Gini", "Permutation", "Gini, the paper's"]
    note = (
        f"The {top} strongest. Permutation: what the held-out AUC loses when the column is shuffled; features that say the "
        "same cover for each other. The paper prints ten for retail with DeepSeek-V3.1."
    )
    return Table(
        "features", "What the forest goes by", _frame(rows, schema), note, origin, group="Setting", data=found
    )


def success(matrix: Any, origin: Origin) -> Table:
    """Success rates, and realism with and without faulty episodes."""
    found = numbers.success(matrix)
    columns = {"Success": "success", "Success, write tasks": "success_write", "HL": "human_likeness",
               "HL, no faults": "human_likeness_sound", "Coverage": "coverage", "Coverage, no faults": "coverage_sound",
               "Score": "score", "Score, no faults": "score_sound"}  # fmt: skip
    rows = [
        {"Setting": _where(r), "Condition": _name(r["condition"]), "Seeds": _seeds(r)}
        | {head: spread(r, old, 2 if "Success" in head else 3) for head, old in columns.items()}
        | {"Episodes": _n(r["n_episodes"]), "Failed": _n(r["n_failed"]), "Faulty": _n(r["n_faults"])}
        for r in found.to_dicts()
    ]
    note = (
        "Mean ± standard deviation over seeds, coverage and score at equal N; counts are sums over seeds. Failed episodes are in no "
        "mean; faulty ones (the simulated user spoiled its own task) are left out in the columns that say so. Write tasks: the "
        f"right outcome changes data. {_missing(matrix, search=MAIN)}"
    )
    return Table("success", "Success, and realism without faulty episodes", pl.DataFrame(rows), note.strip(), origin, group="Setting", data=found)  # fmt: skip


def faults(matrix: Any, origin: Origin) -> Table:
    """Which faults and errors, by condition."""
    found = numbers.fault_counts(matrix)
    rows = [
        {"Setting": _where(r), "Condition": _name(r["condition"]), "Kind": r["kind"], "What": plain(r["what"]),
         "Episodes": _n(r["n"]), "of": _n(r["episodes"]), "Share": f"{r['n'] / r['episodes']:.1%}"}
        for r in found.to_dicts()
    ]  # fmt: skip
    schema = ["Setting", "Condition", "Kind", "What", "Episodes", "of", "Share"]
    return Table("faults", "What went wrong in conversations", _frame(rows, schema),
                 "Episodes by the first fault of the simulated user, or the error that ended them; held-out tasks, all seeds.", origin,
                 group="Setting", data=found)  # fmt: skip


def searches(matrix: Any, origin: Origin, *, transfer: bool) -> Table:
    """Ablations and controls beside the main search, or transfers beside the native program."""
    found = numbers.searches(matrix, transfer=transfer)
    rows = []
    for r in found.to_dicts():
        cells = {"Scored on": _where(r), "Search": _search(r, transfer), "Seeds": _seeds(r)}
        for head, old in (
            ("Score", "score"),
            ("HL", "human_likeness"),
            ("Coverage", "coverage"),
            ("Success", "success"),
        ):
            cells[head] = spread(r, old, 2 if old == "success" else 3)
        cells |= {"Gain over seed program": _tested(r, "gain"), "Against main": _tested(r, "to_main")}
        if not r["seeds"]:
            cells["Score"] = _absent(r)
        rows.append(cells)
    note = (
        "Evolved programs on held-out tasks at equal N, mean ± standard deviation over seeds. Differences of score are paired by task, "
        f"with 95 % interval; * p < 0.05 by sign flips, not adjusted. {_missing(matrix, transfer=transfer)}"
    )
    title, name = (
        ("Transfer: evolved there, scored here", "transfer")
        if transfer
        else ("Ablations of the search", "ablations")
    )
    schema = [
        "Scored on",
        "Search",
        "Seeds",
        "Score",
        "HL",
        "Coverage",
        "Success",
        "Gain over seed program",
        "Against main",
    ]
    return Table(name, title, _frame(rows, schema), note.strip(), origin, group="Scored on", data=found)


def _search(row: Row, transfer: bool) -> str:
    if transfer:
        return (
            "evolved here"
            if row["search"] == MAIN
            else f"evolved on {row['search'].removeprefix('transfer:')}"
        )
    return row["search"].replace("_", " ")


def cost(matrix: Any, origin: Origin) -> Table:
    """What searching took."""
    found = numbers.cost(matrix)
    rows = [
        {"Setting": _where(r), "Search": r["search"].replace("_", " "), "Seeds": _n(r["seeds"]), "Programs": _n(r["candidates"]),
         "Accepted": _n(r["accepted"]), "Rejected": _n(r["rejected"]), "New bests": _n(r["new_best"]),
         "Conversations": count(r["episodes"]), "Requests": count(r["requests"]), "Tokens in": count(r["tokens_in"]),
         "Tokens out": count(r["tokens_out"]), "Cost": money(r["cost"])}
        for r in found.to_dicts()
    ]  # fmt: skip
    schema = ["Setting", "Search", "Seeds", "Programs", "Accepted", "Rejected", "New bests", "Conversations", "Requests", "Tokens in", "Tokens out", "Cost"]  # fmt: skip
    note = "Sums over seeds, of candidates (train batches, validation, mutation and reflection), without held-out evaluation. A dash: no known price."
    return Table(
        "cost", "What the searches took", _frame(rows, schema), note, origin, group="Setting", data=found
    )


def failures(matrix: Any, origin: Origin) -> Table:
    """Why candidates were rejected."""
    found = numbers.rejections(matrix)
    rows = [
        {"Setting": _where(r), "Search": r["search"].replace("_", " "), "Why": plain(r["what"], 80), "Programs": _n(r["n"]),
         "of": _n(r["candidates"])}
        for r in found.to_dicts()
    ]  # fmt: skip
    note = (
        f"Candidates that were not accepted, by the beginning of their reason, all seeds. {_missing(matrix)}"
    )
    return Table("failures", "What failed in the searches", _frame(rows, ["Setting", "Search", "Why", "Programs", "of"]), note.strip(), origin, group="Setting", data=found)  # fmt: skip


def quirks() -> Table:
    """Where the paper's printed tables disagree with themselves."""
    found = numbers.quirks()
    rows = [
        {"Table": r["table"], "Row": r["row"], "What": r["what"], "Printed": f"{r['printed']:.3f}", "Recomputed": f"{r['recomputed']:.4f}"}
        for r in found.to_dicts()
    ]  # fmt: skip
    note = "Recomputed from the numbers of arXiv:2605.12894 as printed (data/paper); differences that rounding explains are left out."
    return Table("quirks", "Where the paper's tables disagree with themselves", _frame(rows, ["Table", "Row", "What", "Printed", "Recomputed"]), note, data=found)  # fmt: skip


def runs(matrix: Any, origin: Origin) -> Table:
    """Every planned cell with its run's id."""
    found = matrix.cells.sort(*CELL, pl.col("search") != MAIN, "search", "seed")
    rows = [
        {"Setting": _where(r), "Search": r["search"].replace("_", " "), "Seed": str(r["seed"]), "Status": r["status"],
         "Run": r["run_id"] or "–", "Reason": plain(r["reason"] or "", 80)}
        for r in found.to_dicts()
    ]  # fmt: skip
    schema = ["Setting", "Search", "Seed", "Status", "Run", "Reason"]
    return Table(
        "runs",
        "The runs behind everything",
        _frame(rows, schema),
        "Every cell of the plan.",
        origin,
        group="Setting",
        data=found,
    )


def spread(row: Row, name: str, digits: int) -> str:
    """Write a mean with its deviation over seeds; the mean alone where one seed has none, nothing where there is none."""
    value, std = row.get(name), row.get(f"{name}_std")
    if value is None:
        return ""
    return f"{value:.{digits}f}" if std is None else f"{value:.{digits}f} ± {std:.{digits}f}"


def _seeds(row: Row) -> str:
    """Say how many seeds there are of those planned, and that one has no deviation."""
    n, planned = row["seeds"], row["planned"]
    text = str(n) if n == planned else f"{n} of {planned}"
    return f"{text}: no ±" if n == 1 else text


def _absent(row: Row) -> str:
    return "not run" if row["planned"] else "not planned"


def _where(row: Row) -> str:
    return f"{row['domain']} · {row['simulator']}"


def _name(condition: str) -> str:
    return NAMES.get(condition, condition)


def _n(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _ends(row: Row, low: str, high: str, digits: int = 3) -> str:
    if row[low] is None or row[high] is None:
        return ""
    signed = (
        "+" if digits == 3 and low in ("low", "gain_low", "to_main_low") and row[low] < 0 <= row[high] else ""
    )
    return f"[{row[low]:{signed}.{digits}f}, {row[high]:{signed}.{digits}f}]".replace("-", "−")


def _tested(row: Row, name: str) -> str:
    if row[name] is None:
        return ""
    star = "*" if row[f"{name}_p"] < SURE else ""
    return f"{row[name]:+.3f}".replace("-", "−") + f" {_ends(row, f'{name}_low', f'{name}_high')}{star}"


def _stars(row: Row, m: str) -> str:
    signs = (("*", f"{m}_vs_base"), ("†", f"{m}_vs_initial"))
    return "".join(sign for sign, name in signs if row.get(name) is not None and row[name] < SURE)


def _missing(matrix: Any, *, search: str | None = None, transfer: bool | None = None) -> str:
    """Say in words which planned cells are not there."""
    cells = matrix.cells.filter(pl.col("status") != "done")
    if search:
        cells = cells.filter(search=search)
    if transfer is not None:
        kind = pl.col("search").str.starts_with("transfer:")
        cells = cells.filter(kind if transfer else ~kind)
    parts = []
    for (where, name, reason), part in cells.with_columns(
        where=pl.format("{} · {}", "domain", "simulator")
    ).group_by("where", "search", "reason", maintain_order=True):
        said = f": {plain(reason, 90).rstrip('.')}" if reason else ""
        parts.append(f"{where} · {name}, {spans(sorted(set(part['seed'])))}{said}")
    return f"Not there: {'; '.join(parts)}." if parts else ""


def _frame(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String))
