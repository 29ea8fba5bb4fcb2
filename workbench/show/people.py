"""People and simulators side by side: frames from the shipped fingerprints, and a chart for each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import altair as alt
import polars as pl

from workbench.measure import DIMENSIONS, FEATURES
from workbench.measure.alignment import alignment_interval, human_ceiling
from workbench.measure.coverage import Cloud
from workbench.measure.discriminator import Discriminator
from workbench.measure.faults import FAULTS
from workbench.measure.fresh import auc, fresh_scores, roc_auc
from workbench.measure.held_out import importance, matrix
from workbench.measure.reference import humans, simulators
from workbench.measure.uncertainty import summarize
from workbench.show.charts import TERM_NAMES
from workbench.show.style import FEATURE_NAMES, LOOKS, PALETTE

SOURCE = "People: tau-usi (CMU LTI). Simulators: public tau-bench and tau2-bench results. Fingerprints as shipped in data/."
SHAPES = ("square", "diamond", "triangle-up", "cross", "triangle-down")
_PEOPLE, _EDITOR = LOOKS["humans"], LOOKS["editor"]


def names(domain: str, kind: str = "base") -> list[str]:
    """Name the files of a domain's simulators: ``base``, or ``trait``."""
    return sorted(name for name in simulators(domain)["file"].unique() if f"{kind}_" in name)


def label(file: str) -> str:
    """Shorten a file's name to what its simulator is."""
    short = file.replace("retail_", "").replace("airline_", "").removeprefix("base_")
    model, _, bench = short.partition("_")
    if model == "taubench":
        return "gpt-4o agent, tau-bench"
    return f"{model}, {bench.replace('taubench', 'tau-bench')}"


def side(domain: str, file: str, split: str | None = None, *, edited: bool = False) -> pl.DataFrame:
    """Take one simulator's fingerprints, of one split or of all tasks, as found or after the editor."""
    frame = simulators(domain).filter(file=file, variant="edited" if edited else "as_found")
    return frame if split is None else frame.filter(split=split)


@cache
def forest(domain: str, file: str) -> Discriminator:
    """Fit the paper's forest on people and one base simulator's train tasks (the domain's others where it has none)."""
    train = side(domain, file, "train")
    if train.is_empty():
        train = pl.concat([side(domain, other, "train") for other in names(domain) if other != file])
    return Discriminator.fit(humans(domain).filter(split="train"), train)


# -- frames ---------------------------------------------------------------------------------------


def separations(domain: str) -> pl.DataFrame:
    """How well each feature alone tells people from each base simulator: the chance that a person's is the higher."""
    people, rows = humans(domain), []
    for file in names(domain):
        base = side(domain, file)
        both = pl.concat([people.select(FEATURES), base.select(FEATURES)])
        y = pl.Series([1] * len(people) + [0] * len(base)).to_numpy()
        for dimension, features in DIMENSIONS.items():
            rows += [
                (label(file), dimension, f, FEATURE_NAMES[f], roc_auc(y, both[f].to_numpy()))
                for f in features
            ]
    return pl.DataFrame(rows, schema=["simulator", "dimension", "feature", "name", "auc"], orient="row")


def importances(domain: str, file: str) -> pl.DataFrame:
    """Gini and permutation importance of each feature for one simulator's forest, on test tasks."""
    people, base = humans(domain).filter(split="test"), side(domain, file, "test")
    found = importance(forest(domain, file), people, base, repeats=5)
    return found.with_columns(name=pl.col("feature").replace_strict(FEATURE_NAMES))


def cross(domain: str, resamples: int = 200) -> pl.DataFrame:
    """Fit on people and simulator A (train tasks), test on people and simulator B (test tasks)."""
    sides = {label(f): {part: side(domain, f, part) for part in ("train", "test")} for f in names(domain)}
    people = {part: humans(domain).filter(split=part) for part in ("train", "test")}
    return matrix(people, sides, resamples=resamples)


def alignments(domain: str) -> pl.DataFrame:
    """D1-D4 of every simulator with intervals, and people against people as ``Humans, halves``."""
    people = humans(domain)
    found = [("Humans, halves", human_ceiling(people))]
    for file in [*names(domain), *names(domain, "trait")]:
        frame = side(domain, file)
        parts = {label(file): frame} if frame["trait"].null_count() else {
            str(key[0]): part for key, part in frame.partition_by("trait", as_dict=True).items()
        }  # fmt: skip
        found += [(name, alignment_interval(part, people)) for name, part in sorted(parts.items())]
    columns = ("term", "value", "low", "high")
    return pl.concat(frame.select(*columns, simulator=pl.lit(name)) for name, frame in found)


