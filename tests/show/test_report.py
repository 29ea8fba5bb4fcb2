"""Figures and tables carry their origin, have text, and come out the same twice."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.evolve.run import Run
from workbench.evolve.search import Search
from workbench.show import report
from workbench.show.samples import SMALL

FIGURES = ("alignment", "archive", "conditions", "generations", "realism_and_success")


def test_the_same_run_gives_the_same_bytes(run: Run, tmp_path: Path) -> None:
    first = {f.name: f.read_bytes() for f in report.write(run, tmp_path / "figures")}
    stamps = {f.name: f.stat().st_mtime_ns for f in (tmp_path / "figures").glob("*.pdf")}
    second = {f.name: f.read_bytes() for f in report.write(run, tmp_path / "figures")}
    assert first == second
    assert stamps == {f.name: f.stat().st_mtime_ns for f in (tmp_path / "figures").glob("*.pdf")}
    assert set(first) == {f"{n}.{k}" for n in FIGURES for k in ("svg", "png", "pdf")} | {
        f"conditions.{k}" for k in ("csv", "md", "tex")
    }
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


def test_a_run_without_held_out_results_says_what_to_do(tmp_path: Path) -> None:
    with Search(tmp_path / "run", SMALL) as search, pytest.raises(WorkbenchError, match="workbench evaluate"):
        report.write(search.run, tmp_path / "figures")


def test_a_folder_that_cannot_be_written_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkbenchError, match="cannot be written"):
        report.write(run, tmp_path / "file")
