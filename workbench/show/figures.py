"""Figures as files: SVG, PNG and PDF of one chart, with text that is really there and steady bytes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import altair as alt

from workbench.errors import WorkbenchError
from workbench.show import style

PDF_MARKS = 5_000  # a PDF holds about 700 bytes a mark


def save(chart: Any, folder: Path, name: str) -> list[Path]:
    """Write a chart as SVG, PNG (twice the size) and PDF; return the files.

    The PDF's object names differ between exports, so it is rewritten only when the SVG changed.

    Raises
    ------
    WorkbenchError
        When the chart lost its text, or has too many marks for a PDF.
    """
    import vl_convert

    spec = finished(chart)
    svg = _steady(vl_convert.vegalite_to_svg(spec))
    if "<text" not in svg or style.FONT.split(",")[0] not in svg:
        raise WorkbenchError(f"The figure {name} came out without text; no font of {style.FONT} was found.")
    if (marks := svg.count("<path")) > PDF_MARKS:
        raise WorkbenchError(
            f"The figure {name} has {marks} marks, too many for a PDF; bin or sample its frame."
        )
    paths = {kind: folder / f"{name}.{kind}" for kind in ("svg", "png", "pdf")}
    same = paths["svg"].exists() and paths["svg"].read_text() == svg
    paths["svg"].write_text(svg)
    paths["png"].write_bytes(vl_convert.vegalite_to_png(spec, scale=2))
    if not (same and paths["pdf"].exists()):
        paths["pdf"].write_bytes(vl_convert.vegalite_to_pdf(spec))
    return list(paths.values())


def _steady(svg: str) -> str:
    """Number gradients and clips from 0: vl-convert counts them over the life of the process."""
    for kind in ("gradient_", "clip"):
        found = dict.fromkeys(re.findall(rf"\bid=\"({kind}\d+)\"", svg))
        numbers = {old: f"{kind}{i}" for i, old in enumerate(found)}
        svg = re.sub(rf"\b{kind}\d+\b", lambda m, n=numbers: n.get(m[0], m[0]), svg)  # type: ignore[misc]
    return svg


def finished(chart: Any, *, screen: bool = False) -> dict[str, Any]:
    """Return a chart's specification with the project's config."""
    spec: dict[str, Any] = chart.to_dict()
    spec["config"] = {**spec.get("config", {}), **style.config(screen=screen)}
    return spec


def on_screen(chart: Any) -> Any:
    """Return a chart for JupyterLab, drawn as SVG without a network, in the colors of the theme."""
    alt.JupyterChart.enable_offline()
    themed = type(chart).from_dict(finished(chart, screen=True))
    return alt.JupyterChart(themed, embed_options={"renderer": "svg", "actions": False})