def coverages(domain: str, sizes: Sequence[int] = (1, 2, 3, 5, 8, 12, 20)) -> pl.DataFrame:
    """Coverage of bundles of n dialogues, raw and standardized: test people, and each base simulator's test tasks."""
    seen, fresh = (humans(domain).filter(split=part) for part in ("train", "test"))
    groups = {_PEOPLE.name: fresh} | {label(f): side(domain, f, "test") for f in names(domain)}
    rows = []
    for units, cloud in (("raw units (paper)", Cloud(seen)), ("standardized", Cloud(seen, standardize=True))):
        for who, frame in groups.items():
            rows += [(who, units, n, cloud.equal_n(frame, n, draws=60)) for n in sizes if n <= len(frame)]
    return pl.DataFrame(rows, schema=["who", "units", "n", "coverage"], orient="row")


def controls(domain: str) -> pl.DataFrame:
    """P(human) of people, base simulator and editor on test tasks, and what a fresh forest says of the editor."""
    people, rows = humans(domain).filter(split="test"), []
    for file in names(domain):
        judge, edited = forest(domain, file), side(domain, file, "test", edited=True)
        for who, frame in (("humans", people), ("base", side(domain, file, "test")), ("editor", edited)):
            mean = summarize(judge.likeness(frame), frame["tau2_task_id"])
            rows.append((label(file), who, mean.mean, mean.low, mean.high))
        scores = fresh_scores(edited, people, task="tau2_task_id")
        rows.append((label(file), "fresh", *auc(scores, resamples=300)))
    return pl.DataFrame(rows, schema=["simulator", "who", "value", "low", "high"], orient="row")


def fault_rates(domain: str) -> pl.DataFrame:
    """Share of dialogues with each fault, by simulator and trait (as shipped: the first fault of a dialogue), zeros included."""
    name = pl.coalesce("trait", pl.col("file").map_elements(label, return_dtype=pl.String))
    frame = simulators(domain).filter(variant="as_found").select("fault", simulator=name)
    n = [(pl.col("fault") == fault).sum().alias(fault) for fault in FAULTS]
    counts = frame.group_by("simulator").agg(pl.len().alias("of"), *n)
    counts = counts.unpivot(FAULTS, index=("simulator", "of"), variable_name="fault", value_name="n")
    share = (pl.col("n") / pl.col("of")).alias("share")
    return counts.select("simulator", "fault", "n", share).sort("simulator", "fault")


# -- charts ---------------------------------------------------------------------------------------


def separation_chart(frame: pl.DataFrame, domain: str) -> Any:
    """Draw each feature's own power to tell people from simulators, strongest first within its dimension."""
    power = frame.group_by("name").agg((pl.col("auc") - 0.5).abs().mean())
    order = power.sort(-pl.col("auc"), "name")["name"].to_list()
    best, simulators_ = order[0], frame["simulator"].unique(maintain_order=True).to_list()
    dots = alt.Chart(frame).mark_point(filled=True, size=55, opacity=0.85).encode(
        x=alt.X("auc:Q", title="chance that a person's value is the higher one", scale=alt.Scale(domain=[0, 1])),
        y=alt.Y("name:N", title=None, sort=order),
        color=_color(simulators_, "simulator"),
        shape=_shape(simulators_, "simulator"),
        tooltip=["simulator", "dimension", "name", alt.Tooltip("auc:Q", format=".2f")],
    )  # fmt: skip
    title = f"One feature nearly tells people apart: {best}"
    note = "0.5: the feature says nothing. Left: people lower; right: people higher."
    return (_chance("x:Q") + dots).properties(width=420, height=340, title=_title(title, note, domain))


def importance_chart(frame: pl.DataFrame, domain: str, file: str) -> Any:
    """Draw Gini beside permutation importance."""
    order = frame.sort(-pl.col("gini"), "name")["name"].to_list()
    panels = []
    for column, title in (("gini", "Gini importance"), ("permutation", "drop of AUC when shuffled")):
        base = alt.Chart(frame).encode(
            y=alt.Y("name:N", sort=order, title=None, axis=alt.Axis(labels=column == "gini"))
        )
        panel = base.mark_bar(color=PALETTE[0], height=9).encode(x=alt.X(f"{column}:Q", title=title))
        if column == "permutation":
            low, high = "datum.permutation - datum.std", "datum.permutation + datum.std"
            ends = base.transform_calculate(low=low, high=high)
            panel += ends.mark_rule(color="#888888").encode(x=alt.X("low:Q", title=title), x2="high:Q")
        panels.append(panel.properties(width=200, height=300))
    note = "Features that say the same cover for each other: a small drop does not mean a feature is useless."
    title = f"What the forest against {label(file)} goes by: {order[0]} first"
    return alt.hconcat(*panels, title=_title(title, note, domain))


