"""The run directory on disk: atomic folders, one writer, the ledger of money spent, and the digest."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import polars as pl

from workbench.disk import replacing, writing
from workbench.errors import WorkbenchError
from workbench.evolve.settings import MAY_CHANGE
from workbench.llm.client import Reply

FORMAT = 1
LEDGER: dict[str, Any] = (
    dict.fromkeys(("time", "role", "model"), pl.String)
    | dict.fromkeys(("requests", "tokens_in", "tokens_out"), pl.Int64)
    | {"cost": pl.Float64}
)
# What may differ between two runs of the same seed: wall-clock, repeats and money; in JSON also what was asked, since
# a run that goes on after a kill is answered from its own replies and a rejected program is cut off in mid-episode.
VOLATILE = {"seconds", "cost", "created", "finished", "retries", "malformed", "cached"}
SPENT = {"requests", "tokens_in", "tokens_out"}
# What is no result: who writes, what was paid, replies kept for replay, folders in the making.
NOT_HASHED = ("lock", "ledger.jsonl", "replies.sqlite", ".tmp-")


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write JSON so that a reader sees the old file or the new one, never a part."""
    with writing(path), replacing(path) as part:
        part.write_text(json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of a run directory.

    Raises
    ------
    WorkbenchError
        When the file is missing or not a JSON object.
    """
    try:
        data = json.loads(path.read_text())
    except OSError:
        raise WorkbenchError(f"{path} is missing; is {path.parent} a run directory?") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise WorkbenchError(f"{path} is corrupt: it is not JSON. Restore it or start a new run.") from None
    if not isinstance(data, dict):
        raise WorkbenchError(f"{path} is corrupt: it holds no JSON object. Restore it or start a new run.")
    return data


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a folder to fill; it appears under its name by one rename when the block ends without error."""
    part = path.with_name(f".tmp-{path.name}")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with writing(path):
            part.mkdir(parents=True)
            yield part
            for file in part.iterdir():
                _sync(file)
            if path.exists():  # a condition that is computed again takes the place of the old one
                old = path.with_name(f".tmp-old-{path.name}")
                shutil.rmtree(old, ignore_errors=True)
                path.replace(old)
                part.replace(path)
                shutil.rmtree(old)
            else:
                part.replace(path)
            _sync(path.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)  # on a full disk its space is wanted
        raise


def sweep(run: Path) -> None:
    """Remove what a killed writer left half-made; call it only while holding the lock."""
    for part in [*run.glob(".tmp-*"), *run.glob("*/.tmp-*")]:
        shutil.rmtree(part) if part.is_dir() else part.unlink()


def write_frames(folder: Path, frames: Mapping[str, pl.DataFrame]) -> None:
    """Write each frame as ``NAME.parquet``."""
    for name, frame in frames.items():
        frame.write_parquet(folder / f"{name}.parquet", compression="zstd")


@contextmanager
def writer(run: Path) -> Iterator[None]:
    """Hold the run's lock: one process writes, others get one clear sentence.

    The lock is the kernel's (``flock``), so a killed writer leaves none behind; the file says who holds it.

    Raises
    ------
    WorkbenchError
        When another process is writing.
    """
    import fcntl

    path = run / "lock"
    with ExitStack() as stack:
        with writing(path):
            file = stack.enter_context(path.open("ab+", buffering=0))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            who = file.read().decode().strip() or "another process"
            raise WorkbenchError(
                f"The run {run} is being written by {who}; wait for it, stop it, or only watch the run."
            ) from None
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        with writing(path):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {started}\n".encode())
        try:
            yield
        finally:
            file.truncate(0)


def written_by(run: Path) -> str:
    """Say who is writing a run, as its lock has it; empty when nobody is.

    It takes no lock, so that one who only watches never stands in a writer's way.
    """
    try:
        who = (run / "lock").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
    found = re.match(r"process (\d+) on (\S+) since", who)
    if not found or (found[2] == socket.gethostname() and not _alive(int(found[1]))):
        return ""
    return who


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


class Ledger:
    """Append-only record of what was spent, one line a role and model, written as it is spent."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with writing(path):
            self._file = path.open("ab", buffering=0)
            if (said := path.read_bytes()) and not said.endswith(b"\n"):  # cut off by a kill or a full disk
                self._append(b"\n")
        self._due: dict[tuple[str, str], list[float]] = {}
        self._written = time.monotonic()

    def add(self, role: str, model: str, reply: Reply) -> None:
        """Count a reply; paid ones are written at once, free ones once a second."""
        row = self._due.setdefault((role, model), [0, 0, 0, 0.0])
        row[0] += 1
        row[1] += reply.tokens_in
        row[2] += reply.tokens_out
        row[3] += reply.cost or 0.0
        if reply.cost != 0.0 or time.monotonic() - self._written > 1.0:
            self.flush()

    def flush(self) -> None:
        """Write what is due."""
        for (role, model), (requests, tokens_in, tokens_out, cost) in self._due.items():
            values = (time.strftime("%Y-%m-%dT%H:%M:%S"), role, model, requests, tokens_in, tokens_out)
            line = dict(zip(LEDGER, (*values, round(cost, 8)), strict=True))
            with writing(self.path):
                self._append(json.dumps(line).encode() + b"\n")
        self._due.clear()
        self._written = time.monotonic()

    def _append(self, line: bytes) -> None:
        if self._file.write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """Write what is due and close the file."""
        self.flush()
        self._file.close()


def read_ledger(path: Path) -> pl.DataFrame:
    """Read a ledger; a line cut off by a kill is left out."""
    rows = []
    for line in path.read_text(errors="replace").splitlines() if path.exists() else ():
        with suppress(json.JSONDecodeError):  # a line in writing when the process was killed is cut
            rows.append(json.loads(line))
    rows = [row for row in rows if isinstance(row, dict)]
    return pl.DataFrame(rows, schema=LEDGER)


def digest(run: Path) -> str:
    """Hash every result of a run, so that two runs of one seed can be compared.

    Frames are hashed by content without their wall-clock, retry and cost columns, JSON likewise, and
    any other file, and a damaged one, by its bytes.
    """
    total = hashlib.sha256()
    for path in sorted(p for p in run.rglob("*") if p.is_file()):
        name = path.relative_to(run).as_posix()
        if any(part.startswith(NOT_HASHED) for part in name.split("/")):
            continue
        try:
            content = _content(path)
        except (ValueError, RecursionError, pl.exceptions.ComputeError):  # damaged
            content = path.read_bytes()
        total.update(f"{name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()


def _content(path: Path) -> bytes:
    """Return what of a file is a result."""
    if path.suffix == ".parquet":
        frame = pl.read_parquet(path)
        return frame.drop(VOLATILE & set(frame.columns)).write_ndjson().encode()
    if path.suffix == ".json":
        return json.dumps(_steady(json.loads(path.read_text())), sort_keys=True).encode()
    return path.read_bytes()


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _steady(v) for k, v in value.items() if k not in VOLATILE | SPENT and k not in MAY_CHANGE}
    return [_steady(v) for v in value] if isinstance(value, list) else value


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
