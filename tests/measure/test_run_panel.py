"""The panel of a run: its conditions beside held-out people and the editor applied to its own base simulator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from workbench.errors import WorkbenchError
from workbench.evolve import conditions
from workbench.evolve.run import Run, open_run
from workbench.evolve.search import Search
from workbench.measure.faults import FAULTS
from workbench.show.panels import run_panel
from workbench.show.samples import SMALL


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path: Path = tmp_path_factory.mktemp("run") / "r"
    with Search(path, replace(SMALL, generations=1, test_tasks=3, test_personas=2)) as search:
        search.finish()
        conditions.evaluate(search, only=("base", "initial"))
    return open_run(path)


def test_every_condition_stands_beside_people_and_the_editor(run):
    table = run_panel(run)
    assert table["condition"].to_list() == ["people", "editor", "base", "initial"]
    assert table["n"].to_list() == [29, 6, 6, 6]
    assert table["human_likeness"].is_between(0, 1).all()
    likeness = dict(table.select("condition", "human_likeness").iter_rows())
    assert likeness["editor"] > likeness["base"]
    assert "below the editor" in table.row(by_predicate=pl.col("condition") == "base", named=True)["mark"]
    assert run_panel(run).equals(table)


def test_faults_of_episodes_name_turns_that_exist(run):
    episodes = run.episodes.collect()
    last = run.turns.group_by("dialogue_id").agg(last=pl.col("turn").max()).collect()
    both = episodes.join(last, on="dialogue_id")
    for fault in FAULTS:
        assert both.filter(pl.col(fault) > pl.col("last")).is_empty()
    named = both.filter(pl.col("fault").is_not_null())
    assert named.select(pl.any_horizontal(pl.col(FAULTS).is_not_null()).all()).item()
    assert (both["goal_delivered"] <= both["goal_pieces"]).all()


def test_a_run_without_a_base_condition_is_told_what_to_do(run, tmp_path):
    bare = open_run(run.path)
    hidden = run.path / "conditions" / "base"
    moved = hidden.rename(tmp_path / "base")
    try:
        with pytest.raises(WorkbenchError, match="workbench evaluate"):
            run_panel(bare)
    finally:
        moved.rename(hidden)
