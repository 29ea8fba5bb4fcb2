"""Charts: a frame and its provenance in, an Altair chart out; no widgets, no reading of files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import polars as pl

from workbench.show.frames import outcomes, over_seeds
from workbench.show.style import ADDED, LOOKS, REMOVED, TERMS, Look, change, share

WIDTH, HEIGHT = 210, 170
TERM_NAMES = {
    "human_likeness": "Human-likeness",
    "coverage_equal_n": "Coverage, equal N",
    "score_equal_n": "Score, equal N",
    "coverage": "Coverage, paper's protocol",
    "score": "Score, paper's protocol",
    "success": "Success",
    "success_write": "Success, tasks that need a write",
    "D1": "D1 style",
    "D2": "D2 disclosure",
    "D3": "D3 clarification",
    "D4": "D4 error reaction",
}


def by_generation(frame: pl.DataFrame, references: pl.DataFrame, provenance: str) -> Any:
    """Draw fitness, human-likeness and coverage by generation, train and validation, beside people.

    Parameters
    ----------
    frame, references
        From ``frames.generations`` and ``frames.references``; the latter may be empty.
    provenance
        One line that says where the numbers come from; for several runs, each's, parted by " | ".
    """
    panels = [
        _panel(frame, references, term, first=not i)
        for i, term in enumerate(frame["term"].unique(maintain_order=True))
    ]
    note = "Crosses: train batches, with 95 % intervals; rings: validation; line: best so far."
    if (runs := frame["run"].n_unique()) > 1:
        note += f" Thick: mean of {runs} runs; band: worst to best of them."
    beside = (
        "Green band: people (95 %); dashed: base simulator, both on held-out tasks at equal N."
        if len(references)
        else "No people and no base simulator: no held-out results ('workbench evaluate') are there."
    )
    title = _takeaway(frame)
    return alt.hconcat(
        *panels, spacing=24, title=alt.Title(title, subtitle=[note, beside, *provenance.split(" | ")])
    )


def _panel(frame: pl.DataFrame, references: pl.DataFrame, term: str, *, first: bool) -> Any:
    look = LOOKS["search"]
    part = frame.filter(term=term)
    train, valid = part.filter(split="train"), part.filter(split="validation")
    last = max(_last(part), 1)
    x = alt.X(
        "generation:Q", title="generation", scale=alt.Scale(domain=[0, last]), axis=alt.Axis(tickMinStep=1)
    )
    y = alt.Y("value:Q", title=None, scale=alt.Scale(domain=[0, 1]))
    tip = ["candidate_id:N", "generation:Q", "n_personas:Q", alt.Tooltip("value:Q", format=".3f")]
    layers: list[alt.Chart] = []
    for row in references.filter(term=term).iter_rows(named=True):
        where = pl.DataFrame([{**row, "from": 0, "to": last, "name": LOOKS[row["condition"]].name}])
        people, level = row["condition"] == "humans", row["value"]
        crossed = any(0 < best - level < 0.15 for best in train["best"].drop_nulls().to_list()[-1:])
        layers += _reference(where, LOOKS[row["condition"]], band=people, below=crossed)
    many = frame["run"].n_unique() > 1
    if many:
        layers += _mean_of_seeds(over_seeds(frame).filter(term=term), x)
    detail, faint = ["run:N"], 0.5 if many else 1.0
    layers += [
        alt.Chart(train)
        .mark_rule(color=look.color, opacity=0.22 * faint)
        .encode(x=x, y="low:Q", y2="high:Q"),
        alt.Chart(train)
        .mark_point(shape=look.shape, color=look.color, filled=True, size=45, opacity=0.5 * faint)
        .encode(x=x, y=y, tooltip=tip, detail=detail),
        alt.Chart(train)
        .mark_line(color=look.color, interpolate="step-after", strokeWidth=1 if many else 2, opacity=faint)
        .encode(x=x, y="best:Q", detail=detail),
        alt.Chart(valid)
        .mark_point(shape="circle", color=look.color, filled=False, size=60, strokeWidth=1.5, opacity=faint)
        .encode(x=x, y=y, tooltip=tip, detail=detail),
    ]
    return alt.layer(*layers).properties(
        width=WIDTH, height=HEIGHT, title=alt.Title(TERMS[term], fontSize=12)
    )


def _mean_of_seeds(frame: pl.DataFrame, x: Any) -> list[alt.Chart]:
    """Draw the mean best over runs as a thick line, worst to best run as a band."""
    base, color = alt.Chart(frame), LOOKS["search"].color
    tip = ["generation:Q", "runs:Q", *(alt.Tooltip(f"{c}:Q", format=".3f") for c in ("mean", "low", "high"))]
    band = base.mark_area(color=color, opacity=0.18, interpolate="step-after").encode(
        x=x, y="low:Q", y2="high:Q"
    )
    line = base.mark_line(color=color, strokeWidth=3, interpolate="step-after").encode(
        x=x, y="mean:Q", tooltip=tip
    )
    return [band, line]


def _last(frame: pl.DataFrame) -> int:
    return max(frame["generation"].to_list(), default=0)


def _reference(where: pl.DataFrame, look: Look, *, band: bool, below: bool) -> list[alt.Chart]:
    base = alt.Chart(where)
    line = base.mark_rule(color=look.color, strokeDash=[1, 0] if band else [4, 3], strokeWidth=1.5).encode(
        x="from:Q", x2="to:Q", y="value:Q", tooltip=["name:N", alt.Tooltip("value:Q", format=".3f")]
    )
    text = base.mark_text(color=look.color, align="right", dy=8 if below else -6, fontSize=10).encode(
        x="to:Q", y="value:Q", text="name:N"
    )
    if not band or where["low"][0] is None:
        return [line, text]
    area = base.mark_rect(color=look.color, opacity=0.14).encode(
        x="from:Q", x2="to:Q", y="low:Q", y2="high:Q"
    )
    return [area, line, text]


def _takeaway(frame: pl.DataFrame) -> str:
    best = frame.filter(split="train", term="rank").sort("run", "candidate_id")
    if best.is_empty():
        return "No candidate has been accepted yet"
    ends = best.group_by("run", maintain_order=True).agg(
        pl.col("best").first().alias("a"), pl.col("best").last().alias("b")
    )
    a, b = float(ends["a"].mean() or 0), float(ends["b"].mean() or 0)  # type: ignore[arg-type]
    steps = _last(frame)
    runs = f", mean of {len(ends)} runs" if len(ends) > 1 else ""
    return f"Best fitness goes from {a:.2f} to {b:.2f} in {steps} generations{runs}"


def by_condition(frame: pl.DataFrame, provenance: str) -> Any:
    """Draw the held-out conditions as a dot plot with 95 % intervals, a panel a term.

    Parameters
    ----------
    frame
        From ``frames.conditions``.
    provenance
        One line that says where the numbers come from.
    """
    order = [c for c in LOOKS if c in set(frame["condition"])]
    names = [LOOKS[c].name for c in order]
    frame = frame.with_columns(name=pl.col("condition").replace_strict({c: LOOKS[c].name for c in order}))
    left = ["score_equal_n", "human_likeness", "coverage_equal_n"]
    panels = [
        _dots(frame.filter(term=term), order, names, TERM_NAMES[term], axis=not i)
        for i, term in enumerate([*left, "success"])
        if len(frame.filter(term=term))
    ]
    values = {row["condition"]: row["value"] for row in frame.filter(term="score_equal_n").to_dicts()}
    title = "Held-out tasks, conditions compared"
    if {"initial", "evolved"} <= set(values):
        gain = values["evolved"] - values["initial"]
        title = f"On held-out tasks the evolved program scores {change(gain)} against the seed program"
    note = "Dots: means; bars: 95 % intervals clustered by task; every condition with the same N a task."
    if frame["sound"].count():
        note += " Rings: without faulty episodes."
    return alt.hconcat(*panels, spacing=18, title=alt.Title(title, subtitle=[note, provenance]))


def _dots(part: pl.DataFrame, order: Sequence[str], names: Sequence[str], title: str, *, axis: bool) -> Any:
    y = alt.Y(
        "name:N",
        scale=alt.Scale(domain=list(names)),
        title=None,
        axis=alt.Axis(labels=axis, ticks=False, domain=False, grid=True),
    )
    color = _colors(order, names)
    tip = ["name:N", alt.Tooltip("value:Q", format=".3f"), alt.Tooltip("low:Q", format=".3f")]
    tip += [
        alt.Tooltip("high:Q", format=".3f"),
        alt.Tooltip("sound:Q", format=".3f"),
        "episodes:Q",
        "failed:Q",
        "faulty:Q",
    ]
    x = alt.X("value:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(values=[0, 0.5, 1]))
    base = alt.Chart(part)
    bars = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=None), x2="high:Q", y=y, color=color)
    dots = base.mark_point(filled=True, size=70, opacity=1).encode(
        x=x,
        y=y,
        color=color,
        shape=alt.Shape(
            "name:N", scale=alt.Scale(domain=list(names), range=[LOOKS[c].shape for c in order]), legend=None
        ),
        tooltip=tip,
    )
    sound = base.mark_point(filled=False, size=150, opacity=0.9, shape="circle").encode(
        x="sound:Q", y=y, color=color
    )
    return alt.layer(bars, dots, *([sound] if part["sound"].count() else [])).properties(
        width=130, height=24 * len(names), title=alt.Title(title, fontSize=12)
    )


def alignment(frame: pl.DataFrame, provenance: str) -> Any:
    """Draw D1–D4 (Sørensen–Dice against people, percent) of every condition.

    ``frame`` is that of ``frames.conditions``.
    """
    part = frame.filter(pl.col("term").is_in(["D1", "D2", "D3", "D4"]))
    order = [c for c in LOOKS if c in set(part["condition"])]
    names = [LOOKS[c].name for c in order]
    part = part.with_columns(
        name=pl.col("condition").replace_strict({c: LOOKS[c].name for c in order}),
        dimension=pl.col("term").replace_strict(TERM_NAMES, default=None),
        percent=pl.col("value") * 100,
    )
    base = alt.Chart(part)
    y = alt.Y("dimension:N", title=None, axis=alt.Axis(ticks=False, domain=False, grid=True))
    x = alt.X("percent:Q", title="alignment with people, %", scale=alt.Scale(domain=[0, 100]))
    span = base.mark_rule(color="#888888", opacity=0.5).encode(x="min(percent):Q", x2="max(percent):Q", y=y)
    shape = alt.Shape(
        "name:N", title=None, scale=alt.Scale(domain=names, range=[LOOKS[c].shape for c in order])
    )
    dots = base.mark_point(filled=True, size=80, opacity=1).encode(
        x=x,
        y=y,
        color=_colors(order, names, legend=True),
        shape=shape,
        tooltip=["name:N", "dimension:N", alt.Tooltip("percent:Q", format=".1f")],
    )
    mean = dict(part.group_by("condition").agg(pl.col("percent").mean()).sort("condition").iter_rows())
    top = max((c for c in mean if c != "humans"), key=mean.__getitem__, default="humans")
    said = f"{LOOKS[top].name} come closest to people's mean behavior: {mean[top]:.0f} %"
    beside = f"; held-out people {mean['humans']:.0f} %" if "humans" in mean else ""
    title = alt.Title(
        said + beside,
        subtitle=["Alignment by dimension; D1–D4 of people: held-out against known people.", provenance],
    )
    return alt.layer(span, dots).properties(width=420, height=150, title=title)


def archive(cells: pl.DataFrame, provenance: str) -> Any:
    """Draw the archive: human-likeness × coverage in 10 × 10 cells, filled by the occupant's fitness."""
    base = alt.Chart(
        cells.with_columns(pl.col("x", "y") / 10, x2=(pl.col("x") + 1) / 10, y2=(pl.col("y") + 1) / 10)
    )
    scale = alt.Scale(domain=[0, 1])
    ticks = alt.Axis(values=[0, 0.2, 0.4, 0.6, 0.8, 1], grid=True)
    rect = base.mark_rect(stroke="white", strokeWidth=1).encode(
        x=alt.X("x:Q", title="human-likeness", scale=scale, axis=ticks),
        x2="x2:Q",
        y=alt.Y("y:Q", title="coverage", scale=scale, axis=ticks),
        y2="y2:Q",
        color=alt.Color("rank:Q", title="fitness", scale=alt.Scale(scheme="cividis", domain=[0, 1])),
        tooltip=["occupant:N", alt.Tooltip("rank:Q", format=".3f"), "arrivals:Q", "first_generation:Q"],
    )
    title = alt.Title(
        f"The archive holds {len(cells)} of 100 cells",
        subtitle=["Color: fitness of the best program in the cell, over all islands.", provenance],
    )
    return alt.layer(rect).properties(width=300, height=300, title=title)


