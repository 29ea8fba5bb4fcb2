"""SEARCH/REPLACE edits: read them from an answer and apply them to a program, or say why not."""

from __future__ import annotations

import difflib
import re
from typing import NamedTuple

MAX_PROGRAM = 60_000  # characters; the reference implementation's limit is of this size too
_START, _MIDDLE, _END = "<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE"


class Edit(NamedTuple):
    """One block: lines to find and the lines that take their place."""

    search: str
    replace: str


class EditError(ValueError):
    """An answer whose edits cannot be applied; the text says which block and why."""


def parse(answer: str) -> list[Edit]:
    """Read all edit blocks of an answer.

    Raises
    ------
    EditError
        When there is none, or a block is not closed or lacks its divider.
    """
    edits: list[Edit] = []
    part: str | None = None
    search: list[str] = []
    replace: list[str] = []
    for number, line in enumerate(answer.splitlines(), 1):
        mark = line.strip()
        if mark == _START:
            if part:
                raise EditError(f"block {len(edits) + 1} is not closed before line {number} opens another")
            part, search, replace = "search", [], []
        elif mark == _MIDDLE and part == "search":
            part = "replace"
        elif mark == _END and part:
            if part == "search":
                raise EditError(f"block {len(edits) + 1} has no '{_MIDDLE}' line between its two halves")
            edits.append(Edit("\n".join(search), "\n".join(replace)))
            part = None
        elif part:
            (search if part == "search" else replace).append(line)
    if part:
        raise EditError(f"block {len(edits) + 1} has no '{_END}' line")
    if not edits:
        raise EditError(f"the answer holds no block between '{_START}' and '{_END}'")
    return edits


def apply(program: str, edits: list[Edit]) -> str:
    """Apply edits in order to whole lines: exactly, else ignoring blanks at line ends.

    Raises
    ------
    EditError
        When a block does not match, matches in more than one place, changes nothing, or the result
        is too long.
    """
    lines = program.split("\n")
    for number, edit in enumerate(edits, 1):
        wanted = edit.search.split("\n")
        if not edit.search.strip():
            raise EditError(f"block {number} searches for nothing; quote the lines to replace")
        places = _places(lines, wanted) or _places([x.rstrip() for x in lines], [x.rstrip() for x in wanted])
        if not places:
            raise EditError(f"block {number} does not match the program: {_nearest(lines, wanted)}")
        if len(places) > 1:
            where = ", ".join(str(p + 1) for p in places[:4])
            raise EditError(
                f"block {number} matches at lines {where}; quote more lines so that it is one place"
            )
        at = places[0]
        lines[at : at + len(wanted)] = edit.replace.split("\n") if edit.replace else []
    result = "\n".join(lines)
    if result == program:
        raise EditError("the edits leave the program as it was")
    if len(result) > MAX_PROGRAM:
        raise EditError(f"the program would grow to {len(result):,} characters; the limit is {MAX_PROGRAM:,}")
    return result


def _places(lines: list[str], wanted: list[str]) -> list[int]:
    size = len(wanted)
    return [
        i for i in range(len(lines) - size + 1) if lines[i] == wanted[0] and lines[i : i + size] == wanted
    ]


def _nearest(lines: list[str], wanted: list[str]) -> str:
    have = set(lines)
    missing = next((w for w in wanted if w.strip() and w not in have), None)
    if missing is None:
        return "its lines stand in the program, but not together in this order"
    close = difflib.get_close_matches(missing, [x for x in lines if x.strip()], n=1, cutoff=0.6)
    told = re.sub(r"\s+", " ", missing).strip()[:120]
    hint = f"; the nearest line is '{close[0].strip()[:120]}'" if close else ""
    return f"no line reads '{told}'{hint}"
