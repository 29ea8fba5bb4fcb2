from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.evolve.run import Run
from workbench.export import FORMATS, export
from workbench.export.files import put

CHAT = json.dumps({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes?"}]})


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    file = tmp_path / "mine.jsonl"
    file.write_text(CHAT + "\n")
    return file


def test_several_files_are_written_together_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with pytest.raises(WorkbenchError, match="is a folder; name a file"):
        put({tmp_path / "a": "1", tmp_path / "b": "2"})
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize("out", ["", ".", "/"])
def test_an_output_that_is_no_name_of_a_file(out: str, traces: Path) -> None:
    with pytest.raises(WorkbenchError):
        export(traces, "chat", out)


def test_a_pipe_or_device_is_never_replaced_by_a_file(traces: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WorkbenchError, match="is a pipe or device"):
        export(traces, "chat", tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()


def test_a_link_stays_a_link(traces: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    export(traces, "chat", tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").is_file()


def test_what_is_exported_is_never_overwritten(run: Run, traces: Path) -> None:
    before = (run.path / "run.json").read_bytes(), traces.read_bytes()
    for source, out in ((run, run.path / "run.json"), (traces, traces)):
        with pytest.raises(WorkbenchError, match="would write into"):
            export(source, "chat", out)
    assert before == ((run.path / "run.json").read_bytes(), traces.read_bytes())


@pytest.mark.parametrize("name", [name for name in FORMATS if not name.startswith("chat")])
def test_an_option_that_would_do_nothing_is_an_error(name: str, run: Run, tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="--successful is of conversations"):
        export(run, name, tmp_path / "out", successful=True)
    with pytest.raises(WorkbenchError, match="has no candidate ''"):
        export(run, name, tmp_path / "out", candidate="")
    assert not (tmp_path / "out").exists()


def test_a_program_belongs_to_no_task(run: Run, tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="for any task"):
        export(run, "program", tmp_path / "out.py", tasks=["1"])
