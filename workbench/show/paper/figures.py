"""The paper's figures of results: gains, alignment, distributions, maps, transfer, coverage against N."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from workbench.show.figures import Figure
from workbench.show.origin import Origin
from workbench.show.paper import numbers, search_figures, series
from workbench.show.paper.cells import origin_of
from workbench.show.paper.marks import (
    BLUE,
    INK,
    Built,
    color,
    grid,
    named,
    names,
    present,
    setting,
    settings,
    shape,
    two,
)
from workbench.show.style import FEATURE_NAMES, LOOKS

DIMENSIONS = {"D1": "D1 style", "D2": "D2 disclosure", "D3": "D3 clarification", "D4": "D4 errors"}


def figures(matrix: Any) -> tuple[list[Figure], dict[str, str]]:
    """Return the figures that a matrix allows, and for each of the others a sentence that says what it lacks."""
    found, absent, origin = [], {}, origin_of(matrix)
    search = (search_figures.archive, search_figures.axes, search_figures.axis_lives, search_figures.lineage)
    for build in (search_figures.components, maps, gains, dimensions, *search, transfer, coverage_n):
        made = build(matrix, origin)
        if isinstance(made, Figure):
            found.append(made)
        else:
            absent[f"fig_{build.__name__}"] = made
    return found + features(matrix, origin), absent


def gains(matrix: Any, origin: Origin) -> Built:
    """Score gains by model and domain, ours and the paper's."""
    found = numbers.gains(matrix).filter(search=numbers.MAIN)
    if found.is_empty():
        return "No setting has both its seed and its evolved program scored."
    who = "ours (rehearsal)" if origin.rehearsed else "ours"
    row = pl.format("{}, ours: {}", "domain", "simulator")
    found = found.with_columns(row=row, source=pl.lit(who))
    mean = pl.col("gain").sort().mean()
    ends: dict[str, Any] = {"low": pl.col("gain").min(), "high": pl.col("gain").max()}
    ours = found.group_by(*numbers.CELL, "source", "row").agg(mean.alias("gain"), **ends).sort("row")
    theirs = series.paper_gains().with_columns(
        source=pl.lit("the paper's"), row=pl.format("{}, {}", "domain", "simulator")
    )
    frame = pl.concat([ours, theirs], how="diagonal").sort("domain", "source", "simulator")
    order = frame["row"].to_list()

    def draw(width: float) -> Any:
        title = "gain in score on held-out tasks"
        y = alt.Y("row:N", sort=order, title=None, axis=alt.Axis(domain=False, ticks=False, labelPadding=4))
        looks = two("source", {who: (BLUE, "cross"), "the paper's": (INK, "circle")})
        none = alt.Chart(pl.DataFrame({"gain": [0.0]}))
        zero = none.mark_rule(color=INK, strokeDash=[3, 2], strokeWidth=0.8).encode(
            x=alt.X("gain:Q", title=title)
        )
        x = alt.X("gain:Q", title=title)
        span = alt.Chart(ours).mark_rule(color=BLUE).encode(x=alt.X("low:Q", title=title), x2="high:Q", y=y)
        ticks = alt.Chart(found).mark_tick(color=BLUE, thickness=1, size=7).encode(x=x, y=y)
        dots = alt.Chart(frame).mark_point(filled=True, size=32, opacity=1).encode(x=x, y=y, **looks)
        return alt.layer(zero, span, ticks, dots).properties(width=width, height=13 * len(order))

    note = "Evolved minus seed program. Ours at equal N: mean over seeds, a tick a seed (table “gains”: where the winner is the seed program, the gain is chance). The paper's: one search each, by its protocol, as printed."
    title = "What evolution adds to the score, by domain and simulator"
    return Figure("fig_gains", title, note, origin, draw, frame)


