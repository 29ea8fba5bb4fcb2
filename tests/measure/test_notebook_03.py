"""People and simulators side by side: the frames behind notebook 03 say what they should, and every chart has its text."""

from __future__ import annotations

from pathlib import Path

import nbformat
import polars as pl
import pytest

from workbench.show import people
from workbench.show.figures import save
from workbench.show.panels import trace_indices

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "03_humans_and_simulators.ipynb"


@pytest.mark.parametrize(("domain", "base", "trait"), [("retail", 4, 1), ("airline", 4, 1)])
def test_every_shipped_file_is_named_once_and_labelled_apart(domain, base, trait):
    assert len(people.names(domain)) == base
    assert len(people.names(domain, "trait")) == trait
    assert len({people.label(name) for name in people.names(domain)}) == base


def test_people_are_told_apart_by_short_turns_and_length():
    frame = people.separations("retail")
    assert len(frame) == 4 * 19
    short = frame.filter(feature="short_utterance_rate")["auc"]
    words = frame.filter(feature="words_per_turn")["auc"]
    assert short.min() > 0.85
    assert words.max() < 0.2


def test_the_editor_beats_people_in_retail_and_is_caught():
    frame = people.controls("retail").pivot("who", index="simulator", values=["value", "low"])
    assert (frame["value_editor"] > frame["value_humans"]).sum() >= 3
    assert (frame["low_fresh"] > 0.5).all()
    assert (frame["value_base"] < 0.2).all()


def test_the_ceiling_stands_above_every_simulator():
    frame = people.alignments("airline").filter(term="USI_D1_D4")
    best = frame.sort("value", descending=True)
    assert best["simulator"][0] == "Humans, halves"
    assert {"impatience", "incoherence", "skeptical", "confusion"} < set(frame["simulator"])


def test_every_chart_can_be_saved_with_its_text(tmp_path):
    domain, file = "airline", people.names("airline")[0]
    charts = {
        "separation": people.separation_chart(people.separations(domain), domain),
        "importance": people.importance_chart(people.importances(domain, file), domain, file),
        "matrix": people.matrix_chart(people.cross(domain, resamples=20), domain),
        "alignment": people.alignment_chart(people.alignments(domain), domain),
        "coverage": people.coverage_chart(people.coverages(domain, (1, 4)), domain),
        "control": people.control_chart(people.controls(domain), domain),
        "fault": people.fault_chart(people.fault_rates(domain), domain),
    }
    for name, chart in charts.items():
        svg = next(file for file in save(chart, tmp_path, name) if file.suffix == ".svg").read_text()
        assert "tau-usi" in svg, f"{name} names its source"
        assert "undefined" not in svg and "NaN" not in svg, name


def test_the_notebook_needs_no_traces_and_holds_no_output():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in code)
    assert all(len(cell.source.splitlines()) <= 20 for cell in code)
    guarded = [cell.source for cell in code if "trace" in cell.source]
    assert len(guarded) == 2
    assert all("if folder else" in source for source in guarded)


def test_neighbors_measures_stand_beside_people_on_real_traces(traces):
    table = trace_indices(traces, "airline")
    assert table["who"].to_list() == ["people", *map(people.label, people.names("airline"))]
    assert table.drop("who").tail(4).select(pl.all().is_between(0, 100).all()).row(0) == (True,) * 8
    assert table["USI"][0] is None, "people are the yardstick"
    assert table["USI"][1:].max() < 80


def test_fault_rates_are_shares_of_all_dialogues_of_a_simulator():
    frame = people.fault_rates("airline")
    assert frame["share"].is_between(0, 1).all()
    sums = frame.group_by("simulator").agg(pl.col("share").sum())
    assert sums["share"].max() < 0.2
