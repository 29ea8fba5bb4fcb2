"""Colors, shapes, names and number formats that every chart and view shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workbench.errors import WorkbenchError


@dataclass(frozen=True)
class Look:
    """How a condition is drawn: its name, its Okabe–Ito color, its Vega shape and that shape as a sign."""

    name: str
    color: str
    shape: str
    sign: str


LOOKS = {
    "humans": Look("Humans", "#009E73", "circle", "●"),
    "base": Look("Base simulator", "#7F7F7F", "square", "■"),
    "dp": Look("DP personas", "#E69F00", "triangle-up", "▲"),
    "initial": Look("PPol initial", "#56B4E9", "diamond", "◆"),
    "evolved": Look("PPol evolved", "#0072B2", "cross", "✚"),
    "base_t1": Look("Base, temperature 1", "#B0B0B0", "triangle-down", "▼"),
    "search": Look("Search candidates", "#0072B2", "cross", "✚"),
    "editor": Look("Rule-based editor", "#CC79A7", "M-1,-1L1,1M1,-1L-1,1", "✖"),
}
ADDED, REMOVED = "#0072B2", "#D55E00"
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#7F7F7F")

# Liberation Sans ships inside vl-convert; without a family that exists, PDF and PNG lose their text in silence.
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"

TERMS = {
    "rank": "Fitness, comparable",
    "fitness": "Fitness",
    "human_likeness": "Human-likeness",
    "coverage": "Coverage",
    "success": "Success",
}

FEATURE_NAMES = {
    "words_per_turn": "words a turn",
    "short_utterance_rate": "short turns",
    "politeness_rate": "politeness",
    "formality_rate": "formality",
    "acknowledgment_rate": "bare acknowledgments",
    "verbosity_cv": "unevenness of length",
    "repetition_rate": "repetition",
    "identity_confusion_rate": "talks like the agent",
    "front_loading_ratio": "front-loading",
    "identifiers_per_turn": "identifiers a turn",
    "opening_length": "length of the opening",
    "uncertainty_rate": "uncertainty",
    "certainty_rate": "certainty",
    "pushback_rate": "pushback",
    "clarification_question_rate": "clarification questions",
    "info_seeking_rate": "information seeking",
    "emotional_expression_rate": "emotion",
    "accusatory_rate": "accusation",
    "strategy_pivot_rate": "changes of strategy",
}


# Widths in points of a column and of the whole text; a NeurIPS page has one column, small figures take part of it.
VENUES = {"neurips": (238.0, 396.0), "icml": (234.0, 486.0), "acl": (218.0, 453.0)}


def width(venue: str, *, wide: bool) -> float:
    """Return the width in points of a venue's column, or of its text.

    Raises
    ------
    WorkbenchError
        When the venue is unknown.
    """
    if venue not in VENUES:
        raise WorkbenchError(f"There is no venue '{venue}'; take one of {', '.join(VENUES)}.")
    return VENUES[venue][wide]


def config(*, screen: bool = False, paper: bool = False) -> dict[str, Any]:
    """Return the Vega-Lite config; on ``screen`` the text takes the page's color, ``paper`` makes it small.

    The former needs the SVG renderer, and keeps charts readable in a dark theme.
    """
    ink, faint = ("currentColor", "#8884") if screen else ("#222222", "#DDDDDD")
    small, normal, large = (7, 8, 9) if paper else (11, 12, 14)
    axis = {
        "labelColor": ink,
        "titleColor": ink,
        "domainColor": "#888888",
        "tickColor": "#888888",
        "tickSize": 3 if paper else 5,
        "gridColor": faint,
        "gridOpacity": 0.6,
        "labelFontSize": small,
        "titleFontSize": small,
        "titleFontWeight": "normal",
        "titlePadding": 3 if paper else 4,
        "labelLimit": 260,
    }
    legend = {"labelColor": ink, "titleColor": ink, "labelFontSize": small, "titleFontSize": small}
    legend |= {"symbolBaseFillColor": ink, "symbolBaseStrokeColor": ink}
    legend |= (
        {
            "symbolSize": 40,
            "rowPadding": 1,
            "columnPadding": 8,
            "titleFontWeight": "normal",
            "offset": 5,
            "symbolOpacity": 1,
        }
        if paper
        else {}
    )
    return {
        "font": FONT,
        "background": "transparent" if screen else "white",
        "padding": 2 if paper else 5,
        "axis": axis,
        "axisYQuantitative": {"labelFlush": True} if paper else {},
        "legend": legend,
        "header": {"labelColor": ink, "titleColor": ink, "labelFontSize": normal, "labelFontWeight": "bold"},
        "title": {
            "color": ink,
            "subtitleColor": "#666666" if paper and not screen else ink,
            "anchor": "start",
            "fontSize": normal if paper else large,
            "subtitleFontSize": 6.5 if paper else small,
            "subtitlePadding": 2 if paper else 4,
            "offset": 4 if paper else 12,
            "frame": "group" if paper else "bounds",
        },
        "text": {"color": ink},
        "view": {"stroke": None},
    }


def money(dollars: float | None) -> str:
    """Write dollars as $0.42; what has no known price as a dash."""
    return "–" if dollars is None else f"${dollars:.2f}"


def count(n: float | None) -> str:
    """Write a count as 950, 18.3k or 2.1M."""
    if n is None:
        return "–"
    if n < 1_000:
        return f"{n:.0f}"
    return f"{n / 1e3:.1f}k" if n < 999_950 else f"{n / 1e6:.1f}M"


def share(value: float | None, digits: int = 2) -> str:
    """Write a number without its leading zero: .61, −.04, 1.00."""
    if value is None:
        return "–"
    text = f"{abs(value):.{digits}f}".removeprefix("0")
    return f"−{text}" if value < 0 and float(text) else text


def change(value: float | None, digits: int = 2) -> str:
    """Write a difference with its sign: +.07, −.04, ±0."""
    if value is None:
        return "–"
    if not round(value, digits):
        return "±0"
    return f"+{share(value, digits)}" if value > 0 else share(value, digits)


def plus_minus(value: float | None, low: float | None, high: float | None, digits: int = 2) -> str:
    """Write value ± half-width of its interval, or the value alone."""
    if value is None:
        return "–"
    if low is None or high is None:
        return share(value, digits)
    return f"{share(value, digits)} ± {share((high - low) / 2, digits)}"
