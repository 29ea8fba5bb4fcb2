"""What a model answered: read without trusting anything in it, and kept so that a finished run replays for nothing."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any, NamedTuple

from workbench.disk import writing
from workbench.llm.roles import Endpoint, cost_of


class ToolCall(NamedTuple):
    """A tool call as the model wrote it; ``arguments`` is raw JSON text that nobody has checked."""

    id: str
    name: str
    arguments: str


class Reply(NamedTuple):
    """What a model answered and what it took."""

    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = 0.0
    cached: bool = False


class LLMError(Exception):
    """A request that brought no usable reply.

    ``kind`` is ``transport`` (the endpoint failed, after retries), ``content`` (it answered, but with
    nothing usable) or ``cap`` (the run's limit of money or tokens is reached).
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(kind, reason)  # both, so that it can be pickled
        self.kind, self.reason = kind, reason

    def __str__(self) -> str:
        return self.reason


def read(answer: dict[str, Any], endpoint: Endpoint) -> tuple[Reply, str]:
    """Read a chat completion; return the reply and, when it cannot be used, why (else an empty text)."""
    used = answer.get("usage")
    tokens = [used.get(k) if isinstance(used, dict) else 0 for k in ("prompt_tokens", "completion_tokens")]
    tokens_in, tokens_out = (n if isinstance(n, int) and n > 0 else 0 for n in tokens)
    nothing = Reply("", (), tokens_in, tokens_out, cost_of(endpoint, tokens_in, tokens_out))
    try:
        choice = answer["choices"][0]
        message = choice["message"]
        content = message.get("content") or ""
        calls = tuple(
            ToolCall(
                str(c.get("id") or f"call_{i}"),
                str(c["function"]["name"]),
                c["function"]["arguments"] or "{}",
            )
            for i, c in enumerate(message.get("tool_calls") or [])
        )
        good = isinstance(content, str) and all(isinstance(c.arguments, str) for c in calls)
    except (KeyError, IndexError, TypeError, AttributeError):
        good = False
    if not good:
        return nothing, "it holds no readable message"
    if message.get("refusal") or choice.get("finish_reason") == "content_filter":
        return nothing, "the model refused to answer"
    if not content.strip() and not calls:
        return nothing, "the model answered with nothing"
    unreadable = next((c.name for c in calls if not _is_object(c.arguments)), None)
    fault = f"the arguments of {unreadable} are not a JSON object" if unreadable is not None else ""
    return nothing._replace(content=content, tool_calls=calls), fault


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


class Replies:
    """Replies on disk above the client: one SQLite file, written by one process, safe to kill."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("pragma journal_mode=wal")
            self._db.execute("pragma synchronous=normal")
            self._db.execute("create table if not exists reply(key text primary key, at real, answer text)")

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the kept answer of a request, or None."""
        row = self._db.execute("select answer from reply where key=?", (key,)).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, key: str, answer: dict[str, Any]) -> None:
        """Keep an answer."""
        with writing(self._path):
            self._db.execute(
                "insert or replace into reply values(?,?,?)", (key, time.time(), json.dumps(answer))
            )

    def close(self) -> None:
        """Close the file."""
        self._db.close()
