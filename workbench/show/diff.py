"""Program diffs as HTML: inline or side by side, changed words marked, Python colored, the rest folded."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from workbench.show.markup import empty, esc

_WORD = re.compile(r"\w+|\s+|[^\w\s]")
_CLASSES = {
    "Keyword": "k",
    "Operator.Word": "k",
    "Literal.String": "s",
    "Comment": "c",
    "Literal.Number": "m",
    "Name.Function": "f",
}
ALIKE = 0.5  # share of words in common above which two lines are one line that was changed
Span = tuple[int, int]


@dataclass(frozen=True)
class Row:
    """A line of a diff: kind is same, add, del, change or fold; ``folded`` counts unchanged lines left out."""

    kind: str
    old: int | None = None
    new: int | None = None
    old_marks: tuple[Span, ...] = ()
    new_marks: tuple[Span, ...] = ()
    folded: int = 0


def rows(old: str, new: str, *, context: int = 3) -> list[Row]:
    """Compare two programs line by line; line numbers count from 0.

    Replaced lines that resemble each other become a ``change`` with the changed words marked.
    """
    a, b = old.split("\n"), new.split("\n")
    matcher = difflib.SequenceMatcher(None, a, b, autojunk=False)
    if old == new:
        return [Row("fold", folded=len(a))]
    out: list[Row] = []
    end = 0
    for group in matcher.get_grouped_opcodes(context):
        if skipped := group[0][1] - end:
            out.append(Row("fold", folded=skipped))
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                out += [Row("same", i, j) for i, j in zip(range(i1, i2), range(j1, j2), strict=True)]
            else:
                out += _changed(a, b, range(i1, i2), range(j1, j2))
        end = group[-1][2]
    if len(a) > end:
        out.append(Row("fold", folded=len(a) - end))
    return out


def _changed(a: list[str], b: list[str], old: range, new: range) -> Iterator[Row]:
    """Pair the lines of a replaced block that resemble each other, in order; the others stand alone."""
    j = new.start
    for i in old:
        twin = next((k for k in range(j, new.stop) if _alike(a[i], b[k])), None)
        if twin is None:
            yield Row("del", i)
            continue
        for k in range(j, twin):
            yield Row("add", None, k)
        yield Row("change", i, twin, *_marks(a[i], b[twin]))
        j = twin + 1
    for k in range(j, new.stop):
        yield Row("add", None, k)


def _alike(old: str, new: str) -> bool:
    a, b = re.findall(r"\w+", old), re.findall(r"\w+", new)
    return bool(a) and bool(b) and difflib.SequenceMatcher(None, a, b, autojunk=False).ratio() >= ALIKE


def _marks(old: str, new: str) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Return the character spans of changed words in two lines."""
    a, b = _WORD.findall(old), _WORD.findall(new)
    starts = [_starts(a), _starts(b)]
    left, right = [], []
    indents = [len(line) - len(line.lstrip()) for line in (old, new)]
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if tag != "equal" and not "".join((*a[i1:i2], *b[j1:j2])).isspace():
            left.append((max(indents[0], starts[0][i1]), starts[0][i2]))
            right.append((max(indents[1], starts[1][j1]), starts[1][j2]))
    return tuple(s for s in left if s[1] > s[0]), tuple(s for s in right if s[1] > s[0])


def _starts(words: list[str]) -> list[int]:
    out = [0]
    for word in words:
        out.append(out[-1] + len(word))
    return out


def diff_html(
    old: str, new: str, names: tuple[str, str], *, beside: bool = False, context: int = 3, prose: bool = False
) -> str:
    """Return a diff as an HTML table; ``names`` head its two sides."""
    if old == new:
        return empty(f"No difference: {names[0]} and {names[1]} are the same program.")
    found = rows(old, new, context=context)
    a, b = _colored(old, prose), _colored(new, prose)
    lines: list[str] = []
    for row in _zipped(found) if beside else found:
        lines += _beside(row, a, b) if beside else _inline(row, a, b)
    cols = '<col style="width:34px"><col style="width:18px"><col>'
    head = (
        f"<colgroup>{cols * 2}</colgroup>"
        if beside
        else f'<colgroup><col style="width:34px">{cols}</colgroup>'
    )
    label = esc(f"Difference between {names[0]} and {names[1]}")
    if beside:
        heads = f'<tr><th colspan="3">− {esc(names[0])}</th><th colspan="3">+ {esc(names[1])}</th></tr>'
    else:
        heads = f'<tr><th colspan="4">− {esc(names[0])} &nbsp; + {esc(names[1])}</th></tr>'
    return f'<table class="diff" aria-label="{label}">{head}<tbody>{heads}{"".join(lines)}</tbody></table>'


def _zipped(found: list[Row]) -> list[Row]:
    """Put lines that were removed and lines that were added next to each other, for the side-by-side view."""
    out: list[Row] = []
    for row in found:
        if row.kind == "add" and (at := _waiting(out)) is not None:
            out[at] = Row("change", out[at].old, row.new)
        else:
            out.append(row)
    return out


