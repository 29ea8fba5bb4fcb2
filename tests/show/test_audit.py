"""The frames that question a score say what they claim."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from workbench.evolve.run import Run
from workbench.show import audit, audit_charts


def test_at_the_ends_of_lambda_one_term_alone_ranks(run: Run) -> None:
    found = audit.lambda_ranks(run)
    good = run.candidates.filter(status="accepted")
    for weight, term in ((0.0, "human_likeness"), (1.0, "coverage")):
        first = found.filter(weight=weight, rank=1)["candidate_id"][0]
        assert good.filter(candidate_id=first)[term][0] == good[term].max()
    assert found.filter(weight=0.5)["rank"].sort().to_list() == list(range(1, len(good) + 1))
    assert set(found.filter("best")["candidate_id"]) == {run.best}


def test_the_effect_of_an_axis_is_that_of_its_personas(run: Run) -> None:
    found = audit.axis_effects(run)
    assert {"terse", "skeptical", "frustrated", "ambiguous"} <= set(found["axis"])
    assert (found["likeness"].abs() <= 1).all()
    terse = found.filter(axis="terse")
    assert terse["likeness_low"][0] <= terse["likeness"][0] <= terse["likeness_high"][0]


def test_coverage_is_shown_by_three_rules(run: Run) -> None:
    found = audit.coverages(run)
    assert found["condition"].to_list() == ["base", "dp", "initial", "evolved"]
    base = found.filter(condition="base")
    assert base["paper"][0] <= base["equal N"][0]
    assert found["standardized, equal N"].is_between(0, 1).all()


def test_a_run_does_not_differ_from_itself(run: Run) -> None:
    assert audit.differences(run, run).is_empty()


def test_only_what_differs_between_two_runs_is_listed(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "other")
    about = tmp_path / "other" / "run.json"
    data = json.loads(about.read_text())
    data["settings"]["seed"] = 8
    about.write_text(json.dumps(data))
    other = Run(tmp_path / "other")
    assert audit.differences(run, other).to_dicts() == [{"what": "setting seed", "a": "7", "b": "8"}]


def test_the_charts_are_valid_and_carry_their_origin(run: Run) -> None:
    for chart in (
        audit_charts.lambda_ranks(audit.lambda_ranks(run), "run abc · rehearsal"),
        audit_charts.axis_effects(audit.axis_effects(run), "run abc · rehearsal"),
    ):
        assert "run abc · rehearsal" in str(chart.to_dict()["title"])
