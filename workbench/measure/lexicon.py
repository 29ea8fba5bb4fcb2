"""The marker lists behind the lexical features, read from ``lexicon.toml``."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from workbench.errors import WorkbenchError

FILE = Path(__file__).with_name("lexicon.toml")

APOSTROPHES = "[’‘ʼ´`＇]"
_BLOT = " ¦ "
_FOREIGN = r"[^\W\x00-\x7F]"  # a letter beyond ASCII


@dataclass(frozen=True)
class Marker:
    """One entry of a class: a pattern, what it must not be taken for, and the turns that show both."""

    pattern: str
    unless: str
    yes: tuple[str, ...]
    no: tuple[str, ...]


@dataclass(frozen=True)
class MarkerClass:
    """The markers of one feature; ``whole`` asks for the whole turn."""

    about: str
    whole: bool
    markers: tuple[Marker, ...]

    def matches(self, normalized: pl.Expr) -> pl.Expr:
        """Tell in which turns at least one marker occurs (Boolean; takes the text of :func:`normalize`)."""
        pattern = "|".join(f"(?:{marker.pattern})" for marker in self.markers)
        if self.whole:
            pattern = rf"^ ?(?:{pattern})[.!,]* ?$"
        unless = "|".join(rf"\b(?:{marker.unless})\b" for marker in self.markers if marker.unless)
        text = normalized
        if not re.search(_FOREIGN, pattern + unless):
            text, pattern, unless = ascii_edges(text, pattern, unless)
        hit = text.str.contains(pattern)
        if not unless:
            return hit
        # most turns are decided by the first look; only the others are blotted and looked at again
        blotted = pl.when(hit).then(text).otherwise(pl.lit("")).str.replace_all(unless, _BLOT)
        return blotted.str.contains(pattern)


def ascii_edges(text: pl.Expr, *patterns: str) -> tuple[Any, ...]:
    r"""Write letters beyond ASCII as ``_``, and every ``\b`` as ASCII's.

    Nothing else changes where the patterns name no such letter, but Unicode's ``\b`` is ten times slower in any turn that
    has a dash or an emoji.
    """
    return text.str.replace_all(r"[\w&&[^\x00-\x7F]]", "_"), *(
        p.replace(r"\b", r"(?-u:\b)") for p in patterns
    )


def normalize(content: pl.Expr) -> pl.Expr:
    """Lower-case a turn, every apostrophe ``'``, any white space one blank: the text that markers are looked for in."""
    plain = content.str.to_lowercase().str.replace_all(APOSTROPHES, "'")
    return plain.str.replace_all(r"\s{2,}|[\s&&[^ ]]", " ")


@cache
def lexicon(path: Path = FILE) -> dict[str, MarkerClass]:
    """Read marker lists.

    Parameters
    ----------
    path
        A TOML file in the format that the head of ``lexicon.toml`` describes.

    Returns
    -------
    dict
        One class of markers for each lexical feature.

    Raises
    ------
    WorkbenchError
        The file is missing or no TOML, or an entry lacks a pattern or examples, or its pattern does not compile.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WorkbenchError(f"the lexicon {path} cannot be read: {error}") from None
    classes = {}
    for feature, table in tables.items():
        if isinstance(table, dict) and "markers" in table:
            whole = bool(table.get("whole", False))
            markers = tuple(_marker(entry, whole, f"{path}, {feature}") for entry in table["markers"])
            classes[feature] = MarkerClass(str(table.get("about", "")), whole, markers)
    return classes


def _marker(entry: dict[str, object], whole: bool, where: str) -> Marker:
    match = entry.get("match")
    if not isinstance(match, str) or not match:
        raise WorkbenchError(f"{where} has an entry without 'match': give it a pattern")
    examples = {kind: entry.get(kind) for kind in ("yes", "no")}
    for kind, turns in examples.items():
        if not isinstance(turns, list) or not turns or not all(isinstance(turn, str) for turn in turns):
            raise WorkbenchError(
                f"{where}, entry {match[:40]!r} has no '{kind}' examples: give it at least one turn"
            )
    edges = bool(entry.get("edges", True)) and not whole
    pattern = rf"\b(?:{match})\b" if edges else match
    unless = str(entry.get("unless", ""))
    for expression in (pattern, unless):
        try:
            pl.select(pl.lit("").str.contains(expression))
        except pl.exceptions.ComputeError as error:
            sentence = re.sub(r"\s+", " ", str(error))
            raise WorkbenchError(
                f"{where}, entry {match[:40]!r} is no pattern of Rust's regex: {sentence}"
            ) from None
    return Marker(pattern, unless, tuple(examples["yes"] or ()), tuple(examples["no"] or ()))  # type: ignore[arg-type]
