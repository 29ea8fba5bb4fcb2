"""The frames behind the charts say what they claim."""

from __future__ import annotations

import polars as pl

from workbench.evolve.run import Run
from workbench.show import charts, frames
from workbench.show.style import change, count, money, plus_minus, share


def test_best_so_far_never_falls(run: Run) -> None:
    found = frames.generations([run]).filter(split="train", term="rank").sort("candidate_id")
    assert found["best"].is_sorted()
    assert found["best"].null_count() == 0
    assert found["best"][-1] == found["value"].max()


def test_rejected_candidates_have_no_point(run: Run) -> None:
    accepted = run.candidates.filter(status="accepted")["candidate_id"]
    assert set(frames.generations([run])["candidate_id"]) == set(accepted)


def test_references_are_people_and_base_simulator(run: Run) -> None:
    found = frames.references(run)
    assert set(found["condition"]) == {"humans", "base"}
    assert set(found["term"]) == {"rank", "human_likeness", "coverage"}


def test_a_cell_is_held_by_its_best_program(run: Run) -> None:
    found = frames.cells(run)
    assert found["arrivals"].sum() == len(run.candidates.filter(pl.col("cell").is_not_null()))
    for row in found.iter_rows(named=True):
        here = run.candidates.filter(pl.col("cell") == [row["x"], row["y"]])
        assert row["rank"] == here["rank"].max()


def test_charts_are_valid_and_carry_their_origin(run: Run) -> None:
    origin = "run abc · rehearsal models (stand-ins)"
    made = [
        charts.by_generation(frames.generations([run]), frames.references(run), origin),
        charts.by_condition(frames.conditions(run), origin),
        charts.alignment(frames.conditions(run), origin),
        charts.archive(frames.cells(run), origin),
        charts.realism_and_success(frames.episodes(run), origin),
    ]
    for chart in made:
        assert origin in str(chart.to_dict()["title"])


def test_numbers_are_written_for_people() -> None:
    assert share(0.612) == ".61"
    assert share(-0.04) == "−.04"
    assert share(1.0) == "1.00"
    assert change(0.0004) == "±0"
    assert change(0.07) == "+.07"
    assert plus_minus(0.5, 0.4, 0.6) == ".50 ± .10"
    assert [count(n) for n in (950, 18_300, 2_100_000)] == ["950", "18.3k", "2.1M"]
    assert money(0.42) == "$0.42"