def dimensions(matrix: Any, origin: Origin) -> Built:
    """D1–D4 of every condition beside the band of people."""
    frame, band = series.dimensions(matrix)
    if frame.is_empty():
        return "No condition has been evaluated, so there is no alignment to draw."
    frame, order = (
        named(setting(frame)).with_columns(dimension=pl.col("term").replace(DIMENSIONS)),
        present(frame),
    )
    band = band.with_columns(dimension=pl.col("term").cast(pl.String).replace(DIMENSIONS))
    places = settings(frame)

    def draw(width: float) -> Any:
        panels, title = [], "alignment with people, %"
        for i, (name, part) in enumerate(places.items()):
            axis = alt.Axis(labels=i % 2 == 0, ticks=False, domain=False, grid=False, labelPadding=4)
            y = alt.Y("dimension:N", sort=list(DIMENSIONS.values()), title=None, axis=axis)
            at: dict[str, Any] = {
                "y": y,
                "yOffset": alt.YOffset("name:N", sort=names(order)),
                "color": color(order),
            }
            scale = alt.Scale(domain=[0, 100])
            ends: dict[str, Any] = {"x": alt.X("low:Q", scale=scale, title=title), "x2": "high:Q"}
            people = alt.Chart(band.filter(domain=part["domain"][0]))
            area = people.mark_bar(
                color=LOOKS["humans"].color, opacity=0.18, height=alt.RelativeBandSize(0.94)
            ).encode(y=y, **ends)
            span = alt.Chart(part).mark_rule().encode(**at, **ends)
            x = alt.X("mean:Q", title=title, scale=scale, axis=alt.Axis(tickCount=5))
            dots = (
                alt.Chart(part)
                .mark_point(filled=True, size=24, opacity=1)
                .encode(x=x, shape=shape(order), **at)
            )
            panels.append(
                alt.layer(area, span, dots).properties(width=width, height=36 * len(DIMENSIONS), title=name)
            )
        return grid(panels, 2)

    note = (
        "Sørensen–Dice of mean features, by the paper's protocol. Marks: mean over seeds, lines from least to greatest. Green band: two random "
        "halves of the people against each other (95 % of 200 splits): what no simulator need exceed. The people's own mark sets those of test "
        "tasks against those of train tasks, one split that may fall outside the band."
    )
    title = "How near mean behavior comes to people's"
    return Figure("fig_dimensions", title, note, origin, draw, frame, min(2, len(places)))


def maps(matrix: Any, origin: Origin) -> Built:
    """Figure 4: people, base simulator and evolved users, by PCA and by UMAP."""
    frame = series.maps(matrix)
    if frame.is_empty():
        return "There are no map coordinates in this matrix."
    frame, order = named(frame), [c for c in ("humans", "base", "evolved") if c in set(frame["condition"])]

    def draw(width: float) -> Any:
        panels = []
        for domain in frame["domain"].unique().sort():
            for kind, name in (("pca", "PCA"), ("umap", "UMAP")):
                bare: dict[str, Any] = {
                    "title": None,
                    "scale": alt.Scale(zero=False, nice=False, padding=5),
                    "axis": alt.Axis(labels=False, ticks=False, grid=False, domain=False),
                }
                layers = [
                    alt.Chart(frame.filter(domain=domain, condition=c).select("name", f"{kind}_x", f"{kind}_y"))
                    .mark_point(filled=True, size=10, opacity=0.6)
                    .encode(alt.X(f"{kind}_x:Q", **bare), alt.Y(f"{kind}_y:Q", **bare), color=color(order), shape=shape(order))
                    for c in ("base", "evolved", "humans") if c in order
                ]  # fmt: skip
                box = alt.ViewConfig(stroke="#BBBBBB")
                panels.append(
                    alt.layer(*layers).properties(
                        width=width, height=width * 0.7, title=f"{domain}, {name}", view=box
                    )
                )
        return grid(panels, 2)

    note = (
        "The 19 features of each conversation, in units of people's spread, in two dimensions: PCA keeps distances as far as a plane can, UMAP keeps "
        "neighbors and says nothing by its distances between groups. One search a domain."
    )
    return Figure("fig_maps", "People, base simulator and evolved users", note, origin, draw, frame, 2)


def features(matrix: Any, origin: Origin) -> list[Figure]:
    """Distributions of the features by condition, a figure a domain."""
    frame = series.features(matrix)
    return [
        _features(frame.filter(domain=domain), domain, origin) for domain in frame["domain"].unique().sort()
    ]


def _features(frame: pl.DataFrame, domain: str, origin: Origin, columns: int = 4) -> Figure:
    frame, order = named(frame), present(frame)

    def draw(width: float) -> Any:
        panels = []
        for i, (feature, name) in enumerate(FEATURE_NAMES.items()):
            part = frame.filter(feature=feature)
            base = alt.Chart(part)
            axis = alt.Axis(labels=i % columns == 0, ticks=False, domain=False, grid=False, labelPadding=5)
            y = alt.Y("name:N", sort=names(order), title=None, axis=axis)
            tone = color(order, legend=False)
            most = max([*part["p90"].to_list(), 0.05])
            scale, ticks = (
                alt.Scale(domain=[0, most], nice=True),
                alt.Axis(tickCount=3, format="~f", labelOverlap=True),
            )
            x: dict[str, Any] = {
                c: alt.X(f"{c}:Q", title=None, scale=scale, axis=ticks) for c in ("p10", "p25", "p50")
            }
            thin = base.mark_rule(strokeWidth=0.8).encode(x=x["p10"], x2="p90:Q", y=y, color=tone)
            thick = base.mark_rule(strokeWidth=2.6).encode(x=x["p25"], x2="p75:Q", y=y, color=tone)
            dots = base.mark_point(filled=True, size=22, opacity=1).encode(
                x=x["p50"], y=y, color=tone, shape=shape(order, legend=False)
            )
            title = alt.Title(name, fontSize=7, fontWeight="normal")
            panels.append(
                alt.layer(thin, thick, dots).properties(width=width, height=9 * len(order), title=title)
            )
        return grid(panels, columns)

    note = "Median, quartiles (thick) and the middle 80 % (thin) over conversations of held-out tasks, all seeds and simulators. Rates are shares of a user's turns."
    title = f"What people and simulated users do, feature by feature: {domain}"
    return Figure(f"fig_features_{domain}", title, note, origin, draw, frame, columns)


