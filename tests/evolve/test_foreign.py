from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest
from foreign_runs import TASKS, code, openevolve_run, ppol_run

from workbench.cli import main
from workbench.errors import WorkbenchError
from workbench.evolve.run import CANDIDATES, Run, open_run
from workbench.show import diffs, scores, stepper
from workbench.show.stepping import TABS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ppol_run(tmp_path_factory.mktemp("ppol") / "run")


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return open_run(folder)


def _row(run: Run, number: int) -> dict:
    return run.candidates.row(number, named=True)


def test_programs_of_all_checkpoints_stand_in_order_with_their_parents(run: Run) -> None:
    found = run.candidates
    assert found.schema == pl.Schema(CANDIDATES)
    assert found["candidate_id"].to_list() == ["0000", "0001", "0002", "0003", "0004", "0005"]
    assert found["generation"].to_list() == [0, 1, 2, 3, 4, 5]
    assert found["parent"].to_list() == [None, "0000", "0001", "0000", "0002", "0001"]
    assert found["author"].to_list() == ["seed"] + ["mutation"] * 5
    assert [run.program(i) for i in ("0000", "0002", "0005")] == [code(0), code(2), code(5)]
    assert any("1 copies for other islands" in text for text in run.missing)


def test_scores_are_the_ones_that_it_gave(run: Run) -> None:
    row = _row(run, 1)
    assert (row["human_likeness"], row["coverage"]) == (0.4, 0.2)
    assert row["rank"] == row["fitness"] == pytest.approx(0.35)
    assert (row["lambda_h"], row["lambda_b"], row["n_personas"], row["n_episodes"], row["n_tasks"]) == (
        0.75,
        0.25,
        2,
        4,
        2,
    )
    assert row["cell"] == [4, 2] and row["island"] == 1
    assert [row[name] for name in ("success", "cost", "seconds", "tokens_in", "n_faults")] == [None] * 5
    assert run.candidates["new_best"].to_list() == [True, True, False, False, False, True]
    assert _row(run, 3)["n_failed"] == 1


def test_the_best_is_the_one_that_it_names(run: Run) -> None:
    assert run.best == "0005"
    assert _row(run, 5)["validation_score"] == 0.55
    assert _row(run, 1)["validation_score"] is None


def test_a_program_that_failed_is_rejected_and_its_zeros_are_no_scores(run: Run) -> None:
    row = _row(run, 4)
    assert row["status"] == "rejected" and "keeps no reason" in row["reason"]
    assert row["rank"] is row["human_likeness"] is row["cell"] is None and not row["new_best"]


def test_logs_of_equal_scores_go_to_their_programs(run: Run) -> None:
    personas = run.personas.collect()
    said = dict(personas.group_by("candidate_id").agg(pl.col("description").unique().sort()).iter_rows())
    assert said == {f"000{i}": [f"number {n}"] for i, n in ((0, 1), (1, 2), (2, 3), (3, 4), (5, 5))}
    assert run.reflection("0000") == "of the seed"
    assert run.reflection("0003") == "said of evaluation 4"


def test_tasks_follow_the_window_which_is_filled_up_from_the_start(run: Run) -> None:
    assert _row(run, 0)["tasks"] == ["t0", "t1"]
    assert _row(run, 1)["tasks"] == ["t2", "t0"]
    assert run.tasks == {"train": TASKS, "validation": ["t9"], "test": []}


def test_personas_keep_their_likeness_unless_an_episode_was_lost(run: Run) -> None:
    episodes = run.episodes.filter(pl.col("condition") == "search").collect()
    whole = episodes.filter(candidate_id="0001")
    assert whole["likeness"].to_list() == pytest.approx([0.2, 0.21, 0.2, 0.21])
    torn = episodes.filter(candidate_id="0003", task_id="t2")
    assert torn["likeness"].to_list() == [None]
    placed = run.personas.filter(pl.col("candidate_id") == "0001", pl.col("persona_id") == "p1").collect()
    assert placed["axis_placement"][0].to_list() == [{"axis": "hasty", "on": True}]


