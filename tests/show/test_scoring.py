"""The charts of scores: every one says what it shows, and offers code that gives the frame behind it."""

from __future__ import annotations

import html
import re

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.evolve.run import Run
from workbench.show import audit, charts, frames
from workbench.show.scoring import CHARTS


@pytest.mark.parametrize("what", ["generations", *CHARTS])
def test_a_chart_has_a_takeaway_alternative_text_and_the_code_of_its_frame(run: Run, what: str) -> None:
    chart, below = wb.show.scores(run, what=what).children
    spec = chart.spec
    title = spec["title"]["text"]
    assert len(title) > 15 and not title.endswith("?")
    assert spec["description"].startswith(title)
    assert "rehearsal models" in spec["description"]
    code = html.unescape(re.findall(r"<pre[^>]*>(.*?)</pre>", below.body, re.DOTALL)[0])
    names: dict[str, object] = {"run": run}
    exec(code.replace("\n", "\nshown = "), names)
    expected = frames.generations([run]) if what == "generations" else CHARTS[what].frame(run)
    assert_frame_equal(names["shown"], expected)  # type: ignore[arg-type]


def test_an_unknown_chart_is_named_with_those_there_are(run: Run) -> None:
    with pytest.raises(WorkbenchError, match="no chart 'pie'; the charts are generations, conditions"):
        wb.show.scores(run, what="pie")


def test_the_mean_of_runs_lies_in_the_band_from_worst_to_best() -> None:
    def one(name: str, best: list[float]) -> pl.DataFrame:
        rows = [{"candidate_id": f"{i:04d}", "generation": i, "best": b} for i, b in enumerate(best)]
        return pl.DataFrame(rows, schema_overrides={"generation": pl.Int32}).with_columns(
            run=pl.lit(name), split=pl.lit("train"), term=pl.lit("rank")
        )

    frame = pl.concat([one("a", [0.2, 0.4, 0.4]), one("b", [0.4, 0.4]).filter(generation=0)])
    found = frames.over_seeds(frame)
    assert found["runs"].to_list() == [2, 1, 1]
    assert found["mean"].to_list() == pytest.approx([0.3, 0.4, 0.4])
    assert found["low"].to_list() == [0.2, 0.4, 0.4]
    assert found["high"].to_list() == [0.4, 0.4, 0.4]


def test_a_failed_conversation_is_the_users_fault_only_where_the_user_spoiled_it() -> None:
    episodes = pl.DataFrame(
        {
            "likeness": [0.1, 0.1, 0.1, 0.1, 0.9, 0.9],
            "success": [True, False, False, True, True, False],
            "fault": [None, "repeated_turn", None, "repeated_turn", None, None],
        }
    )
    found = dict(frames.outcomes(episodes).filter(fifth=0.0).select("outcome", "episodes").iter_rows())
    assert found == {"success": 2, "user's fault": 1, "agent's fault": 1}
    # below .5: 2 of 4 succeed, 1 of 2 without faults; above: 1 of 2 either way
    assert charts.cost_of_realism(episodes).startswith("Realism does not move success (.50 below")


def test_two_runs_differ_in_nothing_when_they_are_one(run: Run) -> None:
    assert audit.differences(run, wb.open_run(run.path)).is_empty()