def transfer(matrix: Any, origin: Origin) -> Built:
    """The transfer matrix: evolved there, scored here."""
    frame = series.transfer(matrix).drop_nulls("score")
    if frame.filter(pl.col("there") != pl.col("here")).is_empty():
        return "No program has been scored outside the setting that it was evolved in."
    frame = frame.with_columns(
        score_text=pl.col("score").map_elements(lambda s: f"{s:.3f}", return_dtype=pl.String),
        gain_text=pl.col("gain").map_elements(
            lambda g: f"({g:+.3f})".replace("-", "−"), return_dtype=pl.String
        ),
    )
    low, high = min(frame["score"].to_list()), max(frame["score"].to_list())

    def draw(width: float) -> Any:
        axis = alt.Axis(
            labelAngle=0, domain=False, ticks=False, grid=False, labelExpr="split(datum.label, ', ')"
        )
        base = alt.Chart(frame).encode(
            x=alt.X("here:N", title="scored on", axis=axis), y=alt.Y("there:N", title="evolved on", axis=axis)
        )
        tone = alt.Color(
            "score:Q", scale=alt.Scale(scheme="cividis", domain=[low - 0.02, high + 0.02]), legend=None
        )
        ink = alt.condition(f"datum.score > {(low + high) / 2}", alt.value("#111111"), alt.value("#FFFFFF"))
        score = base.mark_text(dy=-5, fontSize=8).encode(text="score_text:N", color=ink)
        gain = base.mark_text(dy=6, fontSize=7).encode(text="gain_text:N", color=ink)
        rect = base.mark_rect(stroke="white", strokeWidth=1).encode(color=tone)
        return alt.layer(rect, score, gain).properties(width=width, height=32 * frame["there"].n_unique())

    note = "Score at equal N of evolved programs on held-out tasks, mean over seeds; in brackets the gain over the seed program there, as in table “transfer”. A blank was not planned or not run."
    title = "Does an evolved program carry over?"
    return Figure("fig_transfer", title, note, origin, draw, frame, wide=False)


def coverage_n(matrix: Any, origin: Origin) -> Built:
    """Coverage against the number of conversations, raw and standardized."""
    frame = series.coverage_n(matrix)
    if frame.is_empty():
        return "There is no curve of coverage against N in this matrix."
    frame, order = named(setting(frame)), present(frame)
    places, ns = settings(frame), frame["n"].unique().sort().to_list()

    def draw(width: float) -> Any:
        panels = []
        for name, part in places.items():
            for i, kind in enumerate(("raw", "standardized")):
                base = alt.Chart(part.filter(kind=kind)).encode(color=color(order))
                title = "conversations a task, N" if name == list(places)[-1] else None
                x = alt.X(
                    "n:Q",
                    title=title,
                    axis=alt.Axis(values=ns, format="d", labelOverlap=True),
                    scale=alt.Scale(zero=False, nice=False),
                )
                left: dict[str, Any] = {
                    "title": None if i else "coverage",
                    "scale": alt.Scale(domain=[0, 1]),
                    "axis": alt.Axis(labels=not i, tickCount=5),
                }
                band = base.mark_area(opacity=0.1).encode(x=x, y=alt.Y("low:Q", **left), y2="high:Q")
                line = base.mark_line(strokeWidth=1.1).encode(x=x, y=alt.Y("value:Q", **left))
                dots = base.mark_point(filled=True, size=20, opacity=1).encode(
                    x=x, y=alt.Y("value:Q", **left), shape=shape(order)
                )
                panels.append(
                    alt.layer(band, line, dots).properties(width=width, height=85, title=f"{name}, {kind}")
                )
        return grid(panels, 2)

    note = (
        "Coverage grows with N by itself: read conditions at one N. Raw units are the paper's; there, two length features carry most of the "
        "distance. Standardized: by mean and deviation of the people of train tasks. Bands: 95 % intervals."
    )
    title = "Coverage against the number of conversations"
    return Figure("fig_coverage_n", title, note, origin, draw, frame, 2)
