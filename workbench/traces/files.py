"""Where the records of a trace file are: a line each, or somewhere inside one JSON value; read as a stream."""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from workbench.errors import WorkbenchError
from workbench.traces import inspect_log
from workbench.traces.dialogue import About, DroppedError, Json
from workbench.traces.json_walk import LONGEST, DamageError, Walk

HEAD = 1 << 23  # bytes in which the first line has to end for a file to be read by lines
HOLDERS = ("simulations", "episodes")  # fields of one large object that hold its records
_LOG = re.compile(rb'PK\x03\x04|\s*\{\s*"version":\s*\d+,\s*"status":')  # how logs of inspect_ai begin
_EXPECTED = "expected dialogues, one JSON object a line or in one of the formats of docs/formats"

Found = tuple[Json | DroppedError, About]


def records(path: Path) -> Iterator[Found]:
    """Yield each record of a file or of a results folder with what stands around it.

    Raises
    ------
    WorkbenchError
        The file is missing, binary, cut off or no JSON; the place is named.
    """
    name = re.sub(r"\.(jsonl?|eval)(\.gz)?$", "", path.name)
    if path.is_dir():
        yield from _folder(path, name)
        return
    with _opened(path) as stream:
        head = stream.read(HEAD)
        stream.seek(0)
        if _LOG.match(head):
            for place, record in enumerate(inspect_log.samples(path), start=1):
                yield record, About(f"{path}, sample {place}", name)
        elif _by_lines(head, path):
            yield from _lines(stream, path, name)
        else:
            yield from _inside(stream, path, name)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, unpacked where it is gzipped; whatever can be wrong with it is told in one sentence."""
    try:
        with path.open("rb") as raw, gzip.open(raw) as unpacked:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            yield unpacked if packed else raw  # type: ignore[misc]
    except FileNotFoundError:
        raise WorkbenchError(f"{path} does not exist: check the path") from None
    except UnicodeDecodeError:
        raise WorkbenchError(f"{path} is not UTF-8 text: {_EXPECTED}") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise WorkbenchError(f"{path} is a truncated or damaged gzip file: get it again") from None
    except OSError as error:
        raise WorkbenchError(f"{path} cannot be read: {error.strerror or error}") from None


def _by_lines(head: bytes, path: Path) -> bool:
    """Tell whether the file is read line by line: its first line is a whole JSON object that holds no others."""
    if b"\0" in head[:4096] and not head.startswith(b"\x93"):
        raise WorkbenchError(f"{path} is binary: {_EXPECTED}")
    lines = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    first, newline, _ = lines.partition(b"\n")
    if not first.startswith((b"{", b"[")):
        return True  # empty, or a line that will be told to be no JSON
    if not newline and len(head) == HEAD:
        return False
    try:
        record = json.loads(first)
    except (ValueError, RecursionError):
        return False
    if not isinstance(record, dict) or any(isinstance(record.get(name), list) for name in HOLDERS):
        return False
    return not any(isinstance(value, dict) and "conversation" in value for value in record.values())


def _lines(stream: IO[bytes], path: Path, name: str) -> Iterator[Found]:
    number = 0
    while line := stream.readline(LONGEST):
        number += 1
        where = f"{path}, line {number}"
        if len(line) == LONGEST:
            raise WorkbenchError(f"{where} is longer than {LONGEST:,} bytes: {_EXPECTED}")
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise WorkbenchError(f"{path} is not UTF-8 text (line {number}): {_EXPECTED}") from None
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except json.JSONDecodeError as error:
            raise WorkbenchError(f"{where} is not JSON ({error.msg}): {_EXPECTED}") from None
        except (ValueError, RecursionError) as error:
            raise WorkbenchError(f"{where} cannot be parsed ({type(error).__name__}): {_EXPECTED}") from None
        yield _object(record, where), About(where, name)


def _inside(stream: IO[bytes], path: Path, name: str) -> Iterator[Found]:
    """Walk into one JSON value (or several, one after the other)."""
    walk = Walk(io.TextIOWrapper(stream, encoding="utf-8-sig"))
    place = 0
    try:
        while first := walk.peek():
            if first == "[":
                for item in walk.elements():
                    place += 1
                    where = f"{path}, record {place}"
                    yield _object(item, where), About(where, name)
                continue
            if first != "{":
                raise DamageError(f"begins with {first!r}")
            for found in _members(walk, path, name):
                place += 1
                yield found
    except DamageError as damage:
        before = f" ({place} before it can be read)" if place else ""
        raise WorkbenchError(f"{path}, record {place + 1} {damage}{before}: {_EXPECTED}") from None


def _members(walk: Walk, path: Path, name: str) -> Iterator[Found]:
    """Yield the records that one JSON object holds, else the object itself."""
    header: Json = {}
    count = 0
    for key in walk.fields():
        if key in HOLDERS and walk.peek() == "[":
            for item in walk.elements():
                count += 1
                where = f"{path}, {key}[{count - 1}]"
                yield _object(item, where), About(where, name, header=header)
            count = count or -1  # an empty list of records is no record itself
            continue
        value = walk.value()
        if isinstance(value, dict) and "conversation" in value:
            count += 1
            yield value, About(f"{path}, {key}", name, key=key)
            continue
        header[key] = value
    if not count:
        yield header, About(str(path), name)


def _folder(path: Path, name: str) -> Iterator[Found]:
    """Read τ²-bench's folder form: the header from ``results.json``, a simulation a file; a damaged file is dropped."""
    header_file, files = path / "results.json", sorted((path / "simulations").glob("*.json"))
    if not header_file.is_file() or not files:
        raise WorkbenchError(
            f"{path} is a folder without results.json and simulations/*.json: name a trace file in it"
        )
    header = _whole(header_file)
    if isinstance(header, DroppedError):
        raise WorkbenchError(f"{header_file}: {header}")
    for file in files:
        yield _whole(file), About(str(file), name, header=header)


def _whole(path: Path) -> Json | DroppedError:
    """Read a file that is one JSON object."""
    try:
        record = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return DroppedError("a file that is no JSON, or was cut off")
    except OSError as error:
        return DroppedError(f"a file that cannot be read ({error.strerror})")
    return record if isinstance(record, dict) else DroppedError("a file that holds no JSON object")


def _object(record: Any, where: str) -> Json:
    if not isinstance(record, dict):
        raise WorkbenchError(f"{where} is a JSON {type(record).__name__}: expected an object")
    return record