def matrix_chart(frame: pl.DataFrame, domain: str) -> Any:
    """Draw the cross-simulator matrix of held-out AUC."""
    order = frame["tested"].unique(maintain_order=True).to_list()
    off = frame.filter(pl.col("fitted") != pl.col("tested"))["auc"].to_numpy().min()
    cells = alt.Chart(frame).encode(
        x=alt.X("tested:N", title="tested on", sort=order, axis=alt.Axis(labelAngle=-20)),
        y=alt.Y("fitted:N", title="fitted against", sort=order),
    )
    color = alt.Color("auc:Q", title="AUC", scale=alt.Scale(domain=[0.5, 1], range=["#F7FBFF", PALETTE[0]]))
    text = alt.condition("datum.auc > 0.8", alt.value("white"), alt.value("black"))
    words = cells.transform_calculate(
        text="format(datum.auc, '.2f') + '  [' + format(datum.auc_low, '.2f') + ', ' + format(datum.auc_high, '.2f') + ']'"
    ).mark_text(fontSize=11)
    layers = cells.mark_rect().encode(color=color) + words.encode(text="text:N", color=text)
    title = f"The forests know people, not one model's tics: worst pair {off:.2f}"
    if off < 0.9:
        title = f"Some forests know one model's tics: worst pair {off:.2f}"
    note = "Held-out ROC-AUC [95 % interval, tasks resampled]; a file without train tasks is only tested on."
    return layers.properties(
        width=130 * len(order), height=46 * frame["fitted"].n_unique(), title=_title(title, note, domain)
    )


def alignment_chart(frame: pl.DataFrame, domain: str, terms: Sequence[str] = ("D1", "D2", "D3", "D4")) -> Any:
    """Draw D1-D4 of every simulator beside the human ceiling."""
    mean = frame.filter(term="USI_D1_D4").sort(-pl.col("value"))
    order, top = mean["simulator"].to_list(), mean.filter(simulator="Humans, halves")["value"][0]
    rest = mean.filter(pl.col("simulator") != "Humans, halves")
    people = alt.condition(
        "datum.simulator == 'Humans, halves'", alt.value(_PEOPLE.color), alt.value("#888888")
    )
    panels = []
    for term in terms:
        base = alt.Chart(frame.filter(term=term)).encode(
            y=alt.Y("simulator:N", sort=order, title=None, axis=alt.Axis(labels=term == terms[0]))
        )
        scale, axis = alt.Scale(domain=[0, 100]), alt.Axis(values=[0, 50, 100])
        x = alt.X("low:Q", title=TERM_NAMES[term], scale=scale, axis=axis)
        bars = base.mark_rule(strokeWidth=1.5).encode(x=x, x2="high:Q", color=people)
        dots = base.mark_point(filled=True, size=50, opacity=1).encode(x="value:Q", color=people)
        panels.append((bars + dots).properties(width=130, height=20 * len(order)))
    title = f"The best simulator stays {top - rest['value'][0]:.0f} points below people against people"
    note = f"Dice alignment in percent, 95 % intervals by task; sorted by the mean of D1–D4 (people {top:.0f}, best {rest['value'][0]:.0f})."
    return alt.hconcat(*panels, title=_title(title, note, domain))


def coverage_chart(frame: pl.DataFrame, domain: str) -> Any:
    """Draw coverage against the number of dialogues, raw and standardized."""
    order = frame["who"].unique(maintain_order=True).to_list()
    base = alt.Chart(frame).encode(
        x=alt.X(
            "n:Q",
            title="dialogues in a bundle (N)",
            scale=alt.Scale(type="log", nice=False, padding=8),
            axis=alt.Axis(values=frame["n"].unique().sort().to_list()),
        ),
        y=alt.Y("coverage:Q", title="coverage", scale=alt.Scale(domain=[0, 0.8])),
        color=_color(order, "who", first=_PEOPLE.color),
        tooltip=["who", "n", alt.Tooltip("coverage:Q", format=".3f")],
    )
    lines = (
        base.mark_line()
        + base.mark_point(filled=True, size=40).encode(shape=_shape(order, "who", people=True))
    ).properties(width=250, height=230)
    panels = lines.facet(column=alt.Column("units:N", title=None, sort=["raw units (paper)", "standardized"]))
    title = "Coverage moves with N by itself: compare at equal N only"
    note = "Mean over random bundles of test-task dialogues, against the people of train tasks."
    return panels.properties(title=_title(title, note, domain))


