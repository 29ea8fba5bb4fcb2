"""What the paper's figures share: scales that work without color, and panels in a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import polars as pl

from workbench.show.figures import Figure
from workbench.show.style import LOOKS

Built = Figure | str
"""A figure, or the sentence that says why there is none."""

# Settings are told apart by color and by dash.
_TONES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#7F7F7F", "#E69F00")
_DASHES = ([1, 0], [5, 2], [2, 2], [6, 2, 1, 2], [1, 2], [8, 3])
INK, PALE = "#707070", "#999999"
BLUE = LOOKS["evolved"].color
CROSSED = "M-1,-1L1,1M1,-1L-1,1"


def setting(frame: pl.DataFrame) -> pl.DataFrame:
    """Name a frame's settings: the domain, and the simulator where there are several."""
    several = frame["simulator"].n_unique() > 1
    name = pl.format("{}, {}", "domain", "simulator") if several else pl.col("domain")
    return frame.with_columns(setting=name)


def settings(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return the rows of each of a frame's settings, in order."""
    return {name: frame.filter(setting=name) for name in frame["setting"].unique().sort()}


def by_setting(frame: pl.DataFrame, *, columns: int = 0) -> dict[str, Any]:
    """Encode a frame's settings by color and dash."""
    names = frame["setting"].unique().sort().to_list()
    legend = alt.Legend(
        orient="bottom", symbolType="stroke", symbolStrokeWidth=1.5, symbolSize=200, columns=columns
    )

    def scale(values: Sequence[Any]) -> Any:
        return alt.Scale(domain=names, range=[values[i % len(values)] for i in range(len(names))])

    about: dict[str, Any] = {"title": None, "legend": legend if len(names) > 1 else None}
    return {
        "color": alt.Color("setting:N", scale=scale(_TONES), **about),
        "strokeDash": alt.StrokeDash("setting:N", scale=scale(_DASHES), **about),
    }


def present(frame: pl.DataFrame) -> list[str]:
    """List a frame's conditions in the fixed order."""
    there = set(frame["condition"])
    return [c for c in LOOKS if c in there]


def named(frame: pl.DataFrame) -> pl.DataFrame:
    """Add the conditions' names."""
    return frame.with_columns(name=pl.col("condition").replace({c: look.name for c, look in LOOKS.items()}))


def names(order: Sequence[str]) -> list[str]:
    """Return the names of conditions."""
    return [LOOKS[c].name for c in order]


def color(order: Sequence[str], *, legend: bool = True) -> Any:
    """Encode conditions by their colors; the frame needs ``named``."""
    return alt.Color("name:N", **_scale(order, "color", legend))


def shape(order: Sequence[str], *, legend: bool = True) -> Any:
    """Encode conditions by their shapes; the frame needs ``named``."""
    return alt.Shape("name:N", **_scale(order, "shape", legend))


def _scale(order: Sequence[str], what: str, legend: bool) -> dict[str, Any]:
    values = [getattr(LOOKS[c], what) for c in order]
    scale = alt.Scale(domain=names(order), range=values)
    return {
        "title": None,
        "scale": scale,
        "legend": alt.Legend(orient="bottom", columns=3 if len(order) > 5 else 0) if legend else None,
    }


def two(field: str, looks: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Encode the two values of a field by color and shape, named above the figure."""
    top: dict[str, Any] = {"title": None, "legend": alt.Legend(orient="top", direction="horizontal")}
    colors, shapes = (
        alt.Scale(domain=list(looks), range=list(kind)) for kind in zip(*looks.values(), strict=True)
    )
    return {
        "color": alt.Color(f"{field}:N", scale=colors, **top),
        "shape": alt.Shape(f"{field}:N", scale=shapes, **top),
    }


def band(base: Any, looks: Mapping[str, Any], *, title: str | None, **axis: Any) -> Any:
    """Draw means as lines over a band from least to greatest."""
    area = base.mark_area(opacity=0.18)
    area = area.encode(alt.Y("low:Q", title=title, **axis), y2="high:Q", color=looks["color"])
    return alt.layer(
        area, base.mark_line(strokeWidth=1.5).encode(alt.Y("mean:Q", title=title, **axis), **looks)
    )


def generations() -> Any:
    """Return the axis of generations."""
    return alt.X("generation:Q", title="generation", axis=alt.Axis(tickMinStep=1, tickCount=5, format="d"))


def grid(panels: Sequence[Any], columns: int) -> Any:
    """Set panels out in rows."""
    return alt.concat(*panels, columns=columns, spacing={"row": 8, "column": 10})