def test_people_and_base_simulator_are_found_beside_the_run(run: Run) -> None:
    assert run.humans["words_per_turn"].to_list() == pytest.approx([0.0, 0.1, 0.2])
    base = run.frame("conditions/base_train", "episodes")
    assert base["dialogue_id"].to_list() == ["base|train|t0|trial00", "base|train|t0|trial01"]
    assert len(run.turns.collect()) == 4 and len(run.fingerprints.collect()) == 2
    assert run.settings.domain == "custom" and run.settings.stages == (2, 3)


def test_parallel_evaluations_count_alike_and_are_told_apart_by_time(tmp_path: Path) -> None:
    folder = ppol_run(tmp_path / "run")
    for name in ("b", "c"):
        for file in folder.glob(f"openevolve/checkpoints/*/programs/{name}.json"):
            record = json.loads(file.read_text())
            record["metrics"] |= {"epoch": 1.0, "batch_in_epoch": 1.0}
            file.write_text(json.dumps(record))
    personas = open_run(folder).personas.collect()
    assert personas.filter(candidate_id="0002")["description"].unique().to_list() == ["number 3"]
    assert personas.filter(candidate_id="0003")["description"].unique().to_list() == ["number 4"]


def test_a_checkpoint_is_opened_with_the_earlier_ones(folder: Path) -> None:
    checkpoints = folder / "openevolve" / "checkpoints"
    assert len(open_run(checkpoints / "checkpoint_3").candidates) == 4
    assert len(open_run(checkpoints / "checkpoint_5").candidates) == 6
    assert len(open_run(folder / "openevolve").candidates) == 6


def test_an_openevolve_run_of_any_problem_opens(tmp_path: Path) -> None:
    run = open_run(openevolve_run(tmp_path / "out"))
    assert run.candidates["rank"].to_list() == [0.5, 2.0, None, 0.1]
    assert run.candidates["human_likeness"].null_count() == 4
    assert _row(run, 2)["reason"] == "ZeroDivisionError"
    assert run.best == "0001"
    attempt = run.attempts.collect().row(0, named=True)
    assert (attempt["candidate_id"], attempt["parent"], attempt["edits"]) == ("0001", "0000", 1)
    assert attempt["prompt"] == "sys\n\nusr"
    assert any("parents of 1 program" in text for text in run.missing)
    assert len(run.humans) == 0
    shown = stepper(run)
    for at in (1, 2):  # one with scores of its own kind, one that failed
        shown.at = at
        for tab in TABS:
            shown.tab = tab
            shown._draw()
    shown.go("0001")
    assert "episodes not counted" in shown.card
    scores(run)
    changed = diffs(run)
    changed._receive(changed, {"go": "page:line", "fields": {}})
    assert changed.note == ""
    assert "1 changes lead from the seed program to 0001: fitness +1.50." in changed.body


def test_damaged_files_are_counted(tmp_path: Path) -> None:
    folder = ppol_run(tmp_path / "run")
    programs = folder / "openevolve" / "checkpoints" / "checkpoint_5" / "programs"
    (programs / "d.json").write_text('{"id": "d", "code": "x')
    (programs / "c.json").write_text("[]")  # an older version is read
    (folder / "training" / "simulations" / "iter_0001" / "log.json").write_text("{")
    (folder.parent / "human.individual.json").unlink()
    run = open_run(folder)
    assert len(run.candidates) == 5
    told = "; ".join(run.missing)
    assert "1 program file(s) that could not be read" in told
    assert "personas of 1 program(s)" in told
    assert "the people it was measured against" in told
    assert run.humans.is_empty()


def test_a_run_without_a_readable_program_says_so(tmp_path: Path) -> None:
    folder = openevolve_run(tmp_path / "out")
    for file in folder.glob("checkpoints/*/programs/*"):
        file.write_text("no JSON")
    with pytest.raises(WorkbenchError, match="no program in them can be read"):
        open_run(folder)
    shutil.rmtree(folder / "checkpoints")
    (folder / "ppol_run_config.json").write_text("{}")
    with pytest.raises(WorkbenchError, match="without a checkpoint"):
        open_run(folder)
    (folder / "ppol_run_config.json").unlink()
    with pytest.raises(WorkbenchError, match="is missing"):
        open_run(folder)


