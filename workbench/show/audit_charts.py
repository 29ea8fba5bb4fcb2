"""Charts of the frames in ``audit``."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from workbench.show.style import LOOKS, share

BLUE, GRAY = LOOKS["evolved"].color, LOOKS["base"].color


def lambda_ranks(frame: pl.DataFrame, provenance: str) -> Any:
    """Draw the rank of each candidate as the weight of coverage goes from 0 to 1; ``frame`` from ``audit``."""
    chosen = frame.filter(pl.col("best"))
    first = frame.filter(pl.col("rank") == 1)["candidate_id"].n_unique()
    held = chosen.filter(pl.col("rank") == 1)["weight"]
    reach = (
        f"the selected one for weights {share(held.to_list()[0], 1)} to {share(held.to_list()[-1], 1)}"
        if len(held)
        else "the selected one at none, as selection goes by validation"
    )
    title = alt.Title(
        f"{first} program{'s lead' if first > 1 else ' leads'} at some weight; {reach}",
        subtitle=[
            "A line a program, by its own batch; thick: the selected one. Paper: weight 0.5.",
            provenance,
        ],
    )
    x = alt.X("weight:Q", title="weight of coverage, λ")
    y = alt.Y(
        "rank:Q", title="rank", scale=alt.Scale(reverse=True, domainMin=1), axis=alt.Axis(tickMinStep=1)
    )
    base = (
        alt.Chart(frame)
        .mark_line(color=GRAY, opacity=0.35)
        .encode(x=x, y=y, detail="candidate_id:N", tooltip=["candidate_id:N"])
    )
    top = alt.Chart(chosen).mark_line(color=BLUE, strokeWidth=3).encode(x=x, y=y)
    return alt.layer(base, top).properties(width=420, height=240, title=title)


def axis_effects(frame: pl.DataFrame, provenance: str, most: int = 25) -> Any:
    """Draw what placing an axis true does to P(human) and to success; ``frame`` from ``audit``."""
    shown = frame.head(most)
    up = shown.filter(pl.col("likeness_low") > 0)["axis"].to_list()
    said = (
        f"{len(up)} of {len(shown)} axes make customers look more human"
        if len(shown)
        else "No axis was placed both ways"
    )
    title = alt.Title(
        said,
        subtitle=[
            "Difference true − false within program and task; bars: 95 % intervals by task.",
            provenance,
        ],
    )
    panels = []
    for term, name in (("likeness", "P(human)"), ("success", "success")):
        y = alt.Y(
            "axis:N",
            sort=shown["axis"].to_list(),
            title=None,
            axis=alt.Axis(labels=term == "likeness", grid=True),
        )
        base = alt.Chart(shown)
        zero = alt.Chart(pl.DataFrame({"x": [0.0]})).mark_rule(color=GRAY, strokeDash=[4, 3]).encode(x="x:Q")
        bars = base.mark_rule(color=BLUE, strokeWidth=2, opacity=0.6).encode(
            x=alt.X(f"{term}_low:Q", title=f"change of {name}"), x2=f"{term}_high:Q", y=y
        )
        dots = base.mark_point(color=BLUE, filled=True, size=90, shape="cross", opacity=1).encode(
            x=alt.X(f"{term}:Q", title=f"change of {name}"),
            y=y,
            tooltip=["axis:N", "pairs:Q", alt.Tooltip(f"{term}:Q", format=".3f")],
        )
        panels.append(alt.layer(zero, bars, dots).properties(width=230, height=18 * max(len(shown), 1)))
    return alt.hconcat(*panels, title=title)
