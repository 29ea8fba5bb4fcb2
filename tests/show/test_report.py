"""Figures and tables carry their origin, have text, and come out the same twice."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.evolve.run import Run
from workbench.evolve.search import Search
from workbench.show import report
from workbench.show.samples import SMALL

TABLES = ("candidates", "conditions", "failures")
FIGURES = ("alignment", "archive", "conditions", "generations", "realism_and_success")


def test_the_same_run_gives_the_same_bytes(run: Run, tmp_path: Path) -> None:
    first = {f.name: f.read_bytes() for f in report.write(run, tmp_path / "figures")}
    stamps = {f.name: f.stat().st_mtime_ns for f in (tmp_path / "figures").glob("*.pdf")}
    second = {f.name: f.read_bytes() for f in report.write(run, tmp_path / "figures")}
    assert first == second
    assert stamps == {f.name: f.stat().st_mtime_ns for f in (tmp_path / "figures").glob("*.pdf")}
    files = {f"{n}.{k}" for n in FIGURES for k in ("svg", "png", "pdf")}
    files |= {f"{n}.{k}" for n in TABLES for k in ("csv", "md", "tex")}
    assert set(first) == files | {"index.html"}
    assert first == {f.name: f.read_bytes() for f in report.write(run, tmp_path / "figures")}
    other = {f.name: f.read_bytes() for f in report.write(run, tmp_path / "other") if f.suffix != ".pdf"}
    assert other == {name: data for name, data in first.items() if not name.endswith(".pdf")}


def test_every_figure_says_which_run_made_it_and_that_it_was_rehearsed(run: Run, tmp_path: Path) -> None:
    report.write(run, tmp_path)
    for name in FIGURES:
        svg = (tmp_path / f"{name}.svg").read_text()
        assert run.run_id in svg
        assert "rehearsal models" in svg
    for kind in ("md", "tex"):
        assert "rehearsal models" in (tmp_path / f"conditions.{kind}").read_text()


def test_a_pdf_has_its_text(run: Run, tmp_path: Path) -> None:
    if not shutil.which("pdftotext"):
        pytest.skip("pdftotext is not installed (Debian: poppler-utils)")
    report.write(run, tmp_path)
    for name in FIGURES:
        text = subprocess.run(
            ["pdftotext", tmp_path / f"{name}.pdf", "-"], capture_output=True, text=True, check=True
        )
        assert run.run_id in text.stdout


def test_the_page_stands_by_itself_and_shows_what_models_said_as_text(run: Run, tmp_path: Path) -> None:
    report.write(run, tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert run.run_id in page and "rehearsal models" in page
    assert page.count("<svg") == len(FIGURES)
    assert "default-src 'none'" in page
    inside = "".join(re.findall(r"<[a-z][^>]*>", page))
    assert all(a.startswith("#") for a in re.findall(r"""(?:src|href)=["']?([^"'> ]+)""", inside))
    assert all(a.startswith("#") for a in re.findall(r"url\(([^)]*)\)", inside))
    assert "<script" not in page and "<img" not in page
    assert "&lt;script&gt;" in page, "the reason of a rejected program is there, as text"
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids)), "two figures share a clip or a gradient"


def test_a_run_without_held_out_results_says_what_to_do(tmp_path: Path) -> None:
    with Search(tmp_path / "run", SMALL) as search, pytest.raises(WorkbenchError, match="workbench evaluate"):
        report.write(search.run, tmp_path / "figures")


def test_a_folder_that_cannot_be_written_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkbenchError, match="cannot be written"):
        report.write(run, tmp_path / "file")