def _waiting(rows_: list[Row]) -> int | None:
    """Return the first of the removed lines that end a list and have nothing beside them yet."""
    at = None
    for k in range(len(rows_) - 1, -1, -1):
        if rows_[k].kind == "del":
            at = k
        elif rows_[k].kind != "change" or rows_[k].old_marks or rows_[k].new_marks:
            break
    return at


def counts(old: str, new: str) -> tuple[int, int]:
    """Return how many lines were added and removed."""
    found = rows(old, new, context=0)
    added = sum(r.kind in {"add", "change"} for r in found)
    return added, sum(r.kind in {"del", "change"} for r in found)


def program_html(source: str) -> str:
    """Return a whole program with line numbers, colored."""
    lines = [
        f'<tr><td class="no">{i + 1}</td><td>{_line(line, ())}</td></tr>'
        for i, line in enumerate(_colored(source))
    ]
    return f'<table class="diff"><colgroup><col style="width:40px"><col></colgroup><tbody>{"".join(lines)}</tbody></table>'


def _inline(row: Row, a: list[_Colored], b: list[_Colored]) -> list[str]:
    if row.kind == "fold":
        return [f'<tr class="fold"><td colspan="4">⋯ {row.folded} unchanged lines</td></tr>']
    out = []
    if row.kind in {"del", "change"} and row.old is not None:
        out.append(_tr("del", row.old, None, "−", _line(a[row.old], row.old_marks)))
    if row.kind in {"add", "change"} and row.new is not None:
        out.append(_tr("add", None, row.new, "+", _line(b[row.new], row.new_marks)))
    if row.kind == "same" and row.old is not None:
        out.append(_tr("", row.old, row.new, "", _line(a[row.old], ())))
    return out


def _tr(kind: str, old: int | None, new: int | None, sign: str, text: str) -> str:
    numbers = "".join(f'<td class="no">{"" if n is None else n + 1}</td>' for n in (old, new))
    return f'<tr class="{kind}">{numbers}<td class="sign">{sign}</td><td>{text}</td></tr>'


def _beside(row: Row, a: list[_Colored], b: list[_Colored]) -> list[str]:
    if row.kind == "fold":
        return [f'<tr class="fold"><td colspan="6">⋯ {row.folded} unchanged lines</td></tr>']
    same = row.kind == "same"
    left = _half("" if same else "del", row.old, "−", a, row.old_marks)
    right = _half("" if same else "add", row.new, "+", b, row.new_marks)
    return [f"<tr>{left}{right}</tr>"]


def _half(kind: str, at: int | None, sign: str, lines: list[_Colored], marks: tuple[Span, ...]) -> str:
    if at is None:
        return '<td class="no"></td><td class="sign"></td><td></td>'
    shown = sign if kind else ""
    return (
        f'<td class="no">{at + 1}</td><td class="sign {kind}">{shown}</td>'
        f'<td class="{kind}">{_line(lines[at], marks)}</td>'
    )


# -- color ----------------------------------------------------------------------------------------

_Colored = tuple[str, tuple[tuple[int, int, str], ...]]


@lru_cache(maxsize=64)
def _colored(source: str, prose: bool = False) -> list[_Colored]:
    """Return each line with the spans that have a color: words of Python, none in prose."""
    from pygments.lexers.python import PythonLexer  # type: ignore[import-untyped]

    lines = source.split("\n")
    if prose:
        return [(line, ()) for line in lines]
    spans: list[list[tuple[int, int, str]]] = [[] for _ in lines]
    row = column = 0
    for kind, value in PythonLexer(stripnl=False, ensurenl=False).get_tokens(source):
        name = str(kind).removeprefix("Token.")
        css = next((c for prefix, c in _CLASSES.items() if name.startswith(prefix)), "")
        for i, piece in enumerate(value.split("\n")):
            if i:
                row, column = row + 1, 0
            if css and piece and row < len(spans):
                spans[row].append((column, column + len(piece), css))
            column += len(piece)
    return [(line, tuple(s)) for line, s in zip(lines, spans, strict=True)]


def _line(colored: _Colored, marks: tuple[Span, ...]) -> str:
    """Return one line as HTML, its colors and its marked words."""
    text, spans = colored
    if len(text) > 4_000:
        return esc(text, 4_000)
    cuts = sorted({0, len(text), *(x for s in spans for x in s[:2]), *(x for m in marks for x in m)})
    out = []
    for start, end in pairwise(cuts):
        piece = esc(text[start:end])
        css = next((c for a, b, c in spans if a <= start < b), "")
        piece = f'<span class="{css}">{piece}</span>' if css else piece
        out.append(f"<b>{piece}</b>" if any(a <= start < b for a, b in marks) else piece)
    return "".join(out) or "&nbsp;"
