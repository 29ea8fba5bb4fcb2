"""A table says the same in LaTeX, Markdown, CSV and HTML, whatever a model wrote into its cells."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.show.origin import Origin, spans
from workbench.show.typeset import LONG, Table, latex, plain

ORIGIN = Origin(("abc123",), ("retail",), (1, 2, 3), ("rehearsal-user",), "0.1.0", "2026-01-02", True)
HOSTILE = r"50% of {a_b} & $x^2$ #1 ~\end{tabular}\input{/etc/passwd} <b>*†|… 漢"


def table(rows: int = 2, **more: object) -> Table:
    """Return a table with a hostile cell."""
    frame = pl.DataFrame(
        {
            "Setting": ["a"] * rows,
            "What": [HOSTILE, *["plain"] * (rows - 1)],
            "HL": ["0.123 ± 0.004*", *["−0.5"] * (rows - 1)],
        }
    )
    return Table("t", "A title", frame, "A note.", ORIGIN, frozenset({(1, "HL")}), "Setting", **more)  # type: ignore[arg-type]


@given(st.text())
def test_escaped_text_has_no_command_of_its_own(text: str) -> None:
    found = latex(text)
    known = re.sub(
        r"\\(text\w+|dots|ge|le|to|times|tau|lambda|pm|cdot)\b(\{(\*|2|\\textdagger)?\})?|\\[&%$#_{}]",
        "",
        found,
    )
    assert "\\" not in known.replace("$", "")
    assert "\n" not in found


@given(st.text())
def test_a_plain_line_is_short_and_printable(text: str) -> None:
    found = plain(text, 30)
    assert len(found) <= 30
    assert found.isprintable() or not found


def test_what_was_made_by_rehearsal_models_says_so_in_every_format() -> None:
    for kind, text in table().files().items():
        if not kind.endswith(".csv"):
            assert "rehearsal models" in text
            assert "abc123" in text


def test_bold_cells_are_bold_in_every_format() -> None:
    assert r"\textbf{$-$0.5}" in table().latex()
    assert "**−0.5**" in table().markdown()
    assert "<b>−0.5</b>" in table().html()


def test_html_shows_hostile_text_as_text() -> None:
    assert "&lt;b&gt;" in table().html()
    assert "<b>*" not in table().html()


def test_a_markdown_row_keeps_its_cells_apart() -> None:
    lines = [line for line in table().markdown().splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {4}


def test_the_csv_holds_the_numbers_behind() -> None:
    data = pl.DataFrame({"x": [0.1234567891], "runs": [["a", "b"]]})
    assert table(data=data).csv() == "x,runs\n0.123457,a b\n"


@pytest.mark.parametrize("rows", [2, LONG])
def test_latex_compiles(rows: int, tmp_path: Path) -> None:
    if not shutil.which("pdflatex"):
        pytest.skip("pdflatex is not installed (Debian: the packages that 'make latex' names)")
    text = rf"""\documentclass{{article}}\usepackage[T1]{{fontenc}}\usepackage[utf8]{{inputenc}}
\usepackage{{mathptmx,booktabs,graphicx,longtable,lscape,textcomp}}\begin{{document}}
{table(rows).latex()}
\end{{document}}"""
    (tmp_path / "t.tex").write_text(text)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_seeds_are_written_briefly() -> None:
    assert [spans(s) for s in ((7,), (1, 2), (1, 2, 3), (1, 2, 7), ())] == [
        "seed 7",
        "seeds 1, 2",
        "seeds 1–3",
        "seeds 1, 2, 7",
        "no seed",
    ]
