"""Faults on purpose are survived or recorded, and never change the digest when they are in transport."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from workbench.evolve import store
from workbench.evolve.progress import Progress
from workbench.evolve.run import open_run
from workbench.evolve.search import Search
from workbench.evolve.settings import Settings
from workbench.llm.limit import Pace
from workbench.llm.rehearsal.app import app
from workbench.llm.rehearsal.faults import Faults
from workbench.llm.roles import ROLES, Endpoint

SMALL = Settings(
    seed=3, generations=2, train_tasks=2, validation_tasks=1, test_tasks=1, window=2, stages=(2,), islands=1
)


def at(url: str) -> Settings:
    return replace(SMALL, roles={role: Endpoint(f"rehearsal-{role}", url) for role in ROLES})


def finish(path: Path, settings: Settings) -> Search:
    with Search(path, settings) as search:
        search.client.max_retries = 12
        search.finish()
    return search


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pace, "pause", lambda *_: 0.002)


def test_faults_in_transport_are_repeated_away_and_leave_the_digest_alone(serve, quick, tmp_path: Path):
    faulty = Faults(app, error_rate=0.15, seed=7)
    settings = at(serve(faulty))
    finish(tmp_path / "faulty", settings)
    assert {"error 429", "error 500", "error 503", "error cut"} <= set(faulty.count)
    faulty.error_rate = 0.0
    finish(tmp_path / "clean", settings)
    assert store.digest(tmp_path / "faulty") == store.digest(tmp_path / "clean")


def test_malformed_answers_are_the_same_in_every_order_and_so_is_the_run(serve, tmp_path: Path):
    faulty = Faults(app, malformed_rate=0.08, seed=5)
    settings, seen = at(serve(faulty)), []
    for concurrency in (30, 3):
        finish(tmp_path / f"{concurrency}", replace(settings, concurrency=concurrency))
        seen.append(faulty.count["malformed"])
        faulty.count.clear(), faulty._sent.clear()
    assert seen[0] == seen[1] > 20
    assert store.digest(tmp_path / "30") == store.digest(tmp_path / "3")


def test_malformed_answers_are_survived_or_recorded_and_counted_for_each_candidate(serve, tmp_path: Path):
    faulty = Faults(app, malformed_rate=0.08, seed=5)
    finish(tmp_path / "run", at(serve(faulty)))
    run = open_run(tmp_path / "run")
    candidates, episodes = run.candidates, run.episodes.collect()
    assert len(candidates) == 3
    for c in candidates.filter(status="rejected").to_dicts():
        assert c["reason"]
    own = episodes.filter(condition="search", split="train")
    assert candidates["n_failed"].sum() == own["error"].is_not_null().sum()
    # not all that is spoiled can be told from an answer: a text cut short is a text
    assert 10 < candidates["malformed"].sum() < faulty.count["malformed"]


def test_a_run_says_that_it_waits_for_a_dead_endpoint_and_goes_on(serve, quick, monkeypatch, tmp_path: Path):
    monkeypatch.setattr("workbench.llm.limit.PAUSE_FIRST", 0.05)
    dying, said = Faults(app, seed=1), []

    def listen(progress: Progress) -> None:
        said.append(progress.doing)
        if progress.done == 5:
            dying.error_rate = 1.0
        if "Waiting for it" in progress.doing:
            dying.error_rate = 0.0

    with Search(tmp_path / "run", at(serve(dying)), report=listen) as search:
        search.finish()
    assert any("Waiting for it." in text for text in said)
    assert open_run(tmp_path / "run").candidates["n_failed"].sum() == 0
