"""A search is a pure function of its settings: it resumes, refuses, survives kills, and keeps every failure."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from workbench.errors import WorkbenchError
from workbench.evolve import conditions, store
from workbench.evolve.run import open_run
from workbench.evolve.search import Search, seed_program
from workbench.evolve.settings import Settings
from workbench.simulate.program import ProgramRejected

SMALL = Settings(
    domain="retail", seed=5, generations=3, train_tasks=4, validation_tasks=2, test_tasks=3, window=2,
    stages=(2, 3), test_personas=3, islands=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "whole"
    with Search(path, SMALL) as search:
        search.finish()
        conditions.evaluate(search)
    return path


def test_a_run_has_all_frames_and_they_agree(finished: Path):
    run = open_run(finished)
    assert run.candidate_ids == ["0000", "0001", "0002", "0003"]
    first = run.candidates.row(0, named=True)
    assert (first["author"], first["parent"], first["status"], first["n_personas"]) == (
        "seed",
        None,
        "accepted",
        2,
    )
    episodes, personas = run.episodes.collect(), run.personas.collect()
    own = episodes.filter(candidate_id="0000", condition="search")
    assert len(own.filter(split="train")) == first["n_episodes"] == 4
    assert set(own.filter(split="train")["task_id"]) == set(first["tasks"])
    assert len(personas.filter(candidate_id="0000", split="train")) == 4
    assert episodes["dialogue_id"].is_unique().all()
    prints = run.fingerprints.collect()
    finished_ids = episodes.filter(pl.col("error").is_null())["dialogue_id"]
    assert set(prints["dialogue_id"]) == set(finished_ids)
    assert run.turns.collect()["dialogue_id"].n_unique() == len(episodes)
    assert first["tokens_in"] >= own["tokens_in"].sum() > 0


def test_every_episode_shows_where_the_policy_was_in_force(finished: Path):
    run = open_run(finished)
    rows = run.episodes.filter(condition="search").join(
        run.personas.select("candidate_id", "task_id", "persona_id", "split", "policy"),
        on=["candidate_id", "task_id", "persona_id", "split"],
    )
    for prompt, at, policy in rows.select("user_prompt", "policy_at", "policy").collect().iter_rows():
        assert prompt[at:] == policy and "<scenario>" in prompt[:at]
    base = run.episodes.filter(condition="base").select("user_prompt", "policy_at").collect()
    assert base["policy_at"].is_null().all() and base["user_prompt"].str.contains("</scenario>").all()


def test_test_tasks_are_never_touched_by_the_search(finished: Path):
    run = open_run(finished)
    searched = set(run.episodes.filter(condition="search").collect()["task_id"])
    assert searched <= set(run.tasks["train"]) | set(run.tasks["validation"])
    assert not searched & set(run.tasks["test"])


def test_five_conditions_are_compared_with_their_counts(finished: Path):
    table = conditions.table(open_run(finished))
    assert table["condition"].to_list() == ["humans", "base", "dp", "initial", "evolved"]
    simulated = table.filter(pl.col("condition") != "humans")
    assert simulated["n_episodes"].to_list() == [9, 9, 9, 9]
    for name in ("human_likeness", "coverage", "score", "success"):
        assert simulated[name].is_between(0, 1).all()
    assert (simulated["score"] - (simulated["human_likeness"] + simulated["coverage"]) / 2).abs().max() < 1e-9


def test_seeds_are_averaged_with_their_spread_and_counts_add_up(finished: Path):
    one = conditions.table(open_run(finished))
    two = conditions.over_seeds([open_run(finished), open_run(finished)])
    assert two["condition"].to_list() == one["condition"].to_list() and set(two["seeds"]) == {2}
    assert two["score"].to_list() == pytest.approx(one["score"].to_list())
    assert two["score_std"].to_list() == pytest.approx([0.0] * 5)
    assert two["n_episodes"].to_list() == [2 * n for n in one["n_episodes"]]
    assert two["n_faults"][0] is None


def test_the_same_settings_give_the_same_digest_whatever_the_concurrency(finished: Path, tmp_path: Path):
    with Search(tmp_path / "again", replace(SMALL, concurrency=2)) as search:
        search.finish()
        conditions.evaluate(search)
    assert store.digest(tmp_path / "again") == store.digest(finished)


def test_steps_in_a_running_loop_and_awaited_ones_continue_the_same_run(finished: Path, tmp_path: Path):
    async def notebook() -> None:
        with Search(tmp_path / "run", SMALL) as search:
            assert [c["candidate_id"] for c in search.step()] == ["0000"]
            assert [c["candidate_id"] for c in await search.astep()] == ["0001"]
        with Search(tmp_path / "run") as search:
            search.finish()
            conditions.evaluate(search)

    asyncio.run(notebook())
    assert store.digest(tmp_path / "run") == store.digest(finished)


CHILD = """
import json, sys
from workbench.evolve import conditions
from workbench.evolve.search import Search, seed_program
from workbench.evolve.settings import Settings
from workbench.simulate.program import ProgramRejected
with Search(sys.argv[1], Settings.from_json(json.loads(sys.argv[2]))) as search:
    search.finish()
    conditions.evaluate(search)
