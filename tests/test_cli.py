"""The command line: every mistake is one clear sentence and exit code 2, and never a traceback."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.cli import main


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    try:
        code = main(args)
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


GOOD_LINE = {
    "id": "a",
    "source": "s",
    "domain": "retail",
    "task_id": "0",
    "reward": 1.0,
    "user": ["hi", "thanks"],
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "binary.jsonl").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "malformed.jsonl").write_text(json.dumps(GOOD_LINE) + "\n{not json\n")
    (tmp_path / "agent_only.jsonl").write_text(json.dumps(GOOD_LINE | {"user": []}) + "\n")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(json.dumps(GOOD_LINE).encode() * 50)[:-12])
    (tmp_path / "good.jsonl").write_text(json.dumps(GOOD_LINE) + "\n")
    (tmp_path / "broken.py").write_text("DIVERSITY_AXES = []\ndef generate(c): pass\n")
    (tmp_path / "syntax.py").write_text("def (:\n")
    (tmp_path / "hostile.py").write_text(
        "import os\nDIVERSITY_AXES = []\ndef generate_personas_detailed(c, axes, n):\n    return os.listdir('/')\n"
    )
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "run.json").write_text("{")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "run.json").write_text('{"format": 7, "version": "9.0"}')
    return tmp_path


MISTAKES = [
    (("evolve", "--run", "r", "--domain", "retial"), "retial"),
    (("evolve", "--run", "r", "--model", "gpt-4.1-mini"), "OPENAI_API_KEY"),
    (("evolve", "--run", "r", "--model", "x", "--base-url", "http://127.0.0.1:9/v1"), "cannot be reached"),
    (("evolve", "--run", "r", "--model", "rehearsal-nobody"), "has no model 'rehearsal-nobody'"),
    (("evolve", "--run", "r", "--generations", "-3"), "generations is -3"),
    (("evolve", "--run", "r", "--generations", "many"), "invalid int value: 'many'"),
    (("evolve", "--run", "r", "--train-tasks", "9999"), "retail has 74"),
    (("evolve", "--run", "r", "--max-cost", "nan"), "max-cost is nan"),
    (("evolve", "--run", "r", "--seed", "-1"), "seed is -1"),
    (("evolve", "--run", "r", "--concurrency", "0"), "concurrency is 0"),
    (("evolve", "--run", "good.jsonl"), "good.jsonl exists and is not a run directory"),
    (("evolve", "--run", "r", "--roles", "none.toml"), "none.toml cannot be read"),
    (("evolve", "--run", "r", "--seeds", "0"), "--seeds is 0"),
    (("evolve",), "--run"),
    (("branch", "nowhere", "-o", "new"), "no run directory nowhere"),
    (("resume", "nowhere"), "no run directory nowhere"),
    (("resume", "folder"), "is corrupt"),
    (("evaluate", "nowhere"), "no run directory nowhere"),
    (("evaluate", "other"), "has format 7"),
    (("report", "other"), "has format 7"),
    (("runs", "--digest", "nowhere"), "no run directory nowhere"),
    (("enter", "nowhere", "none.py"), "There is no file none.py"),
    (("resume", "nowhere", "--dask", "tcp://127.0.0.1:9"), "no run directory nowhere"),
    (("personas", "--domain", "retail", "--task", "9999"), "9999"),
    (("personas", "--domain", "moon", "--task", "1"), "moon"),
    (("personas", "--task", "1", "-n", "0"), "-n is 0"),
    (("personas", "none.py", "--task", "1"), "no file none.py"),
    (("personas", "binary.jsonl", "--task", "1"), "cannot be read as text"),
    (("personas", "broken.py", "--task", "1"), "generate_personas_detailed"),
    (("personas", "syntax.py", "--task", "1"), "rejected (syntax)"),
    (("personas", "hostile.py", "--task", "1"), "rejected ("),
    (("fingerprint", "none.jsonl"), "none.jsonl"),
    (("fingerprint", "empty.jsonl"), "empty.jsonl"),
    (("fingerprint", "binary.jsonl"), "binary.jsonl"),
    (("fingerprint", "malformed.jsonl"), "line 2"),
    (("fingerprint", "agent_only.jsonl"), "no user turn"),
    (("fingerprint", "cut.jsonl.gz"), "cut.jsonl.gz"),
    (("fingerprint", "good.jsonl", "-o", "out.xlsx"), "must end in .parquet or .csv"),
    (("fingerprint", "good.jsonl", "-o", "no/such/out.csv"), "cannot be written"),
    (("rehearsal", "--port", "99999"), "--port is 99999"),
    (("rehearsal", "--error-rate", "2"), "--error-rate is 2.0"),
    (("nonsense",), "nonsense"),
]


@pytest.mark.parametrize(("args", "told"), MISTAKES, ids=[" ".join(a) for a, _ in MISTAKES])
def test_a_mistake_is_one_clear_sentence_and_exit_code_2(
    here: Path, capsys, args: tuple[str, ...], told: str
):
    code, _, err = run(capsys, *args)
    assert code == 2, err
    assert told in err and "Traceback" not in err
    assert len(err.strip().splitlines()) == 1, err


def test_a_port_in_use_is_told(here: Path, capsys):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, _, err = run(capsys, "rehearsal", "--port", str(taken.getsockname()[1]))
    assert code == 2 and "cannot be used" in err


def test_a_refused_run_leaves_nothing_behind(here: Path, capsys):
    assert run(capsys, "evolve", "--run", "r", "--train-tasks", "9999")[0] == 2
    assert not (here / "r").exists()
    assert run(capsys, "evolve", "--run", "r", "--model", "gpt-4.1-mini")[0] == 2
    assert not (here / "r").exists()


def test_personas_prints_n_records_of_the_contract(here: Path, capsys):
    code, out, _ = run(capsys, "personas", "--domain", "airline", "--task", "1", "-n", "3", "--json")
    records = json.loads(out)
    assert code == 0 and len(records) == 3
    for record in records:
        assert set(record) == {
            "persona_id",
            "description",
            "axis_placement",
            "reasoning",
            "expanded_instruction",
        }
        assert set(record["axis_placement"]) == {"terse", "skeptical", "frustrated", "ambiguous"}


def test_fingerprints_go_to_parquet_and_csv_alike(here: Path, capsys):
    import polars as pl

    for name in ("out.parquet", "out.csv"):
        assert run(capsys, "fingerprint", "good.jsonl", "-o", name)[0] == 0
    parquet, csv = pl.read_parquet("out.parquet"), pl.read_csv("out.csv")
    assert parquet["dialogue_id"].to_list() == ["a"] and parquet["words_per_turn"].item() == 1.0
    assert csv["words_per_turn"].item() == 1.0


def test_fingerprints_that_cannot_be_written_leave_the_old_file(here: Path, capsys, monkeypatch):
    import polars as pl

    def cut(_: pl.DataFrame, path: Path) -> None:
        path.write_text("dialogue_id,words")
        raise OSError(28, "No space left on device")

    (here / "out.csv").write_text("old")
    monkeypatch.setattr(pl.DataFrame, "write_csv", cut)
    code, _, err = run(capsys, "fingerprint", "good.jsonl", "-o", "out.csv")
    assert code == 2 and "out.csv cannot be written: No space left on device" in err
    assert (here / "out.csv").read_text() == "old" and not list(here.glob(".tmp-*"))


def test_a_dry_run_estimates_and_asks_nothing(here: Path, capsys):
    code, out, _ = run(capsys, "evolve", "--run", "r", "--model", "gpt-4.1-mini", "--seeds", "2", "--dry-run")
    assert code == 0 and "Estimate for 2 searches" in out and "in all: $" in out
    assert not (here / "r").exists()


def test_a_dry_run_of_a_plan_names_the_models_that_were_not_asked(here: Path, capsys):
    (here / "plan.toml").write_text(
        '[domains.retail]\n[simulators.one]\nmodel = "no-such"\nbase_url = "http://127.0.0.1:9/v1"\n[searches.main]\n'
    )
    code, out, err = run(capsys, "paper", "plan.toml", "--dry-run")
    assert code == 0, err
    told = out[out.index("Not asked") :]
    assert "no-such at http://127.0.0.1:9/v1 (OPENAI_API_KEY is not set)" in told and "rehearsal" not in told


def test_seeds_make_independent_runs_in_one_folder_and_branch_goes_on_from_one(here: Path, capsys):
    small = ("--train-tasks", "2", "--validation-tasks", "1", "--test-tasks", "1", "--window", "2")
    code, out, err = run(
        capsys, "evolve", "--run", "g", "--seeds", "2", "--generations", "0", "--seed", "3", *small
    )
    assert code == 0, err
    assert (here / "g" / "seed-3" / "run.json").exists() and (here / "g" / "seed-4" / "run.json").exists()
    code, out, err = run(capsys, "branch", "g/seed-3", "--at", "0000", "-o", "b", "--generations", "0")
    assert code == 0 and "Best by validation: 0000" in out, err
    code, out, _ = run(capsys, "runs", ".")
    assert code == 0 and sum("1 candidates" in line for line in out.splitlines()) == 3
    code, _, err = run(capsys, "branch", "g/seed-3", "--at", "0042", "-o", "c")
    assert code == 2 and "has no candidate '0042'" in err


def test_doctor_says_what_is_there(here: Path, capsys):
    code, out, _ = run(capsys, "doctor")
    assert code == 0
    for told in ("sandbox", "rehearsal-user", "retail: 74 train and 40 test", "OPENAI_API_KEY is not set"):
        assert told in out


@pytest.mark.parametrize(
    "command",
    ["", "evolve", "resume", "evaluate", "report", "runs", "personas", "fingerprint", "rehearsal", "doctor"],
)
def test_help_is_there_for_every_command(capsys, command: str):
    code, out, _ = run(capsys, *([command] if command else []), "--help")
    assert code == 0 and len(out) > 150


def test_importing_workbench_loads_nothing_heavy():
    script = "import sys, workbench; print([m for m in ('polars', 'sklearn', 'openai', 'altair') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
