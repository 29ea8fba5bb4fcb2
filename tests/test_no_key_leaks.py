"""A key is sent to its endpoint and appears nowhere else: not on disk, in logs, in exceptions, in what is shown."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import traceback
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from workbench.cli import main
from workbench.errors import WorkbenchError
from workbench.evolve.search import Search
from workbench.evolve.settings import Settings
from workbench.llm import loop
from workbench.llm.client import Client, LLMError
from workbench.llm.rehearsal.app import app
from workbench.llm.roles import ROLES, Endpoint, endpoints

CANARY = "sk-canary-5f1d9c0e7b3a4886"


class Telltale:
    """The rehearsal models behind an endpoint that repeats the key whenever it fails, which is often."""

    def __init__(self, inner: ASGIApp, share: float = 0.08, always: int = 0) -> None:
        self.inner, self.share, self.always = inner, share, always
        self.count: Counter[str] = Counter()
        self._sent: Counter[bytes] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.inner(scope, receive, send)
            return
        key = dict(scope["headers"]).get(b"authorization", b"").decode()
        self.count["with key"] += CANARY in key
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)

        async def again() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        talk = b"rehearsal-user" in body  # for good, which ends an episode; elsewhere it would end the run
        name = hashlib.sha256(body).digest()
        self._sent[name] += 1
        draw = hashlib.sha256(name + bytes([self._sent[name] % 256])).digest()
        luck = int.from_bytes(draw[:4], "big") / 2**32
        status = self.always or (
            500 if luck < self.share else 400 if talk and luck < self.share * 1.05 else 0
        )
        if not status or (scope["method"] == "GET" and not self.always):
            await self.inner(scope, again, send)
            return
        self.count[str(status)] += 1
        text = json.dumps(
            {"error": {"message": f"cannot do that with {key} ({CANARY})", "type": key}}
        ).encode()
        headers = [(b"content-type", b"application/json"), (b"x-echo", key.encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text})


def told(path: Path) -> str:
    """Return all that a file says: frames and archives are unpacked, anything else is read as bytes."""
    raw = path.read_bytes()
    text = raw.decode("latin-1")
    if path.suffix == ".parquet":
        text += pl.read_parquet(path).write_ndjson()
    elif path.suffix == ".gz":
        text += gzip.decompress(raw).decode("latin-1")
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            text += "".join(archive.read(name).decode("latin-1") for name in archive.namelist())
    return text


def test_a_whole_run_against_an_endpoint_that_echoes_the_key_keeps_it_nowhere(
    serve, tmp_path: Path, monkeypatch, caplog, capfd
):
    server = Telltale(app)
    url = serve(server)
    (tmp_path / "roles.toml").write_text(
        "\n".join(
            f'[{role}]\nmodel = "rehearsal-{role}"\nbase_url = "{url}"\napi_key_env = "CANARY_KEY"'
            for role in ROLES
        )
    )
    monkeypatch.setenv("CANARY_KEY", CANARY)
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.DEBUG)
    small = "--generations 1 --train-tasks 2 --validation-tasks 1 --test-tasks 2 --window 2 --test-personas 2"
    for step in (
        f"evolve --run run --roles roles.toml --seed 3 {small}",
        "evaluate run",
        "report run -o figures",
        "runs --digest run",
        "doctor --roles roles.toml",
    ):
        assert main(step.split()) == 0
    said = capfd.readouterr()
    assert server.count["with key"] > 100 and server.count["500"] > 10 and server.count["400"] > 0
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert {"run.json", "ledger.jsonl", "replies.sqlite", "episodes.parquet"} <= {p.name for p in files}
    errors = [
        e for p in files if p.name == "episodes.parquet" for e in pl.read_parquet(p)["error"].drop_nulls()
    ]
    assert any("cannot do that with" in e and "[key]" in e for e in errors)
    assert [str(p) for p in files if CANARY in told(p)] == []
    assert len(said.out) > 500 and len(caplog.records) > 500
    assert CANARY not in said.out + said.err + caplog.text


def test_exceptions_and_what_a_notebook_shows_hold_no_key(serve, monkeypatch, tmp_path: Path):
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    shown = []
    for status in (400, 401, 403, 404):
        url = serve(Telltale(app, always=status))
        client = Client({role: Endpoint("tiny", url) for role in ROLES}, max_retries=0, patience=0)
        with pytest.raises(LLMError) as caught:
            loop.run(client.chat("user", [{"role": "user", "content": "hello"}], seed=1))
        shown += [
            str(caught.value),
            repr(caught.value),
            *traceback.format_exception(caught.value),
            repr(client),
        ]
        shown += [repr(vars(client)), repr(client.roles)]
        if status != 404:
            with pytest.raises(WorkbenchError) as refused:
                loop.run(client.check())
            shown += [str(refused.value), *traceback.format_exception(refused.value)]
        loop.run(client.aclose())
    with Search(tmp_path / "run", Settings(roles=endpoints("tiny", url))) as search:
        shown += [repr(search), repr(search.run), repr(search.settings), repr(search.client)]
    assert len(shown) > 20 and [text for text in shown if CANARY in text] == []
