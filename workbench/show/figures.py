"""Figures as files: SVG, PNG and PDF of one chart, at a column's width, with text that is really there and steady bytes."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import altair as alt
import polars as pl

from workbench.errors import WorkbenchError
from workbench.show import style
from workbench.show.markup import esc
from workbench.show.origin import REHEARSED, Origin
from workbench.show.typeset import NOTEBOOK_CSS

PDF_MARKS = 5_000  # a PDF holds about 700 bytes a mark


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure of a paper: what draws it, what it shows, where its numbers come from.

    ``draw`` takes the width of a panel and returns a chart; ``panels`` stand side by side, and ``wide`` figures
    take the whole text width, others a column; ``data`` is what they show, kept beside them as CSV.
    """

    name: str
    title: str
    note: str
    origin: Origin
    draw: Callable[[float], Any]
    data: pl.DataFrame
    panels: int = 1
    wide: bool = True

    @property
    def caption(self) -> str:
        """Title, note, origin, and the word that rehearsal models made it."""
        parts = [
            self.title + ("" if self.title.endswith("?") else "."),
            self.note,
            f"From {self.origin.line}.",
        ]
        return " ".join([*parts, *([REHEARSED] if self.origin.rehearsed else [])])

    def chart(self, venue: str = "neurips", *, signed: bool = True) -> Any:
        """Return the chart, as wide as the venue's column to half a point; ``signed`` with its origin below."""
        chart = self.draw(_inner(self, venue))
        if not signed:
            return chart
        width = int(style.width(venue, wide=self.wide) / 3.2)
        lines = textwrap.wrap(f"From {self.origin.line}", width, break_on_hyphens=False)
        title = alt.Title(lines, orient="bottom", frame="bounds", anchor="start", offset=6, fontSize=6.5, fontWeight="normal", color="#666666")  # fmt: skip
        return chart.properties(title=title)

    def html(self, venue: str = "neurips") -> str:
        """Return the figure as HTML with an inline SVG in the page's colors, its caption below."""
        svg = _svg(self.chart(venue, signed=False), paper=True, screen=True, prefix=f"{self.name}-")
        width = _width(svg) * 1.6
        label = f'role="img" aria-label="{esc(self.title)}" style="width:{width:.0f}px"'
        return (
            f'<figure id="{self.name}">{svg.replace("<svg ", f"<svg {label} ", 1)}'
            f"<figcaption>{esc(self.caption)}</figcaption></figure>"
        )

    def _repr_html_(self) -> str:
        return f'<div class="wb-paper"><style>{NOTEBOOK_CSS}</style>{self.html()}</div>'

    def save(self, folder: Path, venue: str = "neurips") -> list[Path]:
        """Write the figure and its data; return the files."""
        data = folder / f"{self.name}.csv"
        data.write_text(self.data.with_columns(pl.selectors.float().round(6)).write_csv())
        return [*save(self.chart(venue), folder, self.name, paper=True, about=self.origin), data]


@cache
def _inner(figure: Figure, venue: str) -> float:
    """Find the width of a panel; what axes and legends take is known once drawn."""
    width = style.width(venue, wide=figure.wide)
    inner = width / figure.panels - 40
    for _ in range(2):
        found = _width(_svg(figure.draw(inner), paper=True))
        inner = max(20.0, inner + (width - found) / figure.panels)
    return inner


def save(
    chart: Any, folder: Path, name: str, *, paper: bool = False, about: Origin | None = None
) -> list[Path]:
    """Write a chart as SVG, PNG (twice the size) and PDF; return the files.

    The PDF's object names differ between exports, so it is rewritten only when the SVG changed.

    Raises
    ------
    WorkbenchError
        When the chart lost its text, or has too many marks for a PDF.
    """
    import vl_convert

    svg = _svg(chart, paper=paper)
    if "<text" not in svg or style.FONT.split(",")[0] not in svg:
        raise WorkbenchError(f"The figure {name} came out without text; no font of {style.FONT} was found.")
    if (marks := svg.count("<path")) > PDF_MARKS:
        raise WorkbenchError(
            f"The figure {name} has {marks} marks, too many for a PDF; bin or sample its frame."
        )
    if about:
        end = svg.index(">") + 1
        svg = f"{svg[:end]}<metadata>{esc(json.dumps(about.record()))}</metadata>{svg[end:]}"
    paths = {kind: folder / f"{name}.{kind}" for kind in ("svg", "png", "pdf")}
    same = paths["svg"].exists() and paths["svg"].read_text() == svg
    paths["svg"].write_text(svg)
    paths["png"].write_bytes(vl_convert.svg_to_png(svg, scale=2))
    if not (same and paths["pdf"].exists()):
        paths["pdf"].write_bytes(vl_convert.svg_to_pdf(svg))
    return list(paths.values())


def inline(chart: Any, prefix: str) -> str:
    """Return a chart as an SVG for an HTML page, in the page's colors; ``prefix`` keeps its ids its own."""
    return _svg(chart, screen=True, prefix=prefix)


def _svg(chart: Any, *, paper: bool = False, screen: bool = False, prefix: str = "") -> str:
    import vl_convert

    return _steady(vl_convert.vegalite_to_svg(finished(chart, screen=screen, paper=paper)), prefix)


def _width(svg: str) -> float:
    found = re.search(r'\bwidth="([\d.]+)"', svg)
    return float(found[1]) if found else 0.0


def _steady(svg: str, prefix: str = "") -> str:
    """Number gradients and clips from 0: vl-convert counts them over the life of the process."""
    for kind in ("gradient_", "clip"):
        found = dict.fromkeys(re.findall(rf"\bid=\"({kind}\d+)\"", svg))
        numbers = {old: f"{prefix}{kind}{i}" for i, old in enumerate(found)}
        svg = re.sub(rf"\b{kind}\d+\b", lambda m, n=numbers: n.get(m[0], m[0]), svg)  # type: ignore[misc]
    return svg


def finished(chart: Any, *, screen: bool = False, paper: bool = False) -> dict[str, Any]:
    """Return a chart's specification with the project's config."""
    spec: dict[str, Any] = chart.to_dict()
    spec["config"] = {**spec.get("config", {}), **style.config(screen=screen, paper=paper)}
    return spec


def on_screen(chart: Any) -> Any:
    """Return a chart for JupyterLab in the colors of the theme, drawn as SVG without a network.

    Its title and subtitle are its alternative text; where the page is narrower than the chart, the chart shrinks.
    """
    alt.JupyterChart.enable_offline()
    spec = finished(chart, screen=True)
    title = spec.get("title", "")
    said = [title] if isinstance(title, str) else [title["text"], *title.get("subtitle", [])]
    themed = type(chart).from_dict({"description": " ".join(said), **spec})
    narrow = ".vega-embed svg.marks { max-width: 100%; height: auto; }"
    return alt.JupyterChart(
        themed, embed_options={"renderer": "svg", "actions": False, "defaultStyle": narrow}
    )