"""


def test_killed_at_any_moment_a_run_resumes_to_the_same_digest(finished: Path, tmp_path: Path):
    command = [sys.executable, "-c", CHILD, str(tmp_path / "run"), json.dumps(SMALL.as_json())]
    for wanted in ("conditions/base_train", "candidates/0001", "conditions/base"):
        child = subprocess.Popen(command)
        deadline = time.monotonic() + 60
        while (
            not (tmp_path / "run" / wanted).exists() and child.poll() is None and time.monotonic() < deadline
        ):
            time.sleep(0.01)
        time.sleep(0.03)
        child.send_signal(signal.SIGKILL)
        child.wait()
    subprocess.run(command, check=True)
    assert store.digest(tmp_path / "run") == store.digest(finished)


def test_other_settings_are_refused_by_name_and_more_generations_are_not(finished: Path):
    with pytest.raises(WorkbenchError, match=r"has other settings \(seed: 5 → 6\)"):
        Search(finished, replace(SMALL, seed=6))
    with Search(finished, replace(SMALL, generations=3, concurrency=7)) as search:
        assert search.done


def test_a_run_being_written_is_refused_but_can_be_watched(tmp_path: Path):
    with Search(tmp_path / "run", SMALL):
        with pytest.raises(WorkbenchError, match="is being written by process"):
            Search(tmp_path / "run", SMALL)
        assert open_run(tmp_path / "run").candidates.is_empty()


def test_k_proposals_start_from_the_archive_as_it_stood_and_commit_in_order(tmp_path: Path):
    with Search(tmp_path / "run", replace(SMALL, proposals=3, generations=2)) as search:
        search.step()
        made = search.step()
    assert [c["candidate_id"] for c in made] == ["0001", "0002", "0003"]
    assert {c["generation"] for c in made} == {1} and {c["parent"] for c in made} == {"0000"}


def _info(**given: object) -> str:
    return json.dumps({"format": 1, "run_id": "r", "version": "0", "created": "2026", "tasks": {}} | given)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"format": 2, "version": "9.9", "settings": {}}', "has format 2; this version reads format 1"),
        ('{"version": "0.0.1"}', r"names no format; .* open it with the version that wrote it \(0\.0\.1\)"),
        ('{"format": 1, "settings": {"domain": "retail"}}', "lacks run_id, version, created, tasks"),
        (_info(settings={"domain": "retail"}), "settings do not match this version: roles"),
        (_info(settings=[1]), "has a wrong value"),
        (_info(settings={"domain": "retail", "roles": {"user": {"colour": 1}}}), "has a wrong value"),
        ("\x00\x01", "is corrupt"),
    ],
)
def test_a_run_that_cannot_be_read_says_what_it_is_and_is_never_written(tmp_path: Path, text: str, told: str):
    (tmp_path / "run.json").write_text(text)
    run = open_run(tmp_path)
    assert re.search(told, run.problem)
    for act in (run.own, lambda: run.settings, lambda: Search(tmp_path), lambda: Search(tmp_path, SMALL)):
        with pytest.raises(WorkbenchError, match=told):
            act()
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"] and (
        tmp_path / "run.json"
    ).read_text() == text


def test_a_folder_that_is_no_run_is_never_written_into(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(WorkbenchError, match="exists and is not a run directory"):
        Search(tmp_path, SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_run_branches_from_any_candidate_and_remembers_where_from(finished: Path, tmp_path: Path):
    old = open_run(finished)
    with Search(tmp_path / "branch", replace(SMALL, seed=8), branch=(old, "0001")) as search:
        first = search.step()[0]
    new = open_run(tmp_path / "branch")
    assert new.program("0000") == old.program("0001") and first["author"] == "human"
    assert new.info["branched_from"] == {"run_id": old.run_id, "candidate_id": "0001"}
    with pytest.raises(WorkbenchError, match="has no candidate '0099'; it has 0000 to 0003"):
        Search(tmp_path / "none", SMALL, branch=(old, "0099"))
    assert not (tmp_path / "none").exists()


def test_a_program_written_by_hand_enters_with_a_human_author(tmp_path: Path):
    with Search(tmp_path / "run", SMALL) as search:
        with pytest.raises(WorkbenchError, match="run one step first"):
            search.try_program(seed_program())
        search.step()
        mine = search.try_program(seed_program().replace('"terse"', '"brief"'), parent="0000")
        assert (mine["candidate_id"], mine["author"], mine["status"]) == ("0001", "human", "accepted")
        with pytest.raises(ProgramRejected):
            search.try_program("def (:", parent="0000")
        assert search.generation == 1
        assert search.step()[0]["candidate_id"] == "0002"


def test_a_program_that_breaks_at_work_is_a_rejected_candidate_with_the_reason(tmp_path: Path):
    with Search(tmp_path / "run", SMALL) as search:
        search.step()
        wrong = seed_program() + "\n\ndef generate_personas_detailed(c, axes, n):\n    return [1 / 0]\n"
        mine = search.try_program(wrong, parent="0000")
    assert mine["status"] == "rejected" and "ZeroDivisionError" in mine["reason"]
    assert mine["fitness"] is None


def test_the_independent_control_mutates_the_seed_program_only(tmp_path: Path):
    with Search(tmp_path / "run", replace(SMALL, selection="independent", generations=3)) as search:
        search.finish()
        assert set(search.run.candidates["parent"].drop_nulls()) == {"0000"}