def control_chart(frame: pl.DataFrame, domain: str) -> Any:
    """Draw P(human) of people, base and editor, and the fresh forest's verdict on the editor."""
    looks = {who: LOOKS[who] for who in ("humans", "base", "editor")}
    order = [look.name for look in looks.values()]
    fresh, part = frame.filter(who="fresh"), frame.filter(pl.col("who") != "fresh")
    part = part.with_columns(name=pl.col("who").replace_strict(dict(zip(looks, order, strict=True))))
    wide = part.pivot("who", index="simulator", values="value")
    fooled = (wide["editor"] > wide["humans"]).sum()
    colors = alt.Scale(domain=order, range=[look.color for look in looks.values()])
    shapes = alt.Scale(domain=order, range=[look.shape for look in looks.values()])
    base = alt.Chart(part).encode(
        y=alt.Y("simulator:N", title=None), color=alt.Color("name:N", title=None, scale=colors)
    )
    axis: dict[str, Any] = {"title": "P(human) by the frozen forest", "scale": alt.Scale(domain=[0, 1])}
    left = base.mark_rule(strokeWidth=1.5, opacity=0.6).encode(x=alt.X("low:Q", **axis), x2="high:Q")
    left += base.mark_point(filled=False, strokeWidth=2.5, size=70, opacity=1).encode(
        x=alt.X("value:Q", **axis), shape=alt.Shape("name:N", title=None, scale=shapes)
    )
    verdict = alt.Chart(fresh).encode(y=alt.Y("simulator:N", title=None, axis=alt.Axis(labels=False)))
    title = "editor against people: AUC of a fresh forest"
    right = _chance(alt.X("x:Q", scale=alt.Scale(domain=[0, 1]), title=title))
    right += verdict.mark_rule(color=_EDITOR.color).encode(x="low:Q", x2="high:Q")
    right += verdict.mark_point(filled=True, size=70, opacity=1, color=_EDITOR.color).encode(x="value:Q")
    height = 42 * frame["simulator"].n_unique()
    panels = [panel.properties(width=250, height=height) for panel in (left, right)]
    head = f"A rule without a model scores above people on {fooled} of {len(wide)} simulators"
    note = f"… and a forest trained afresh catches it on {(fresh['low'] > 0.5).sum()}. Test tasks, 95 % intervals by task."
    return alt.hconcat(*panels, title=_title(head, note, domain))


def fault_chart(frame: pl.DataFrame, domain: str) -> Any:
    """Draw the share of dialogues with a fault, stacked by its kind."""
    totals = frame.group_by("simulator").agg(pl.col("share").sum()).sort(-pl.col("share"), "simulator")
    kinds = [fault for fault in FAULTS if frame.filter(fault=fault)["n"].sum()]
    colors = dict(zip(FAULTS, (c for c in PALETTE if c != _PEOPLE.color), strict=False))
    bars = alt.Chart(frame.filter(pl.col("fault").is_in(kinds))).mark_bar(height=13).encode(
        x=alt.X("share:Q", title="share of dialogues", axis=alt.Axis(format="%")),
        y=alt.Y("simulator:N", sort=totals["simulator"].to_list(), title=None),
        color=alt.Color("fault:N", title=None, scale=alt.Scale(domain=kinds, range=[colors[kind] for kind in kinds])),
        tooltip=["simulator", "fault", "n", alt.Tooltip("share:Q", format=".1%")],
    )  # fmt: skip
    title = f"{totals['simulator'][0]} spoils {totals['share'][0]:.0%} of its dialogues"
    note = "Found by rules, without a model; they miss much that a reader sees. A dialogue counts once, by its first fault."
    return bars.properties(width=420, height=24 * len(totals), title=_title(title, note, domain))


def _chance(x: Any) -> alt.Chart:
    """Draw a rule where nothing is told apart."""
    return alt.Chart(pl.DataFrame({"x": [0.5]})).mark_rule(strokeDash=[4, 3], color="#888888").encode(x=x)


def _title(text: str, note: str, domain: str) -> alt.Title:
    return alt.Title(text, subtitle=[note, f"{domain.capitalize()}. {SOURCE}"])


def _color(order: Sequence[str], field: str, first: str | None = None) -> alt.Color:
    colors = [first, *PALETTE] if first else list(PALETTE)
    colors = list(dict.fromkeys(c for c in colors if c != _PEOPLE.color or c == first))
    return alt.Color(
        f"{field}:N",
        title=None,
        sort=list(order),
        scale=alt.Scale(domain=list(order), range=colors[: len(order)]),
    )


def _shape(order: Sequence[str], field: str, *, people: bool = False) -> alt.Shape:
    shapes = [_PEOPLE.shape, *SHAPES] if people else list(SHAPES)
    scale = alt.Scale(domain=list(order), range=shapes[: len(order)])
    return alt.Shape(f"{field}:N", title=None, sort=list(order), scale=scale)
