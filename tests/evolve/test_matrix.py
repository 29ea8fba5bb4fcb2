"""A plan is checked before it is run; its cells run as ordinary runs, survive kills, fail alone, and give the same frames."""

from __future__ import annotations

import filecmp
import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from workbench.commands.paper import _layout
from workbench.errors import WorkbenchError
from workbench.evolve import conditions, frames
from workbench.evolve.matrix import FRAMES, Matrix, complete, differences, is_complete, open_matrix, planned
from workbench.evolve.plan import Plan, read_plan
from workbench.evolve.run import open_run
from workbench.evolve.store import digest
from workbench.measure.reference import DATA
from workbench.show.panels import run_panel

PLAN = """
title = "Tiny"
[settings]
generations = 1
train_tasks = 2
validation_tasks = 1
test_tasks = 2
window = 1
stages = [2]
test_personas = 2
islands = 2
[domains.retail]
[domains.airline]
[simulators.rehearsal]
model = "rehearsal-user"
[searches.main]
seeds = [1]
conditions = ["humans", "base", "initial", "evolved"]
[searches.no_reflection]
domains = ["airline"]
reflection = false
[transfer]
domains = true
"""


def _plan(folder: Path, text: str = PLAN) -> Plan:
    path = folder / "plan.toml"
    path.write_text(text)
    return read_plan(path)


def _write(plan: Plan, root: Path, reasons: list[str | None]) -> Matrix:
    return frames.write(plan, root, reasons, root.parent / "frames", panel=run_panel, layout=_layout)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("matrix")
    plan = _plan(folder)
    reasons = complete(plan, folder / "runs")
    assert reasons == [None] * 5
    _write(plan, folder / "runs", reasons)
    return folder


def test_every_cell_is_done_and_every_frame_is_filled(out: Path):
    matrix = open_matrix(out)
    assert matrix.info["plan"] == PLAN and matrix.info["rehearsed"] and matrix.info["complete"]
    assert set(matrix.cells["status"]) == {"done"} and len(matrix.cells) == 2 * 4 + 1 + 2
    searches = matrix.cells["search"].unique().sort().to_list()
    assert searches == ["main", "no_reflection", "transfer:airline", "transfer:retail"]
    for name in FRAMES:
        assert len(getattr(matrix, name)), name
    floats = matrix.conditions.select(pl.selectors.float())
    assert floats.equals(floats.with_columns(pl.all().round(6)))


def test_frames_say_what_the_runs_say(out: Path):
    matrix, run = open_matrix(out), open_run(out / "runs/airline/rehearsal/main/seed-1")
    here = matrix.conditions.filter(domain="airline", search="main")
    table = conditions.table(run)
    assert here["score"].to_list() == [round(x, 6) for x in table["score"]]
    assert set(here["run_id"]) == {run.run_id} == {matrix.info["run_ids"]["airline/rehearsal/main/seed-1"]}
    tasks = matrix.by_task.filter(domain="airline", search="main", condition="evolved")
    assert tasks["score"].mean() == pytest.approx(
        here.filter(condition="evolved")["score_equal_n"].item(), abs=1e-5
    )
    episodes = matrix.episodes.filter(domain="airline", search="main")
    assert len(episodes) == table["n_episodes"].filter(table["condition"] != "humans").sum()
    path = matrix.programs.filter(domain="airline", search="main")["candidate_id"].to_list()
    assert (path[0], path[-1]) == ("0000", run.best)
    people = matrix.fingerprints.filter(domain="airline", search="main", condition="humans")
    assert people["dialogue_id"].sort().to_list() == run.humans["dialogue_id"].sort().to_list()


def test_searches_of_a_seed_are_judged_by_the_same_forest(out: Path):
    runs = [open_run(out / f"runs/airline/rehearsal/{name}/seed-1") for name in ("main", "no_reflection")]
    base = [run.frame("conditions/base_train", "fingerprints") for run in runs]
    assert base[0].equals(base[1]) and runs[0].reflection("0000") and not runs[1].reflection("0000")


