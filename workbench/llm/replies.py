"""Replies on disk, so that a finished run replays for nothing."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

from workbench.disk import writing


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
