"""Dialogues from trace files, as one frame of turns."""

from __future__ import annotations

import gzip
import json
import math
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from workbench.errors import WorkbenchError

SCHEMA: dict[str, type[pl.DataType]] = {
    "dialogue_id": pl.String,
    "turn": pl.Int64,
    "role": pl.String,
    "content": pl.String,
    "source": pl.String,
    "domain": pl.String,
    "task_id": pl.String,
    "tau2_task_id": pl.String,
    "trial": pl.Int64,
    "trait": pl.String,
    "reward": pl.Float64,
}
"""Columns of the turns frame, in order."""

ROLES = ("user", "assistant", "tool", "system")
_ALIASES = {"agent": "assistant", "function": "tool", "developer": "system"}

# tau2-bench put tau-bench's 50 airline tasks into another order: position = tau-bench number, value = tau2's.
# Found by pairing the scenario texts of both (same user, same reservations, same request).
_AIRLINE = (
    *(20, 19, 18, 21, 22, 17, 16, 15, 14, 23, 24, 25, 26, 13, 12, 11, 27, 10, 28, 29, 30, 31, 32, 33, 34),
    *(35, 37, 9, 39, 41, 42, 43, 8, 44, 7, 45, 6, 5, 46, 47, 4, 48, 49, 40, 3, 38, 2, 1, 36, 0),
)
# In retail it dropped number 95, a copy of 93.
_RETAIL = (*range(95), None, *range(95, 114))
_FROM_TAU_BENCH: dict[str, tuple[int | None, ...]] = {"airline": _AIRLINE, "retail": _RETAIL}
_TAU_BENCH_SOURCE = re.compile(r"(?<![a-z0-9])tau-?(bench|usi|trait)", re.IGNORECASE)


def read_traces(path: str | Path) -> pl.LazyFrame:
    """Read a file of dialogues, one JSON object a line, plain or gzipped.

    A record is either a person's side (``user``: a list of messages) or a whole conversation (``messages``: a
    list of ``{role, content}``). Optional fields: id, source, domain, task_id, tau2_task_id, trial, trait, reward.
    A dialogue is called ``id`` where the record has one, else ``source|task|trial|trait``; a running number
    keeps the name unique in the file. A record without messages keeps its place as one empty system message.

    Parameters
    ----------
    path
        A ``.jsonl`` or ``.jsonl.gz`` file (told apart by content).

    Returns
    -------
    LazyFrame
        One row a message, in file order, with the columns of :data:`SCHEMA`. ``turn`` counts from 0 in a dialogue.

    Raises
    ------
    WorkbenchError
        The file is missing, empty, binary, truncated or malformed (the line is named), or nobody in it is a user.
    """
    return pl.concat(batches(path)).lazy()


def batches(path: str | Path, dialogues: int = 2000) -> Iterator[pl.DataFrame]:
    """Read a file as :func:`read_traces` does, a number of dialogues at a time, for files larger than memory.

    Yields
    ------
    DataFrame
        The turns of the next dialogues, with the columns of :data:`SCHEMA`; no dialogue is split.

    Raises
    ------
    WorkbenchError
        As :func:`read_traces`; a wrong line when it is reached, a file without users at its end.
    """
    path = Path(path)
    rows: list[tuple[Any, ...]] = []
    users = read = 0
    for name, record, where in _records(path):
        facts = _facts(record, path, where)
        messages = _messages(record, where) or [("system", "")]
        users += any(role == "user" for role, _ in messages)
        rows.extend((name, turn, *message, *facts["row"]) for turn, message in enumerate(messages))
        read += 1
        if read % dialogues == 0:
            yield pl.DataFrame(rows, schema=SCHEMA, orient="row")
            rows.clear()
    if not read:
        raise WorkbenchError(f"{path} is empty: expected one JSON dialogue a line")
    if not users:
        raise WorkbenchError(
            f"{path} holds no user turn at all: measures look at what users say, so check its roles"
        )
    if rows:
        yield pl.DataFrame(rows, schema=SCHEMA, orient="row")


def read_scenarios(path: str | Path) -> pl.DataFrame:
    """Read what the records of a trace file say about their dialogues beside the messages.

    Returns
    -------
    DataFrame
        One row a dialogue, in file order: dialogue_id (as :func:`read_traces` names it), ``scenario`` (the record's
        ``instruction``: what the user was told), ``ended_by`` (its ``end_token`` in the words of episodes: stop,
        transfer, out_of_scope) and user_model; null where the record does not say.

    Raises
    ------
    WorkbenchError
        The file is missing, binary, truncated or malformed.
    """
    rows = []
    for name, record, _ in _records(Path(path)):
        ended = (_text(record.get("end_token")) or "").strip("#").lower().replace("-", "_") or None
        rows.append((name, _text(record.get("instruction")), ended, _text(record.get("user_model"))))
    schema = ("dialogue_id", "scenario", "ended_by", "user_model")
    return pl.DataFrame(rows, schema=dict.fromkeys(schema, pl.String), orient="row")


def _records(path: Path) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield each record with its dialogue's name and the place it stands."""
    taken: set[str] = set()
    for number, line in _lines(path):
        where = f"{path}, line {number}"
        record = _parse(line, where)
        key = _facts(record, path, where)["key"]
        yield _unique(_text(record.get("id")) or "|".join(_text(f) or "" for f in key), taken), record, where


