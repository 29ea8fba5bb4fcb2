"""A damaged file is named where it is, takes nothing else away, and keeps a search from going on over it."""

from __future__ import annotations

import json
import os
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from workbench import show
from workbench.cli import main
from workbench.errors import WorkbenchError
from workbench.evolve import store
from workbench.evolve.run import Run, open_run
from workbench.evolve.search import Search
from workbench.show.samples import SMALL


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("damage") / "run"
    with Search(path, replace(SMALL, generations=2)) as search:
        search.finish()
    return path


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "run", ignore=shutil.ignore_patterns("lock"))
    return tmp_path / "run"


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def record(folder: Path, **given: Any) -> str:
    return json.dumps(store.read_json(folder / "candidates" / "0001" / "candidate.json") | given)


DAMAGES = {
    "candidate.json is missing": None,
    "candidate.json is empty": "",
    "candidate.json is cut off or no JSON": '{"rank": 0.',
    "candidate.json holds no JSON object": "[]",
    "candidate.json is not of candidate 0001": "{}",
    "candidate.json has a wrong value for rank": {"rank": "high"},
    "candidate.json has a wrong value for cell": {"cell": [1, "b"]},
    "candidate.json has no status": {"status": "splendid"},
    "candidate.json lacks coverage": {"status": "accepted", "coverage": None},
}


@pytest.mark.parametrize("told", DAMAGES)
def test_a_candidate_whose_record_is_damaged_is_a_row_that_says_so(folder: Path, told: str) -> None:
    content, file = DAMAGES[told], folder / "candidates" / "0001" / "candidate.json"
    text = record(folder, **content) if isinstance(content, dict) else content
    file.unlink()
    if text is not None:
        file.write_text(text)
    run = open_run(folder)
    row = run.candidates.row(1, named=True)
    known = {name: value for name, value in row.items() if value is not None}
    assert known == {"candidate_id": "0001", "status": "damaged", "reason": told}
    assert run.damage == {"candidates/0001": [told]}
    assert run.candidates["status"].to_list().count("damaged") == 1


def test_a_program_that_is_gone_makes_its_candidate_damaged(folder: Path) -> None:
    (folder / "candidates" / "0001" / "program.py").unlink()
    run = open_run(folder)
    assert run.damage == {"candidates/0001": ["program.py is missing"]}
    with pytest.raises(WorkbenchError, match=r"0001/program\.py is missing; restore it"):
        run.program("0001")


def test_a_frame_that_is_cut_off_leaves_those_of_the_others(folder: Path) -> None:
    cut(folder / "candidates" / "0001" / "turns.parquet")
    run = open_run(folder)
    assert run.damage == {"candidates/0001": ["turns.parquet is cut off"]}
    assert "damaged" not in run.candidates["status"]
    whole = open_run(folder).episodes.collect()["candidate_id"].unique()
    said = run.turns.collect()["dialogue_id"].str.split("|").list.first().unique()
    assert set(whole.drop_nulls()) >= {"0000", "0001", "0002"}
    assert "0000" in said and "0001" not in said


@pytest.mark.parametrize(
    ("name", "part"),
    [("episodes", slice(4, 2000)), ("personas", slice(4, 2000)), ("episodes", slice(-300, -8))],
)
def test_a_frame_that_is_damaged_inside_is_named_where_it_is_read(
    folder: Path, name: str, part: slice
) -> None:
    file = folder / "candidates" / "0000" / f"{name}.parquet"
    content = bytearray(file.read_bytes())
    content[part] = b"\xff" * len(content[part])
    file.write_bytes(content)
    run = open_run(folder)
    for read in (
        lambda: run.frame("candidates/0000", name),
        lambda: show.scores(run, what="axes"),
        lambda: show.persona_map(run),
    ):
        with pytest.raises(WorkbenchError, match=rf"0000/{name}\.parquet is corrupt .*restore it"):
            read()


def test_held_out_results_that_are_damaged_are_made_anew(folder: Path) -> None:
    assert main(["evaluate", str(folder)]) == 0
    sound, run = store.digest(folder), open_run(folder)
    cut(folder / "conditions" / "initial" / "episodes.parquet")
    cut(folder / "conditions" / "humans" / "condition.json")
    assert sorted(run.damage) == ["conditions/humans", "conditions/initial"]
    assert set(run.conditions) == {"base", "dp", "evolved"}
    assert main(["evaluate", str(folder)]) == 0
    assert run.damage == {}
    assert store.digest(folder) == sound


@pytest.mark.parametrize(
    ("file", "told"),
    [
        (
            "candidates/0001/candidate.json",
            r"candidate\.json is cut off or no JSON; restore it, or start a new",
        ),
        ("candidates/0001/turns.parquet", r"turns\.parquet is cut off; restore it, or start a new run"),
        ("conditions/base_train/episodes.parquet", "remove the folder conditions/base_train"),
        ("reference/humans.parquet", r"humans\.parquet is cut off; restore it, or start a new run"),
    ],
)
def test_a_search_does_not_go_on_over_damage(
    folder: Path, file: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cut(folder / file)
    with pytest.raises(WorkbenchError, match=told):
        Search(folder)
    assert not (folder / "lock").exists()
    assert main(["resume", str(folder), "--generations", "9"]) == 2
    assert file.rsplit("/", maxsplit=1)[-1] in capsys.readouterr().err


def test_a_run_goes_on_in_a_branch_from_a_sound_candidate(folder: Path, tmp_path: Path) -> None:
    cut(folder / "candidates" / "0001" / "candidate.json")
    with Search(tmp_path / "new", SMALL, branch=(open_run(folder), "0000")) as search:
        assert search.run.problem == ""


@pytest.mark.parametrize("command", ["report", "evaluate", "resume", "export"])
def test_a_command_on_a_run_of_another_format_is_one_sentence(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    store.write_json(
        folder / "run.json", store.read_json(folder / "run.json") | {"format": 2, "version": "3"}
    )
    more = {"export": ["--format", "jsonl", "-o", str(tmp_path / "x")], "report": ["-o", str(tmp_path / "x")]}
    assert main([command, str(folder), *more.get(command, [])]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "has format 2; this version reads format 1: open it with the version that wrote it (3)." in said[0]
    assert not (tmp_path / "x").exists()


def test_runs_are_listed_with_what_is_wrong_with_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in folder.glob("candidates/*/candidate.json"):
        cut(file)
    assert main(["runs", str(folder)]) == 0
    assert "3 candidates  none accepted, damaged" in capsys.readouterr().out


def test_a_run_that_is_only_begun_says_who_is_at_it(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text("")
    assert "was begun but has no run.json yet; start it again" in open_run(tmp_path).problem
    lock.write_text(f"process {os.getpid()} on {socket.gethostname()} since 2026-01-01 00:00:00\n")
    assert f"process {os.getpid()} on" in open_run(tmp_path).problem


def test_a_folder_without_a_run_is_none(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match=r"run\.json is missing; is .* a run directory"):
        Run(tmp_path)