def test_a_transfer_scores_the_program_that_was_evolved_elsewhere(out: Path):
    origin = open_run(out / "runs/retail/rehearsal/main/seed-1")
    there = open_run(out / "runs/airline/rehearsal/transfer-retail/seed-1")
    assert there.info["branched_from"] == {"run_id": origin.run_id, "candidate_id": origin.best}
    assert (there.path / "program.py").read_text() == origin.program(origin.best)
    assert there.settings.domain == "airline" and list(there.conditions) == ["evolved"]
    assert there.tasks == open_run(out / "runs/airline/rehearsal/main/seed-1").tasks


def test_a_transfer_of_a_program_that_was_surpassed_is_scored_anew(out: Path, tmp_path: Path):
    shutil.copytree(out / "runs", tmp_path / "runs")
    plan = _plan(tmp_path)
    cell = next(c for c in plan.cells if c.search == "transfer:retail")
    path = tmp_path / "runs" / cell.folder
    info = json.loads((path / "run.json").read_text())
    info["branched_from"]["candidate_id"] = "0099"
    (path / "run.json").write_text(json.dumps(info))
    assert not is_complete(tmp_path / "runs", cell)
    assert complete(plan, tmp_path / "runs") == [None] * 5
    assert is_complete(tmp_path / "runs", cell)
    assert digest(path) == digest(out / "runs" / cell.folder)


def test_a_killed_command_is_completed_by_the_same_one_with_the_same_frames(out: Path, tmp_path: Path):
    plan = _plan(tmp_path)
    call = "import sys; from workbench.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [
        sys.executable,
        "-c",
        call,
        "paper",
        str(tmp_path / "plan.toml"),
        "-o",
        str(tmp_path),
        "--jobs",
        "2",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("runs/*/*/main/seed-1/candidates/0000")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.5)  # the workers see that they are alone
    assert not all(is_complete(tmp_path / "runs", cell) for cell in plan.cells)
    reasons = complete(plan, tmp_path / "runs")
    assert reasons == [None] * 5
    for cell in plan.cells:
        assert digest(tmp_path / "runs" / cell.folder) == digest(out / "runs" / cell.folder)
    again = _write(plan, tmp_path / "runs", reasons)
    same, differ, _ = filecmp.cmpfiles(
        out / "frames", again.path, [f"{n}.parquet" for n in FRAMES], shallow=False
    )
    assert len(same) == len(FRAMES) and not differ
    assert differences(again, open_matrix(out)) == []


def test_a_cell_that_fails_says_why_and_the_others_go_on(out: Path, tmp_path: Path):
    more = '[simulators.dead]\nmodel = "some-model"\nbase_url = "http://127.0.0.1:9/v1"\n'
    plan = _plan(tmp_path, PLAN.replace("[searches.main]", f"{more}[searches.main]"))
    reasons = complete(plan, out / "runs")
    failed = [c for c, reason in zip(plan.cells, reasons, strict=True) if reason]
    assert len(failed) == 5 and {c.simulator for c in failed} == {"dead"}
    cells = frames._cells(plan, reasons, open_matrix(out).conditions)
    counts = dict(cells["status"].value_counts().iter_rows())
    assert counts == {"done": 11, "failed": 11}
    told = dict(cells.filter(status="failed").select("search", "reason").iter_rows())
    assert "127.0.0.1:9" in told["main"]
    assert "is not complete" in told["transfer:retail"] and "dead, main, seed 1" in told["transfer:retail"]


