"""The client against llama.cpp (llama-cpp-python's server), random weights: the wire is real, the words are noise.

``make test-server`` makes the server's environment and runs this file; without it these tests are not collected,
so that they neither run nor count as skipped.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.evolve.run import open_run
from workbench.evolve.search import Search
from workbench.evolve.settings import Settings
from workbench.llm import loop
from workbench.llm.client import Client, LLMError
from workbench.llm.roles import ROLES, Endpoint
from workbench.simulate import tau2
from workbench.simulate.batch import Label, simulate

PYTHON = os.environ.get(
    "WORKBENCH_SERVER_PYTHON", ""
)  # tests/conftest.py collects this file only where it is set
MODEL = "tiny-random"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    maker = Path(__file__).with_name("tiny_model.py")
    subprocess.run([PYTHON, str(maker), str(folder / "tiny.gguf")], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [PYTHON, "-m", "llama_cpp.server", "--model", str(folder / "tiny.gguf"), "--model_alias", MODEL]
    command += ["--host", "127.0.0.1", "--port", str(port), "--n_ctx", "16384", "--n_threads", "2"]
    command += ["--api_key", "sk-tiny"]
    with (folder / "log.txt").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and server.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/docs", timeout=1).close()
                break
            except OSError:
                time.sleep(0.2)
        else:
            pytest.fail(f"the server did not start:\n{(folder / 'log.txt').read_text()[-2000:]}")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def client(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Client]:
    monkeypatch.setenv("TINY_KEY", "sk-tiny")
    roles = dict.fromkeys(ROLES, Endpoint(MODEL, url, "TINY_KEY", temperature=1.0, max_tokens=24))
    it = Client(roles, cache=tmp_path / "replies.sqlite", concurrency=2)
    yield it
    loop.run(it.aclose())


ASK = [{"role": "system", "content": "You are brief."}, {"role": "user", "content": "hello"}]


def test_the_server_is_found_and_knows_its_model(client: Client, url: str):
    assert loop.run(client.check())[0].endswith(f"{MODEL} at {url}")
    wrong = Client(dict.fromkeys(ROLES, Endpoint("other", url, "TINY_KEY")))
    with pytest.raises(WorkbenchError, match="has no model 'other'"):
        loop.run(wrong.check())


def test_a_reply_has_text_and_counts_tokens_and_replays(client: Client):
    first = loop.run(client.chat("user", ASK, seed=1))
    assert first.content.strip() and first.tokens_in > 5
    assert 0 < first.tokens_out < 40  # 24 were allowed; this server counts the tokens of the text anew
    again = loop.run(client.chat("user", ASK, seed=1))
    assert again.cached and again.content == first.content
    assert loop.run(client.chat("user", ASK, seed=2)).content != first.content


def test_tools_are_taken_and_the_answer_is_read(client: Client):
    tools = tau2.load("retail").tools
    try:
        reply = loop.run(client.chat("agent", ASK, seed=1, tools=tools))
        assert reply.content.strip() or reply.tool_calls
    except LLMError as error:
        assert error.kind == "content"  # noise that holds no message is told, not raised raw


def test_plain_requests_of_the_wire_work_as_well_streaming_and_json(client: Client, url: str):
    import json

    import openai

    api = openai.OpenAI(base_url=url, api_key="sk-tiny")
    same = {"model": MODEL, "messages": ASK, "max_tokens": 8, "seed": 3, "temperature": 1.0}
    whole = api.chat.completions.create(**same).choices[0].message.content
    parts = [p.choices[0].delta.content or "" for p in api.chat.completions.create(**same, stream=True)]
    assert len(parts) > 4 and "".join(parts).strip() == whole.strip()
    answer = api.chat.completions.create(
        model=MODEL,
        messages=ASK,
        max_tokens=300,
        response_format={"type": "json_object", "schema": {"type": "object", "properties": {"a": {"type": "boolean"}},
                                                           "required": ["a"], "additionalProperties": False}},
    )  # fmt: skip
    assert isinstance(json.loads(answer.choices[0].message.content)["a"], bool)


def test_a_wrong_key_and_too_long_a_prompt_are_told_in_a_sentence(client: Client, url: str, monkeypatch):
    long = [{"role": "user", "content": "word " * 20_000}]
    client.max_retries, client.patience = 0, 0
    with pytest.raises(LLMError, match=r"failed for model") as caught:
        loop.run(client.chat("user", long, seed=1))
    assert caught.value.kind == "transport" and "sk-tiny" not in str(caught.value)
    monkeypatch.setenv("TINY_KEY", "sk-wrong")
    other = Client(dict.fromkeys(ROLES, Endpoint(MODEL, url, "TINY_KEY")), max_retries=0, patience=0)
    with pytest.raises(LLMError, match="refused the key in TINY_KEY"):
        loop.run(other.chat("user", ASK, seed=1))


def test_episodes_of_noise_run_to_their_end(client: Client):
    tasks = tau2.split("retail", "train")[:2]
    batch = loop.run(simulate(None, tasks, 1, client, seed=1, label=Label("base", "train")))
    assert len(batch.episodes) == 2
    assert batch.turns.filter(role="user")["content"].str.len_chars().sum() > 0


def test_a_run_stops_with_a_sentence_when_its_generator_babbles(url: str, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("TINY_KEY", "sk-tiny")
    noise = Endpoint(MODEL, url, "TINY_KEY", max_tokens=12)
    settings = Settings(
        domain="airline", seed=3, generations=1, train_tasks=2, validation_tasks=1, test_tasks=1, window=2,
        stages=(2,), islands=1, concurrency=2,
        roles={role: Endpoint(f"rehearsal-{role}") for role in ROLES} | {"generator": noise, "reflection": noise},
    )  # fmt: skip
    with (
        Search(tmp_path / "run", settings) as search,
        pytest.raises(WorkbenchError, match="first program was rejected"),
    ):
        search.finish()
    plain = replace(
        settings, roles={**settings.roles, "generator": Endpoint("rehearsal-generator"), "mutation": noise}
    )
    with Search(tmp_path / "other", plain) as search:
        search.finish()
    run = open_run(tmp_path / "other")
    assert run.candidates["status"].to_list() == ["accepted", "rejected"]
    assert run.reflection("0000").strip() and run.attempts.collect().height == 3
