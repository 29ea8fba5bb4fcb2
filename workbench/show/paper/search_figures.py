"""The paper's figures of the search: components, archive, axes, lineage."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from workbench.show.figures import Figure
from workbench.show.origin import Origin
from workbench.show.paper import series
from workbench.show.paper.marks import (
    BLUE,
    CROSSED,
    PALE,
    Built,
    band,
    by_setting,
    generations,
    grid,
    setting,
    settings,
    two,
)

HEIGHT = 105
TERMS = {"rank": "Fitness", "human_likeness": "Human-likeness", "coverage": "Coverage"}
NO_AXES = "No program of this matrix has named axes."


def components(matrix: Any, origin: Origin) -> Built:
    """Figure 3: fitness and its components over the search, several seeds."""
    frame = series.components(matrix)
    if frame.is_empty():
        return "No search has an accepted program, so nothing can be followed over generations."
    frame = setting(frame)

    def draw(width: float) -> Any:
        panels = []
        for i, (term, name) in enumerate(TERMS.items()):
            base = alt.Chart(frame.filter(term=term)).encode(x=generations())
            axis, scale = alt.Axis(labels=not i, tickCount=5), alt.Scale(domain=[0, 1])
            both = band(base, by_setting(frame), title=None, axis=axis, scale=scale)
            panels.append(both.properties(width=width, height=HEIGHT, title=name))
        return grid(panels, 3)

    note = f"The best program so far, on its own train tasks: mean over seeds ({max(frame['seeds'].to_list())} at most), band from least to greatest."
    title = "Fitness and its components over the search"
    return Figure("fig_components", title, note, origin, draw, frame, 3)


def archive(matrix: Any, origin: Origin) -> Built:
    """The archive as a heat map, over all seeds."""
    frame = series.archive(matrix)
    if frame.is_empty():
        return "No program has a place in an archive."
    frame = setting(frame).with_columns(**{c: pl.col(c[0]) / 10 + more for c, more in (("x1", 0), ("x2", 0.1), ("xm", 0.05), ("y1", 0), ("y2", 0.1), ("ym", 0.05))})  # fmt: skip
    places = settings(frame)

    def draw(width: float) -> Any:
        panels = []
        for i, (name, part) in enumerate(places.items()):
            base, ticks = alt.Chart(part), [0, 0.2, 0.4, 0.6, 0.8, 1]
            x: dict[str, Any] = {
                "title": "human-likeness",
                "scale": alt.Scale(domain=[0, 1]),
                "axis": alt.Axis(values=ticks),
            }
            y: dict[str, Any] = x | {
                "title": None if i % 2 else "coverage",
                "axis": alt.Axis(values=ticks, labels=i % 2 == 0),
            }
            legend = alt.Legend(gradientLength=80, gradientThickness=8)
            tone = alt.Color(
                "rank:Q", title="fitness", scale=alt.Scale(scheme="cividis", domain=[0, 1]), legend=legend
            )
            cells = base.mark_rect(stroke="white", strokeWidth=0.5).encode(
                alt.X("x1:Q", **x), alt.Y("y1:Q", **y), x2="x2:Q", y2="y2:Q", color=tone
            )
            ink = alt.condition("datum.rank > 0.5", alt.value("#111111"), alt.value("#FFFFFF"))
            text = base.mark_text(fontSize=6.5).encode(
                alt.X("xm:Q", **x), alt.Y("ym:Q", **y), text="arrivals:Q", color=ink
            )
            panels.append(alt.layer(cells, text).properties(width=width, height=width, title=name))
        return grid(panels, 2)

    note = f"{len(frame)} of {100 * len(places)} places are filled, over all seeds and islands. Color: the best fitness there; number: how many programs came."
    title = "Where programs lie between human-likeness and coverage"
    return Figure("fig_archive", title, note, origin, draw, frame, min(2, len(places)))


def axes(matrix: Any, origin: Origin) -> Built:
    """Distinct behavior axes met over time."""
    frame = series.axes(matrix)
    if frame.is_empty():
        return NO_AXES
    frame = setting(frame)

    def draw(width: float) -> Any:
        base = alt.Chart(frame).encode(x=generations())
        both = band(base, by_setting(frame, columns=2), title="distinct axes so far")
        return both.properties(width=width, height=HEIGHT)

    note = "Names of behavior axes met in any program up to a generation: mean over seeds, band from least to greatest."
    return Figure("fig_axes", "Behavior axes discovered over time", note, origin, draw, frame, wide=False)


def axis_lives(matrix: Any, origin: Origin) -> Built:
    """When the axes of the winners' searches came and went."""
    frame = series.spans_of_axes(matrix)
    if frame.is_empty():
        return NO_AXES
    kept = {True: "in the winner", False: "not in it"}
    frame = setting(frame).with_columns(pl.col("kept").replace_strict(kept, return_dtype=pl.String))
    places = settings(frame)

    def draw(width: float) -> Any:
        looks = two("kept", {"in the winner": (BLUE, "circle"), "not in it": ("#888888", "triangle-right")})
        panels = []
        for name, part in places.items():
            axis = alt.Axis(ticks=False, domain=False, labelPadding=5)
            x = alt.X("first:Q", title="generation", axis=alt.Axis(tickMinStep=1, tickCount=4, format="d"))
            base = alt.Chart(part).encode(
                x=x,
                y=alt.Y("behavior:N", sort=part["behavior"].to_list(), title=None, axis=axis),
                color=looks["color"],
            )
            life = base.mark_rule(strokeWidth=2.2).encode(x2="last:Q")
            birth = base.mark_point(filled=True, size=26, opacity=1).encode(shape=looks["shape"])
            panels.append(alt.layer(life, birth).properties(width=width, height=11 * len(part), title=name))
        return grid(panels, 2)

    note = "From the first to the last generation with a program that has the axis, in the search with the best held-out score; at most 12 axes, the winner's first, then the most frequent."
    title = "Axes that came, stayed and went"
    return Figure("fig_axis_lives", title, note, origin, draw, frame, min(2, len(places)))