def test_odd_values_are_unknown_not_errors(tmp_path: Path) -> None:
    folder = openevolve_run(tmp_path / "out")
    file = folder / "checkpoints" / "checkpoint_3" / "programs" / "k.json"
    record = json.loads(file.read_text())
    record |= {
        "metrics": [1],
        "metadata": "x",
        "timestamp": 10**400,
        "iteration_found": "3",
        "prompts": [],
        "code": "\ud800",
    }
    file.write_text(json.dumps(record))
    run = open_run(folder)
    assert len(run.candidates) == 4
    assert run.candidates.filter(status="rejected").height == 2


def test_nothing_is_written_to_the_other_programs_folder(folder: Path) -> None:
    def state() -> str:
        files = sorted(p for p in folder.parent.rglob("*") if p.is_file())
        return hashlib.sha256(b"".join(str(p).encode() + p.read_bytes() for p in files)).hexdigest()

    before = state()
    run = open_run(folder)
    stepper(run)
    assert state() == before


def test_what_would_write_refuses(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (
        ["resume", str(folder)],
        ["evaluate", str(folder)],
        ["branch", str(folder), "-o", str(tmp_path / "b")],
    ):
        assert main(command) == 2
        assert (
            f"{folder} is a run of ppol: it can be looked at and exported, not written."
            in capsys.readouterr().err
        )


def test_every_view_shows_what_there_is_and_says_what_is_missing(run: Run) -> None:
    shown = stepper(run)
    assert "It lacks: " in shown.top and "mutation prompts and answers" in shown.top
    bodies = {}
    for at in (4, 5):
        shown.at = at
        for tab in TABS:
            shown.tab = tab
            shown._draw()
            bodies[at, tab] = re.sub("<[^>]+>", "", shown.body)
    assert "variant 5" in bodies[5, "diff"] and "variant 1" in bodies[5, "diff"]
    assert "Policy 0 of evaluation 5." in bodies[5, "personas"]
    assert "said of evaluation 5" in bodies[5, "reflection"]
    assert "the run keeps no prompts and answers" in bodies[5, "mutation"]
    assert bodies[5, "lineage"].count("seed program") == 1
    assert bodies[5, "lineage"].count("no words are kept") == 2
    assert "No conversations of this candidate: the run keeps none." in bodies[5, "episodes"]
    assert "keeps no reason" in bodies[4, "scores"]
    scores(run)


def test_people_and_base_simulator_are_on_the_map(run: Run) -> None:
    from workbench.show import persona_map

    layers = persona_map(run).points["layer"].value_counts().sort("layer").rows()
    assert layers == [("base", 2), ("humans", 3)]


def test_its_final_program_writes_personas(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for task in ("12", "t1"):  # the benchmark's, and one of its own
        assert main(["personas", str(folder), "--task", task, "-n", "3", "--json"]) == 0
        records = json.loads(capsys.readouterr().out)
        assert len(records) == 3
        assert all(set(r["axis_placement"]) == {"hasty"} and r["expanded_instruction"] for r in records)


def test_report_of_another_programs_run_from_the_command_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(folder), "-o", str(tmp_path)]) == 0
    assert "A run of ppol. It lacks:" in capsys.readouterr().out
    files = {f.name for f in tmp_path.iterdir()}
    assert {
        "candidates.csv",
        "generations.svg",
        "archive.svg",
        "index.html",
    } <= files and "conditions.csv" not in files
    page = (tmp_path / "index.html").read_text()
    assert "A run of ppol. It lacks:" in page and "reading ppol" in page


@pytest.mark.parametrize("field", ["train_task_ids", "val_task_ids", "n_personas_schedule"])
def test_a_field_of_another_kind_is_as_if_it_were_not_there(field: str, tmp_path: Path) -> None:
    folder = ppol_run(tmp_path / "run")
    config = folder / "ppol_run_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {field: 5}))
    for log in folder.glob("training/simulations/iter_*/log.json"):
        told = json.loads(log.read_text())
        log.write_text(json.dumps(told | {"tasks": [t | {"personas": 5} for t in told.get("tasks", [])]}))
    assert len(open_run(folder).candidates)
