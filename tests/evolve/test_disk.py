"""A full disk or a read-only folder: one sentence, what was there stays readable, and the run goes on afterwards."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from workbench.evolve import store
from workbench.evolve.run import open_run
from workbench.evolve.search import Search
from workbench.evolve.settings import Settings

SMALL = Settings(
    domain="airline",
    seed=5,
    generations=1,
    train_tasks=2,
    validation_tasks=1,
    test_tasks=1,
    window=2,
    stages=(2,),
    islands=1,
)

# A limit on the size of files, for this process: the system refuses to write more, as on a full disk.
CHILD = """
import json, resource, sys
from workbench.errors import WorkbenchError
from workbench.evolve.run import open_run
from workbench.evolve.search import Search
from workbench.evolve.settings import Settings

def full(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

path, settings = sys.argv[1], Settings.from_json(json.loads(sys.argv[2]))
full(0)
try:
    Search(path, settings)
except WorkbenchError as error:
    print("start:", error)
full(resource.RLIM_INFINITY)
with Search(path, settings) as search:
    search.step()
    full(4096)
    try:
        search.step()
    except WorkbenchError as error:
        print("step:", error)
    run = open_run(path)
    print("readable:", run.candidate_ids, run.turns.collect().height > 50, run.best)
    print("left behind:", [p.name for p in (run.path / "candidates").iterdir() if p.name.startswith(".")])
    full(resource.RLIM_INFINITY)
    search.finish()
"""


def test_a_full_disk_is_told_in_a_sentence_and_the_run_goes_on_when_there_is_room(tmp_path: Path):
    command = [sys.executable, "-c", CHILD, str(tmp_path / "run"), json.dumps(SMALL.as_json())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    start, step, readable, left = done.stdout.splitlines()
    assert "cannot be written (File too large)" in start and "free some space" in start
    assert re.search(
        r"run/(candidates/0001|ledger.jsonl) cannot be written", step
    )  # the ledger where it is slow
    assert "What was finished before is kept" in step
    assert readable == "readable: ['0000'] True 0000" and left == "left behind: []"
    with Search(tmp_path / "untroubled", SMALL) as search:
        search.finish()
    assert store.digest(tmp_path / "run") == store.digest(tmp_path / "untroubled")


def test_replies_that_cannot_be_kept_stop_the_run_with_a_sentence(tmp_path: Path):
    child = """
import resource, sys
from pathlib import Path
from workbench.errors import WorkbenchError
from workbench.llm.reply import Replies
replies = Replies(Path(sys.argv[1]))
replies.put("a", {"x": 1})
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, resource.RLIM_INFINITY))
try:
    for i in range(100):
        replies.put(str(i), {"x": "y" * 10_000})
except WorkbenchError as error:
    print(error)
print(replies.get("a"), replies.get("0") == {"x": "y" * 10_000})
"""
    done = subprocess.run(
        [sys.executable, "-c", child, str(tmp_path / "r.sqlite")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told, kept = done.stdout.splitlines()
    assert "r.sqlite cannot be written" in told and kept == "{'x': 1} True"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:  # other users may enter it, unlike pytest's own
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_folder_that_cannot_be_written_is_refused_with_a_sentence_and_can_be_read(
    open_folder: Path, capsys
):
    with Search(open_folder / "run", replace(SMALL, generations=0)) as search:
        search.finish()
    (open_folder / "run").chmod(0o555)
    for name in ("lock", "ledger.jsonl", "run.json"):
        (open_folder / "run" / name).chmod(0o444)
    child = """
import os, sys
from workbench.cli import main
import workbench.evolve.search
if os.geteuid() == 0:  # permissions do not bind root, so another user tries
    os.setegid(65534)
    os.seteuid(65534)
from workbench.errors import WorkbenchError
try:
    workbench.evolve.search.Search(sys.argv[1])
except WorkbenchError as error:
    print(error)
"""
    command = [sys.executable, "-c", child, str(open_folder / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "lock cannot be written (Permission denied). What was finished before is kept" in done.stdout
    assert open_run(open_folder / "run").candidate_ids == ["0000"]


def test_a_start_cut_short_can_be_started_again(tmp_path: Path):
    with Search(tmp_path / "run", SMALL):
        pass
    (tmp_path / "run" / "run.json").unlink()
    (tmp_path / "run" / "ledger.jsonl").unlink()
    with Search(tmp_path / "run", SMALL) as search:
        assert not search.done
