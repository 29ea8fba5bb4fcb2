"""Colors, shapes, names and number formats that every chart and view shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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
    "base_t1": Look("Base, temperature 1", "#B0B0B0", "square", "□"),
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


def config(*, screen: bool = False) -> dict[str, Any]:
    """Return the Vega-Lite config: for paper by default; on ``screen`` the text takes the page's color.

    The latter needs the SVG renderer, and keeps charts readable in a dark theme.
    """
    ink, faint = ("currentColor", "#8884") if screen else ("#222222", "#DDDDDD")
    axis = {
        "labelColor": ink,
        "titleColor": ink,
        "domainColor": "#888888",
        "tickColor": "#888888",
        "gridColor": faint,
        "gridOpacity": 0.6,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "labelLimit": 260,
    }
    return {
        "font": FONT,
        "background": "transparent" if screen else "white",
        "axis": axis,
        "legend": {"labelColor": ink, "titleColor": ink, "labelFontSize": 11, "titleFontSize": 11},
        "header": {"labelColor": ink, "titleColor": ink, "labelFontSize": 12, "labelFontWeight": "bold"},
        "title": {
            "color": ink,
            "subtitleColor": ink,
            "anchor": "start",
            "fontSize": 14,
            "subtitleFontSize": 11,
            "subtitlePadding": 4,
            "offset": 12,
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