def realism_and_success(episodes: pl.DataFrame, provenance: str) -> Any:
    """Draw success against human-likeness, and beside it by whose fault conversations fail.

    ``episodes`` is that of ``frames.episodes``; people have no agent of ours and are left out.
    """
    order = [c for c in LOOKS if c in set(episodes["condition"])]
    names = [LOOKS[c].name for c in order]
    bins = (
        episodes.with_columns(
            bin=(pl.col("likeness") * 5).floor().clip(0, 4),
            name=pl.col("condition").replace_strict({c: LOOKS[c].name for c in order}),
        )
        .group_by("condition", "name", "bin")
        .agg(
            success=pl.col("success").cast(pl.Float64).mean(),
            likeness=pl.col("likeness").sort().mean(),
            episodes=pl.len(),
            faulty=pl.col("fault").is_not_null().mean(),
        )
        .sort("condition", "bin")
    )
    scale = alt.Scale(domain=names, range=[LOOKS[c].shape for c in order])
    tip = ["name:N", alt.Tooltip("likeness:Q", format=".2f"), alt.Tooltip("success:Q", format=".2f")]
    marks = (
        alt.Chart(bins)
        .mark_point(filled=True, opacity=0.9)
        .encode(
            x=alt.X("likeness:Q", title="P(human) of the user", scale=alt.Scale(domain=[0, 1])),
            y=alt.Y("success:Q", title="share of successes", scale=alt.Scale(domain=[0, 1])),
            color=_colors(order, names, legend=True),
            shape=alt.Shape("name:N", title=None, scale=scale),
            size=alt.Size("episodes:Q", title="episodes", legend=alt.Legend(tickCount=3)),
            tooltip=[*tip, "episodes:Q", alt.Tooltip("faulty:Q", format=".0%")],
        )
        .properties(width=250, height=200)
    )
    kinds = {"success": ADDED, "agent's fault": "#999999", "user's fault": REMOVED}
    fates = (
        alt.Chart(outcomes(episodes))
        .transform_calculate(
            order="indexof(['success', \"agent's fault\", \"user's fault\"], datum.outcome)",
            fifth="format(datum.fifth, '.1f') + '–' + format(datum.fifth + 0.2, '.1f')",
        )
        .mark_bar()
        .encode(
            x=alt.X("fifth:O", title="P(human) of the user", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("share:Q", title="share of conversations", scale=alt.Scale(domain=[0, 1])),
            color=alt.Color(
                "outcome:N", title=None, scale=alt.Scale(domain=list(kinds), range=list(kinds.values()))
            ),
            order="order:Q",
            tooltip=["outcome:N", "episodes:Q", alt.Tooltip("share:Q", format=".0%")],
        )
        .properties(width=240, height=200)
    )
    note = (
        "Left: the episodes of one condition in one fifth of P(human), area: how many. Right: all of them; failed by the",
        "user's fault: the simulated user spoiled its own task; agent's fault: it failed and nothing was wrong with the user.",
    )
    title = alt.Title(cost_of_realism(episodes), subtitle=[*note, provenance])
    return alt.hconcat(marks, fates, spacing=24, title=title).resolve_scale(
        color="independent", shape="independent", y="independent"
    )


def cost_of_realism(episodes: pl.DataFrame) -> str:
    """Say in a line whether realism costs success, and how much of it the simulated user's faults explain."""
    known = episodes.filter(pl.col("likeness").is_not_null(), pl.col("success").is_not_null())
    halves = []
    for part in (known.filter(pl.col("likeness") < 0.5), known.filter(pl.col("likeness") >= 0.5)):
        sound = part.filter(pl.col("fault").is_null())
        if part.is_empty() or sound.is_empty():
            return "Too few conversations to say whether realism costs success"
        halves.append([float(f["success"].cast(pl.Float64).to_numpy().mean()) for f in (part, sound)])
    (low, low_sound), (high, high_sound) = halves
    verb = "costs" if high - low < -0.02 else "raises" if high - low > 0.02 else "does not move"
    users = (high - low) - (high_sound - low_sound)
    return (
        f"Realism {verb} success ({share(low)} below P(human) .5, {share(high)} above); "
        f"the user's faults make {change(users)} of it"
    )


def coverages(frame: pl.DataFrame, provenance: str) -> Any:
    """Draw coverage of each condition by three rules; ``frame`` is that of ``audit.coverages``."""
    order = [c for c in LOOKS if c in set(frame["condition"])]
    names = [LOOKS[c].name for c in order]
    rules = [c for c in frame.columns if c != "condition"]
    long = frame.unpivot(rules, index="condition", variable_name="rule", value_name="coverage")
    long = long.with_columns(name=pl.col("condition").replace_strict({c: LOOKS[c].name for c in order}))
    firsts = {rule: frame.sort(rule, descending=True, nulls_last=True)["condition"][0] for rule in rules}
    agreed = len(set(firsts.values())) == 1
    said = "By every rule " if agreed else "The rules disagree: "
    said += (
        f"{LOOKS[firsts[rules[0]]].name} cover most"
        if agreed
        else "; ".join(f"{LOOKS[c].name} first ({r})" for r, c in firsts.items())
    )
    shape = alt.Shape(
        "name:N", title=None, scale=alt.Scale(domain=names, range=[LOOKS[c].shape for c in order])
    )
    base = alt.Chart(long).mark_point(filled=True, size=80, opacity=1)
    dots = base.encode(
        x=alt.X("coverage:Q", scale=alt.Scale(domain=[0, 1])),
        y=alt.Y("rule:N", title=None, sort=rules, axis=alt.Axis(ticks=False, domain=False, grid=True)),
        color=_colors(order, names, legend=True),
        shape=shape,
        tooltip=["name:N", "rule:N", alt.Tooltip("coverage:Q", format=".3f")],
    )
    note = "Paper: one conversation a task for the base simulator, N for personas. Standardized: each of 19 features alike."
    return dots.properties(width=420, height=110, title=alt.Title(said, subtitle=[note, provenance]))


def _colors(order: Sequence[str], names: Sequence[str], *, legend: bool = False) -> Any:
    scale = alt.Scale(domain=list(names), range=[LOOKS[c].color for c in order])
    return (
        alt.Color("name:N", title=None, scale=scale)
        if legend
        else alt.Color("name:N", scale=scale, legend=None)
    )