def lineage(matrix: Any, origin: Origin) -> Built:
    """The winner's ancestors among all programs of its search."""
    frame = series.lineage(matrix)
    if frame.is_empty():
        return "No evolved program has been scored, so there is no winner to trace."
    frame = setting(frame)
    places = settings(frame)

    def draw(width: float) -> Any:
        panels = []
        for i, (name, part) in enumerate(places.items()):
            path = part.filter(pl.col("step").is_not_null()).sort("step")
            low = min(part["rank"].drop_nulls().to_list(), default=0.0) - 0.03
            y = alt.Y(
                "rank:Q",
                title=None if i % 2 else "fitness",
                scale=alt.Scale(zero=False, padding=8),
                axis=alt.Axis(tickCount=5),
            )
            at: dict[str, Any] = {"x": generations(), "y": y}
            thin: dict[str, Any] = {"color": PALE, "strokeWidth": 0.8}
            pale = (
                alt.Chart(part.filter(pl.col("rank").is_not_null()))
                .mark_point(shape="circle", size=9, **thin)
                .encode(**at)
            )
            gone = part.filter(pl.col("rank").is_null()).with_columns(rank=pl.lit(low))
            bad = alt.Chart(gone).mark_point(shape=CROSSED, size=8, **thin).encode(**at)
            line = alt.Chart(path).mark_line(color=BLUE, strokeWidth=1.3).encode(order="step:Q", **at)
            dots = (
                alt.Chart(path)
                .mark_point(shape="cross", filled=True, color=BLUE, size=34, opacity=1)
                .encode(**at)
            )
            odd = pl.col("step") % 2 == 1  # ids of neighbors stand above and below the line
            places_of_ids = (
                (path.filter(step=0), 10, 10),
                (path.filter(odd), 0, -7),
                (path.filter(~odd, pl.col("step") > 0), 0, 10),
            )
            texts = [
                alt.Chart(some).mark_text(dx=dx, dy=dy, fontSize=6.5).encode(text="candidate_id:N", **at)
                for some, dx, dy in places_of_ids
            ]
            panels.append(
                alt.layer(pale, bad, line, dots, *texts).properties(
                    width=width, height=HEIGHT, title=f"{name}, seed {part['seed'][0]}"
                )
            )
        return grid(panels, 2)

    note = "Blue crosses: the winner and its ancestors, by id; rings: other programs; x at the foot: rejected ones. Fitness is of train tasks; validation tasks choose the winner, which need not be the highest, and may be the seed program. The seed with the best held-out score."
    title = "The winner's line of descent"
    return Figure("fig_lineage", title, note, origin, draw, frame, min(2, len(places)))
