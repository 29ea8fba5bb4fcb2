"""A table as a paper prints it - text cells and the numbers behind - in LaTeX, Markdown, CSV and HTML."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from workbench.show.markup import esc
from workbench.show.origin import REHEARSED, Origin

_NUMBER = re.compile(r"[+−-]?[\d.][^a-zA-Z]*(s|k|M|%)?$|–$")
LONG = 36  # rows from which a LaTeX table may break across pages
WIDE = 120  # characters of a row from which it lies on its side
NOTEBOOK_CSS = """
.wb-paper figure { margin: 4px 0 12px; } .wb-paper .wide { overflow-x: auto; } .wb-paper figcaption { opacity: 0.75; max-width: 90ch; }
.wb-paper svg { display: block; max-width: 100%; height: auto; overflow: visible; margin-left: 24px; color: var(--jp-content-font-color1, CanvasText); }
.wb-paper td, .wb-paper th { text-align: left !important; } .wb-paper .n { text-align: right !important; }
.wb-paper .group th { font-style: italic; font-weight: 400; padding-top: 10px; } .wb-paper td { white-space: nowrap; }
"""
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "*": r"\textsuperscript{*}",
    "†": r"\textsuperscript{\textdagger}",
    "±": r"$\pm$",
    "−": "$-$",
    "–": "--",
    "—": "---",
    "·": r"$\cdot$",
    "→": r"$\to$",
    "λ": r"$\lambda$",
    "τ": r"$\tau$",
    "²": r"\textsuperscript{2}",
    "×": r"$\times$",
    "≥": r"$\ge$",
    "≤": r"$\le$",
    "…": r"\dots{}",
    "’": "'",
    "‘": "`",
    "“": "``",
    "”": "''",
}


@dataclass(frozen=True)
class Table:
    """A table: text cells, what they mean, where they come from.

    ``frame`` holds the cells as text; ``bold`` (row, column) of those set in bold; ``group`` the column that
    heads blocks of rows; ``data`` the numbers behind, which the CSV then holds.
    """

    name: str
    title: str
    frame: pl.DataFrame
    note: str
    origin: Origin | None = None
    bold: frozenset[tuple[int, str]] = frozenset()
    group: str | None = None
    data: pl.DataFrame | None = None

    @property
    def caption(self) -> str:
        """Title, note, origin, and the word that rehearsal models made it."""
        parts = [f"{self.title}.", self.note]
        if self.origin:
            parts += [f"From {self.origin.line}.", *([REHEARSED] if self.origin.rehearsed else [])]
        return " ".join(p for p in parts if p)

    def files(self) -> dict[str, str]:
        """Return the table's files by name."""
        return {
            f"{self.name}.csv": self.csv(),
            f"{self.name}.md": self.markdown(),
            f"{self.name}.tex": self.latex(),
        }

    def csv(self) -> str:
        """Return the numbers behind, or the cells; floats to six digits."""
        frame = self.frame if self.data is None else self.data
        lists = [c for c, kind in frame.schema.items() if isinstance(kind, pl.List)]
        frame = frame.with_columns(pl.col(c).cast(pl.List(pl.String)).list.join(" ") for c in lists)
        return frame.with_columns(pl.selectors.float().round(6)).write_csv(line_terminator="\n")

    def markdown(self) -> str:
        """Return a Markdown table with its caption below, and every run's id in a comment."""
        heads = self.frame.columns
        ruler = ["---:" if self._number(c) else "---" for c in heads]
        lines = [heads, ruler, *(cells for _, cells in self._rows(heads, _md, "**{}**"))]
        table = "\n".join("| " + " | ".join(row) + " |" for row in lines)
        comment = f"\n<!-- {json.dumps(self.origin.record())} -->\n" if self.origin else ""
        return f"{table}\n\n{_md(self.caption)}\n{comment}"

    def latex(self) -> str:
        """Return a ``table`` with booktabs rules, as wide as the text at most; a long one may break, a wide one lies down.

        Needs booktabs, graphicx, longtable and lscape; every cell is escaped.
        """
        columns = [c for c in self.frame.columns if c != self.group]
        head = " & ".join(map(latex, columns)) + r" \\"
        body: list[str] = []
        for block, cells in self._rows(columns, latex, r"\textbf{{{}}}"):
            if block is not None:
                body += [r"\addlinespace"] * bool(body)
                body.append(rf"\multicolumn{{{len(columns)}}}{{l}}{{\emph{{{latex(block)}}}}} \\*")
            body.append(" & ".join(cells) + r" \\")
        kinds = "".join("r" if self._number(c) else "l" for c in columns)
        comment = f"% {json.dumps(self.origin.record())}\n" if self.origin else ""
        label = rf"\caption[{latex(self.title)}]{{{latex(self.caption)}}}\label{{tab:{self.name}}}"
        if len(self.frame) >= LONG:
            lines = [r"{\scriptsize\setlength{\tabcolsep}{3pt}", rf"\begin{{longtable}}{{{kinds}}}", label + r"\\",
                     r"\toprule", head, r"\midrule", r"\endfirsthead", r"\toprule", head, r"\midrule", r"\endhead",
                     r"\bottomrule", r"\endfoot", *body, r"\end{longtable}}"]  # fmt: skip
            return comment + "\n".join(lines) + "\n"
        width = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
        lines = [r"\begin{table}[tp]", r"\centering\footnotesize", label, width,
                 rf"\begin{{tabular}}{{{kinds}}}", r"\toprule", head, r"\midrule", *body,
                 r"\bottomrule", r"\end{tabular}}", r"\end{table}"]  # fmt: skip
        sizes = [max(map(len, [c, *self.frame[c].fill_null("")])) for c in columns]
        if sum(sizes) + 2 * len(sizes) > WIDE:
            lines = [r"\begin{landscape}", *lines, r"\end{landscape}"]
        return comment + "\n".join(lines) + "\n"

    def html(self) -> str:
        """Return the table as HTML, escaped, its caption below."""
        columns = [c for c in self.frame.columns if c != self.group]
        kinds = [' class="n"' if self._number(c) else "" for c in columns]
        body = []
        for block, cells in self._rows(columns, esc, "<b>{}</b>"):
            if block is not None:
                body.append(f'<tr class="group"><th colspan="{len(columns)}">{esc(block)}</th></tr>')
            line = "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, cells, strict=True))
            body.append(f"<tr>{line}</tr>")
        head = "".join(f"<th{kind}>{esc(c)}</th>" for kind, c in zip(kinds, columns, strict=True))
        return (
            f'<figure class="table" id="{self.name}"><div class="wide"><table><thead><tr>{head}</tr></thead>'
            f"<tbody>{''.join(body)}</tbody></table></div><figcaption>{esc(self.caption)}</figcaption></figure>"
        )

    def _repr_html_(self) -> str:
        return f'<div class="wb-paper"><style>{NOTEBOOK_CSS}</style>{self.html()}</div>'

    def _number(self, column: str) -> bool:
        cells = [c for c in self.frame[column].to_list() if c]
        return bool(cells) and all(_NUMBER.match(c) for c in cells)

    def _rows(
        self, columns: Sequence[str], escape: Callable[[str], str], bold: str
    ) -> Iterator[tuple[str | None, list[str]]]:
        """Yield the escaped cells of each row, and the name of its block where one begins."""
        last = None
        for i, row in enumerate(self.frame.fill_null("").iter_rows(named=True)):
            block = row[self.group] if self.group else None
            cells = [bold.format(escape(row[c])) if (i, c) in self.bold else escape(row[c]) for c in columns]
            yield (block if block != last else None), cells
            last = block


def latex(text: Any) -> str:
    """Escape a text for LaTeX (T1 fonts, UTF-8); what they lack is written as [U+XXXX], so that any text compiles."""

    def one(char: str) -> str:
        known = char.isprintable() and (char.isascii() or "À" <= char <= "ÿ")
        return _LATEX.get(char, char if known else f"[U+{ord(char):04X}]")

    return "".join(map(one, re.sub(r"\s+", " ", str(text))))


def plain(text: Any, limit: int = 60) -> str:
    """Return a text from a model as one printable line, cut where it is too long."""
    line = re.sub(r"\s+", " ", str(text)).strip()
    line = "".join(c if c.isprintable() else "�" for c in line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _md(text: str) -> str:
    return re.sub(r"([\\|*_`<>\[\]])", r"\\\1", re.sub(r"\s+", " ", text))