def test_what_is_asked_for_is_counted_before_anything_runs():
    table = planned(read_plan(DATA / "plans" / "paper.toml"))
    assert set(table["simulator"]) == {"DeepSeek-V3.1", "Qwen3-Next-80B-A3B-Instruct", "GPT-5.4-Mini"}
    assert len(table) == 6 and table["cost"].is_null().all() and table["episodes"].min() > 5000


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("generations = 1", "generation = 1", r"\[settings\] names 'generation'.*did you mean 'generations'\?"),
        ("generations = 1", 'generations = "1"', r"\[settings\] sets generations to '1'; it must be a whole"),
        ("generations = 1", "generations = -1", r"\[settings\].*generations is -1; it must be"),
        ("generations = 1", "generations = 0", r"\[settings\] sets generations to 0: a search .* has one or more"),
        ("train_tasks = 2", "train_tasks = 200", r"201 train tasks .* are asked for, but retail has 74"),
        ("stages = [2]", "stages = 2", r"\[settings\] sets stages to 2; it must be a list of whole numbers"),
        ("[domains.airline]", "[domains.telecom]", r"\[domains\] names 'telecom', which is unknown; known are"),
        ('"rehearsal-user"', '"rehearsal-usr"', r"\[simulators.rehearsal\] names 'rehearsal-usr' in model.*'rehearsal-user'"),
        ('"rehearsal-user"', '"x"\nbase_url = "nowhere"', r"\[simulators.rehearsal\]: sets base_url to 'nowhere'; it must"),
        ('"rehearsal-user"', '"x"\nurl = "y"', r"\[simulators.rehearsal\].*url"),
        ('"initial"', '"initail"', r"\[searches.main\] names 'initail' in conditions.*'initial'"),
        ('"base", ', "", r"\[searches.main\] must evaluate base and evolved"),
        ('["humans", "base", "initial", "evolved"]', '"base"', r"\[searches.main\] sets conditions to 'base'; it must be a list of names, such as \[\"base\"\]"),
        ("seeds = [1]", "seeds = [1, 1]", r"\[searches.main\] names something twice in seeds"),
        ("[searches.main]", "[searches.other]", r"\[searches\] has no search 'main'"),
        ('domains = ["airline"]', 'simulators = ["b"]', r"\[searches.no_reflection\] names 'b' in simulators"),
        ("domains = true", "domains = true\nseeds = [2]", r"\[transfer\] names seed 2, which \[searches.main\]"),
        ("domains = true", 'domains = "all"', r"\[transfer\] sets domains to 'all'; it must be true or false"),
        ("[transfer]", "[transfers]", r"the top names 'transfers'.*'transfer'"),
        ('title = "Tiny"', "title = ", r"cannot be read"),
        ('title = "Tiny"', "title = 3", r"the top sets title to 3; it must be a text"),
    ],
)  # fmt: skip
def test_a_plan_that_makes_no_sense_is_told_in_one_sentence_with_its_place(tmp_path: Path, old, new, told):
    assert old in PLAN
    with pytest.raises(WorkbenchError, match=told) as caught:
        _plan(tmp_path, PLAN.replace(old, new))
    assert "plan.toml" in str(caught.value) and "\n" not in str(caught.value).strip()


def test_a_folder_that_holds_no_matrix_is_told(out: Path, tmp_path: Path):
    with pytest.raises(WorkbenchError, match="no matrix"):
        open_matrix(tmp_path)
    with pytest.raises(WorkbenchError, match="no plan"):
        read_plan(tmp_path / "none.toml")
    info = json.loads((out / "frames" / "matrix.json").read_text())
    (tmp_path / "matrix.json").write_text(json.dumps(info | {"format": 9}))
    with pytest.raises(WorkbenchError, match="format 9"):
        open_matrix(tmp_path)
    (tmp_path / "matrix.json").write_text(json.dumps(info))
    with pytest.raises(WorkbenchError, match=r"lacks cells\.parquet"):
        open_matrix(tmp_path)


def test_a_difference_between_matrices_names_frame_column_and_values(out: Path):
    one, other = open_matrix(out), open_matrix(out)
    other.__dict__["conditions"] = one.conditions.with_columns(score=pl.col("score") + 0.01)
    found = differences(one, other)
    assert found and all(line.startswith("conditions, score") for line in found)


def test_the_plans_that_ship_can_be_read():
    found = [read_plan(path) for path in sorted((DATA / "plans").glob("*.toml"))]
    assert len(found) == 2
    rehearsal = found[1]
    main = [c for c in rehearsal.cells if c.search == "main" and c.simulator == "rehearsal"]
    assert len(main) == 2 * 5
    assert replace(main[0].settings, seed=2) == main[1].settings