def tau2_task_id(task_id: str | None, domain: str | None, source: str | None) -> str | None:
    """Translate a task number to tau2-bench's numbering.

    tau-bench, and the human and trait-steered data built on it, number retail tasks 0-114 and airline tasks in
    another order than tau2-bench does; which numbering a trace uses is told by its source.

    Returns
    -------
    str or None
        The same number for any source but those; None where tau2-bench has no such task.
    """
    numbers = _FROM_TAU_BENCH.get(domain or "")
    if task_id is None or numbers is None or not _TAU_BENCH_SOURCE.search(source or ""):
        return task_id
    if not re.fullmatch(r"\d{1,9}", task_id, re.ASCII) or int(task_id) >= len(numbers):
        return None
    number = numbers[int(task_id)]
    return None if number is None else str(number)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines that are not blank, whatever can be wrong with a file told in one sentence."""
    if path.is_dir():
        raise WorkbenchError(f"{path} is a folder: name a .jsonl or .jsonl.gz file in it")
    number = 0
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.open(raw) if packed else raw as stream:
                for number, line in enumerate(stream, start=1):
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                    if "\0" in text:
                        raise WorkbenchError(
                            f"{path} is binary (line {number}): expected one JSON dialogue a line"
                        )
                    if text.strip():
                        yield number, text
    except FileNotFoundError:
        raise WorkbenchError(f"{path} does not exist: check the path") from None
    except UnicodeDecodeError:
        raise WorkbenchError(
            f"{path} is not UTF-8 text (line {number}): expected one JSON dialogue a line"
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise WorkbenchError(
            f"{path} is a truncated or damaged gzip file (after line {number}): get it again"
        ) from None
    except OSError as error:
        raise WorkbenchError(f"{path} cannot be read: {error.strerror or error}") from None


def _parse(line: str, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise WorkbenchError(
            f"{where} is not JSON ({error.msg}): expected one JSON dialogue a line"
        ) from None
    except (ValueError, RecursionError) as error:
        raise WorkbenchError(
            f"{where} cannot be parsed ({type(error).__name__}): expected a JSON dialogue"
        ) from None
    if not isinstance(record, dict):
        raise WorkbenchError(
            f"{where} is a JSON {type(record).__name__}: expected an object with 'user' or 'messages'"
        )
    return record


def _facts(record: dict[str, Any], path: Path, where: str) -> dict[str, tuple[Any, ...]]:
    source = _text(record.get("source")) or re.sub(r"\.jsonl?(\.gz)?$", "", path.name)
    domain, task, trait = (_text(record.get(field)) for field in ("domain", "task_id", "trait"))
    trial = _number(record.get("trial"), "trial", where)
    if trial is not None and (trial != int(trial) or abs(trial) >= 2**53):
        raise WorkbenchError(f"{where} has trial {trial}: expected a whole number")
    trial = None if trial is None else int(trial)
    tau2 = _text(record["tau2_task_id"]) if "tau2_task_id" in record else tau2_task_id(task, domain, source)
    reward = _number(record.get("reward"), "reward", where)
    return {"key": (source, task, trial, trait), "row": (source, domain, task, tau2, trial, trait, reward)}


def _messages(record: dict[str, Any], where: str) -> list[tuple[str, str]]:
    kind = "messages" if "messages" in record else "user"
    if kind not in record:
        raise WorkbenchError(f"{where} has neither 'user' nor 'messages': expected one of them with a list")
    messages = record[kind]
    if not isinstance(messages, list):
        raise WorkbenchError(f"{where} has '{kind}' that is no list: expected a list of messages")
    if kind == "user":
        return [("user", _content(message)) for message in messages]
    pairs = []
    for message in messages:
        if not isinstance(message, dict) or "role" not in message:
            raise WorkbenchError(
                f"{where} has a message without a role: expected objects with 'role' and 'content'"
            )
        role = message["role"]
        role = _ALIASES.get(role, role) if isinstance(role, str) else role
        if role not in ROLES:
            raise WorkbenchError(
                f"{where} has a message of role {role!r}: known roles are {', '.join(ROLES)}"
            )
        pairs.append((role, _content(message.get("content"))))
    return pairs


def _content(value: Any) -> str:
    """Give a message's text: of text parts their texts, of nothing the empty string, of anything else its JSON."""
    if value is None:
        return ""
    if isinstance(value, dict) and "content" in value:
        value = value["content"]
    if isinstance(value, list) and all(
        isinstance(part, dict) and isinstance(part.get("text"), str) for part in value
    ):
        value = "\n".join(part["text"] for part in value)
    return _text(value) or ""


def _text(value: Any) -> str | None:
    """Give a value as a string that polars can hold (a lone surrogate is legal in JSON, not in UTF-8)."""
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode("utf-8")


def _number(value: Any, field: str, where: str) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise WorkbenchError(f"{where} has {field} {str(value)[:40]!r}: expected a number or null") from None
    return number if math.isfinite(number) else None


def _unique(name: str, taken: set[str]) -> str:
    candidate, count = name, 1
    while candidate in taken:
        count += 1
        candidate = f"{name}#{count}"
    taken.add(candidate)
    return candidate
