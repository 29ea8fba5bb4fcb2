"""What is on disk is all there is: atomic folders, one writer, an honest ledger, a digest of results only."""

import multiprocessing
from pathlib import Path

import polars as pl
import pytest

from workbench.errors import WorkbenchError
from workbench.evolve import store
from workbench.llm.client import Reply


def test_a_folder_appears_only_when_it_is_complete(tmp_path: Path):
    with pytest.raises(RuntimeError), store.new_folder(tmp_path / "a") as part:
        (part / "x").write_text("half")
        raise RuntimeError
    assert not (tmp_path / "a").exists()
    with store.new_folder(tmp_path / "a") as part:
        assert not (part / "x").exists()
        (part / "x").write_text("whole")
    with store.new_folder(tmp_path / "a") as part:
        (part / "x").write_text("again")
    assert [p.name for p in tmp_path.iterdir()] == ["a"] and (tmp_path / "a" / "x").read_text() == "again"


def _hold(path: Path, held, done) -> None:
    with store.writer(path):
        held.set()
        done.wait(10)


def test_a_second_writer_gets_one_clear_sentence_and_a_killed_one_leaves_no_lock(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, held, done))
    other.start()
    assert held.wait(20)
    with (
        pytest.raises(WorkbenchError, match=f"is being written by process {other.pid} on "),
        store.writer(tmp_path),
    ):
        pass
    other.kill()
    other.join()
    with store.writer(tmp_path):
        pass


def test_the_ledger_adds_up_and_forgives_a_line_cut_by_a_kill(tmp_path: Path):
    path = tmp_path / "ledger.jsonl"
    for _ in range(2):
        ledger = store.Ledger(path)
        ledger.add("user", "m", Reply("x", (), 10, 5, 0.01))
        ledger.add("agent", "m", Reply("x", (), 1, 1, 0.0))
        ledger.close()
    with path.open("a") as file:
        file.write('{"role": "us')
    found = store.read_ledger(path)
    assert found.filter(role="user").select("tokens_in", "cost").sum().row(0) == (20, 0.02)
    assert found["requests"].sum() == 4
    after = store.Ledger(path)  # what is written next begins a line of its own
    after.add("user", "m", Reply("x", (), 10, 5, 0.01))
    after.close()
    assert store.read_ledger(path)["requests"].sum() == 5


def _small_run(path: Path, *, seconds: float = 1.0, content: str = "hello", generations: int = 1) -> Path:
    (path / "candidates" / "0000").mkdir(parents=True)
    pl.DataFrame({"a": [content], "seconds": [seconds], "cost": [seconds]}).write_parquet(
        path / "candidates" / "0000" / "turns.parquet"
    )
    settings = {"seed": 1, "generations": generations}
    store.write_json(path / "run.json", {"format": 1, "created": str(seconds), "settings": settings})
    (path / "ledger.jsonl").write_text(str(seconds))
    (path / ".tmp-0001").mkdir()
    (path / ".tmp-0001" / "half").write_text("x")
    return path


def test_the_digest_sees_results_and_not_time_money_or_leftovers(tmp_path: Path):
    one = store.digest(_small_run(tmp_path / "1"))
    assert one == store.digest(_small_run(tmp_path / "2", seconds=9.0, generations=5))
    assert one != store.digest(_small_run(tmp_path / "3", content="hullo"))


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "is missing"), ("{", "is corrupt: it is not JSON"), ("[]", "holds no JSON object")],
)
def test_a_broken_file_of_a_run_is_named(tmp_path: Path, content: str | None, told: str):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(WorkbenchError, match=told):
        store.read_json(tmp_path / "run.json")
