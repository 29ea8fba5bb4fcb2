"""The paper's tables and figures, from the frames that ship and from the same frames with something taken away."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.evolve.matrix import open_matrix
from workbench.measure.reference import DATA
from workbench.show import paper, style
from workbench.show.paper import numbers, search_tables
from workbench.show.paper.tables import main as main_table

HOSTILE = "<script>window.hacked=1</script>\\input{x}\u202e"


class Changed:
    """A matrix with some frames replaced."""

    def __init__(self, matrix: Any, **frames: pl.DataFrame) -> None:
        self._matrix, self._frames = matrix, frames

    def __getattr__(self, name: str) -> Any:
        return self._frames[name] if name in self._frames else getattr(self._matrix, name)


@pytest.fixture(scope="module")
def matrix() -> Any:
    """The matrix that ships."""
    return open_matrix(DATA / "paper_run")


@pytest.fixture(scope="module")
def show(matrix: Any) -> dict[str, Any]:
    """Its tables and figures."""
    return paper.shown(matrix)


def main(matrix: Any, *, equal_n: bool) -> Any:
    """Return the main table."""
    found = numbers.main(matrix, equal_n=equal_n)
    return main_table(matrix, found, paper.origin_of(matrix), equal_n=equal_n)


def test_means_and_deviations_are_those_of_the_runs(matrix: Any) -> None:
    table = numbers.main(matrix, equal_n=False)
    for row in table.filter(pl.col("seeds") > 1).to_dicts():
        keys = {k: row[k] for k in ("domain", "simulator", "condition")}
        runs = matrix.conditions.filter(search="main", **keys)
        assert row["seeds"] == len(runs)
        assert row["run_id"] == sorted(set(runs["run_id"]))
        for measure in numbers.MEASURES:
            assert row[measure] == pytest.approx(runs[measure].mean())
            assert row[f"{measure}_std"] == pytest.approx(runs[measure].std(), abs=1e-12)


def test_at_equal_n_the_base_simulator_is_scored_by_all_its_runs(matrix: Any) -> None:
    table = numbers.main(matrix, equal_n=True).filter(condition="base").to_dicts()
    for row in table:
        runs = matrix.by_task.filter(
            search="main", condition="base", domain=row["domain"], simulator=row["simulator"]
        )
        assert row["human_likeness"] == pytest.approx(runs["human_likeness"].mean(), abs=1e-5)
        assert row["coverage"] == pytest.approx(runs["coverage"].mean(), abs=1e-5)


def test_the_best_of_the_simulated_conditions_is_bold_and_people_never_are(matrix: Any) -> None:
    table = main(matrix, equal_n=True)
    conditions = table.frame["Condition"].to_list()
    bold = {conditions[row] for row, _ in table.bold}
    assert bold
    assert "Humans" not in bold


def test_one_seed_has_no_deviation_and_says_so(matrix: Any) -> None:
    one = min(matrix.conditions["seed"])
    frames = {
        name: getattr(matrix, name).filter(seed=one)
        for name in ("cells", "conditions", "by_task", "fingerprints")
    }
    table = main(Changed(matrix, **frames), equal_n=False)
    assert set(table.frame["Seeds"]) == {"1: no ±"}
    assert not any("±" in cell for cell in table.frame["HL"])


def test_a_missing_condition_and_its_reason_are_named_and_nothing_is_invented(matrix: Any) -> None:
    gone = (pl.col("condition") == "dp") & (pl.col("search") == "main")
    cells = matrix.cells.with_columns(
        status=pl.when(gone).then(pl.lit("failed")).otherwise("status"),
        reason=pl.when(gone).then(pl.lit(f"the model did not answer {HOSTILE}")).otherwise("reason"),
        run_id=pl.when(gone).then(None).otherwise("run_id"),
    )
    frames = {
        n: getattr(matrix, n).filter(~gone) for n in ("conditions", "by_task", "fingerprints", "episodes")
    }
    less = Changed(matrix, cells=cells, **frames)
    table = main(less, equal_n=False)
    for row in table.frame.filter(Condition="DP personas").to_dicts():
        assert row["HL"] == "not run"
        assert row["Score"] == row["D1"] == ""
        assert row["Seeds"].startswith("0 of ")
    assert "the model did not answer" in table.caption
    assert "<script" not in table.html()
    assert r"\input" not in table.latex()
    unplanned = Changed(less, cells=cells.filter(~gone))
    table = main(unplanned, equal_n=False)
    assert set(table.frame.filter(Condition="DP personas")["HL"]) == {"not planned"}


def test_rejected_programs_are_counted_with_their_reason(matrix: Any) -> None:
    row = matrix.candidates.head(1).with_columns(
        candidate_id=pl.lit("9999"), status=pl.lit("rejected"), reason=pl.lit(f"{HOSTILE} broke: at line 3")
    )
    table = search_tables.failures(
        Changed(matrix, candidates=pl.concat([matrix.candidates, row])), paper.origin_of(matrix)
    )
    assert any("broke" in why for why in table.frame["Why"])
    assert "<script" not in table.html()
    sound = Changed(matrix, candidates=matrix.candidates.filter(status="accepted"))
    only = search_tables.failures(sound, paper.origin_of(matrix)).frame.row(0, named=True)
    assert (only["Why"], only["Programs"]) == ("none was rejected", "0")


def test_a_winner_that_is_the_seed_program_is_called_so(matrix: Any) -> None:
    table = search_tables.gains(matrix, paper.origin_of(matrix))
    final = matrix.conditions.filter(search="main", condition="evolved").sort("domain", "simulator", "seed")
    kept = final["candidate_id"] == "0000"
    assert kept.any()
    assert (table.frame["Winner"] == "seed program").to_list() == kept.to_list()


def test_likeness_beside_its_sound_part_is_that_of_the_main_table_at_equal_n(matrix: Any) -> None:
    likeness = [
        table.filter(condition="base").sort("domain", "simulator")["human_likeness"].to_list()
        for table in (numbers.success(matrix), numbers.main(matrix, equal_n=True))
    ]
    assert likeness[0] == pytest.approx(likeness[1])
    by_protocol = numbers.main(matrix, equal_n=False).filter(condition="base").sort("domain", "simulator")
    assert likeness[0] != pytest.approx(by_protocol["human_likeness"].to_list())


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(p: list[float]) -> None:
    found = numbers.holm(p)
    assert all(p[i] <= found[i] <= 1 for i in range(len(p)))
    assert all(found[i] <= found[j] for i in range(len(p)) for j in range(len(p)) if p[i] < p[j])
    assert min(found) == min(1.0, len(p) * min(p))


def test_the_papers_averages_that_are_not_those_of_their_rows_are_found() -> None:
    found = numbers.quirks().filter(row="airline, Default-only SFT").to_dicts()
    assert [(q["printed"], q["recomputed"]) for q in found] == [(0.4, pytest.approx(0.3375))]


def test_a_gain_is_the_difference_of_the_two_programs_on_the_same_tasks(matrix: Any) -> None:
    row = numbers.gains(matrix).filter(search="main").row(0, named=True)
    keys = {k: row[k] for k in ("domain", "simulator", "seed", "search")}
    scores = matrix.by_task.filter(**keys).pivot("condition", index="task_id", values="score")
    assert row["gain"] == pytest.approx((scores["evolved"] - scores["initial"]).mean(), abs=1e-9)
    assert row["low"] <= row["gain"] <= row["high"]


@pytest.mark.parametrize("venue", style.VENUES)
def test_a_figure_is_as_wide_as_the_column(show: dict[str, Any], tmp_path: Path, venue: str) -> None:
    for name in ("fig_axes", "fig_components"):
        figure = show[name]
        figure.save(tmp_path, venue)
        svg = (tmp_path / f"{name}.svg").read_text()
        wide = float(re.search(r'width="([\d.]+)"', svg)[1])  # type: ignore[index]
        assert wide == pytest.approx(style.width(venue, wide=figure.wide), abs=4)


def test_an_unknown_venue_is_refused_with_those_that_there_are(show: dict[str, Any]) -> None:
    with pytest.raises(WorkbenchError, match="neurips, icml, acl"):
        show["fig_axes"].chart("nature")


def test_a_figure_carries_its_origin_and_comes_out_the_same_twice(
    matrix: Any, show: dict[str, Any], tmp_path: Path
) -> None:
    first = {f.name: f.read_bytes() for f in show["fig_lineage"].save(tmp_path)}
    again = {f.name: f.read_bytes() for f in paper.shown(matrix)["fig_lineage"].save(tmp_path)}
    assert first == again
    svg = first["fig_lineage.svg"].decode()
    assert all(run in svg for run in paper.origin_of(matrix).runs)
    if paper.origin_of(matrix).rehearsed:
        assert "rehearsal" in svg


def test_a_matrix_without_maps_says_so_in_the_place_of_the_figure(matrix: Any) -> None:
    _, absent = paper.figures(Changed(matrix, umap=matrix.umap.clear(), n_curve=matrix.n_curve.clear()))
    assert absent == {
        "fig_maps": "There are no map coordinates in this matrix.",
        "fig_coverage_n": "There is no curve of coverage against N in this matrix.",
    }


def test_names_of_axes_come_from_models_and_are_drawn_as_text(matrix: Any, tmp_path: Path) -> None:
    axes = matrix.axes.with_columns(behavior=pl.lit(HOSTILE) + pl.col("behavior"))
    drawn, _ = paper.figures(Changed(matrix, axes=axes))
    figure = next(f for f in drawn if f.name == "fig_axis_lives")
    figure.save(tmp_path)
    assert "<script" not in (tmp_path / "fig_axis_lives.svg").read_text()
    assert "<script" not in figure.html()


def test_provenance_names_every_artefact(matrix: Any, show: dict[str, Any]) -> None:
    kinds = [
        [item for item in show.values() if not isinstance(item, str) and hasattr(item, "latex") == table]
        for table in (True, False)
    ]
    record = json.loads(paper.provenance(*kinds))
    assert set(record["artefacts"]) == {item.name for kind in kinds for item in kind}
    assert record["origins"][0]["runs"] == list(paper.origin_of(matrix).runs)


def test_the_citation_names_the_runs_and_the_paper(matrix: Any) -> None:
    text = paper.cite(matrix)
    assert "2605.12894" in text
    assert all(run in text for run in paper.origin_of(matrix).runs)
