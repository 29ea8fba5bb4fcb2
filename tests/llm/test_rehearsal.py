"""The rehearsal endpoint on the wire: the OpenAI protocol, its errors, and what the endpoint may know."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx2
import openai
import pytest
from rehearsal_cases import SCRIPT, system

from workbench.llm.rehearsal.app import EMBEDDING, ROLES, app

T = TypeVar("T")
USER = [{"role": "system", "content": system(0)}, {"role": "user", "content": SCRIPT[0]}]


def _ask(call: Callable[[openai.AsyncOpenAI], Awaitable[T]]) -> T:
    async def run() -> T:
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://rehearsal") as inside:
            api = openai.AsyncOpenAI(
                api_key="none", base_url="http://rehearsal/v1", http_client=inside, max_retries=0
            )
            return await call(api)

    return asyncio.run(run())


def _post(path: str, content: bytes) -> httpx2.Response:
    async def run() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://rehearsal") as inside:
            return await inside.post(path, content=content)

    return asyncio.run(run())


@pytest.mark.parametrize("model", ROLES)
def test_every_role_answers_a_chat_completion(model: str) -> None:
    answer = _ask(lambda api: api.chat.completions.create(model=model, messages=USER, seed=3))
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == model
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 2


def test_the_models_are_listed() -> None:
    listed = _ask(lambda api: api.models.list())
    assert [model.id for model in listed.data] == [*ROLES, EMBEDDING]


def test_a_stream_holds_the_same_text_and_the_usage_when_asked() -> None:
    async def call(api: openai.AsyncOpenAI) -> tuple[str, int, str | None]:
        text, tokens, reason = "", 0, None
        stream = await api.chat.completions.create(
            model="rehearsal-user", messages=USER, seed=3, stream=True, stream_options={"include_usage": True}
        )
        async for event in stream:
            tokens += event.usage.completion_tokens if event.usage else 0
            for choice in event.choices:
                text += choice.delta.content or ""
                reason = choice.finish_reason or reason
        return text, tokens, reason

    whole = _ask(lambda api: api.chat.completions.create(model="rehearsal-user", messages=USER, seed=3))
    text, tokens, reason = _ask(call)
    assert text == whole.choices[0].message.content
    assert whole.usage is not None
    assert tokens == whole.usage.completion_tokens
    assert reason == "stop"


def _tool(name: str, field: str) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {field: {"type": "string"}}, "required": [field]}
    return {"type": "function", "function": {"name": name, "description": name, "parameters": parameters}}


def test_the_agent_calls_a_tool_that_the_request_offers() -> None:
    messages = [
        {"role": "system", "content": "You help customers."},
        {"role": "assistant", "content": SCRIPT[0]},
        {"role": "user", "content": "I want to return a lamp. My email is a.b@example.com."},
    ]
    tools = [_tool("find_user_id_by_email", "email")]
    answer = _ask(
        lambda api: api.chat.completions.create(model="rehearsal-agent", messages=messages, tools=tools)
    )
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    function = choice.message.tool_calls[0].function
    assert (function.name, json.loads(function.arguments)) == (
        "find_user_id_by_email",
        {"email": "a.b@example.com"},
    )


def test_equal_requests_get_equal_bytes_and_another_seed_another_answer() -> None:
    body = {"model": "rehearsal-user", "messages": USER, "seed": 1}
    first, again = (_post("/v1/chat/completions", json.dumps(body).encode()).content for _ in range(2))
    assert first == again
    texts = set()
    for seed in range(8):
        answer = _post("/v1/chat/completions", json.dumps(body | {"seed": seed}).encode()).json()
        texts.add(answer["choices"][0]["message"]["content"])
    assert len(texts) > 1


def test_embeddings_are_unit_vectors_that_put_alike_texts_close() -> None:
    texts = ["return the red lamp", "please return the red lamp", "my flight leaves tomorrow"]
    answer = _ask(lambda api: api.embeddings.create(model=EMBEDDING, input=texts))
    a, b, c = (item.embedding for item in answer.data)
    assert len(a) == 256
    assert sum(x * x for x in a) == pytest.approx(1, abs=1e-5)
    assert sum(x * y for x, y in zip(a, b, strict=True)) > sum(x * y for x, y in zip(a, c, strict=True)) + 0.3


def test_embeddings_come_as_numbers_when_asked() -> None:
    answer = _ask(lambda api: api.embeddings.create(model=EMBEDDING, input="hello", encoding_format="float"))
    assert len(answer.data[0].embedding) == 256


def test_an_unknown_model_is_not_found_and_the_known_ones_are_named() -> None:
    with pytest.raises(openai.NotFoundError, match=r"'gpt-9'.*rehearsal-user") as caught:
        _ask(lambda api: api.chat.completions.create(model="gpt-9", messages=USER))
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "not JSON"),
        (b"[]", "JSON object"),
        (b'{"model": "rehearsal-user"}', "messages"),
        (b'{"model": "rehearsal-user", "messages": []}', "messages"),
        (b'{"model": "rehearsal-user", "messages": ["hi"]}', "messages must"),
        (b'{"model": "rehearsal-user", "messages": [{"role": "user", "content": 3}]}', "messages must"),
        (b'{"model": "rehearsal-user", "messages": [{"role": "user", "content": "a"}], "seed": "x"}', "seed"),
        (b'{"model": "rehearsal-user", "messages": [{"role": "user", "content": "a"}], "tools": 1}', "tools"),
        (
            b'{"model": "rehearsal-user", "messages": [{"role": "user", "content": "a"}], "n": 2}',
            "n must be 1",
        ),
    ],
)
def test_a_malformed_request_is_refused_with_what_is_wrong(body: bytes, told: str) -> None:
    answer = _post("/v1/chat/completions", body)
    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]


def test_text_parts_and_null_content_are_read_as_text() -> None:
    parts = [{"role": "system", "content": [{"type": "text", "text": system(0)}]}, *USER[1:]]
    body = {
        "model": "rehearsal-user",
        "messages": [*parts, {"role": "assistant", "content": None}],
        "seed": 2,
    }
    assert _post("/v1/chat/completions", json.dumps(body).encode()).status_code == 200


def test_a_call_costs_well_under_a_millisecond_beside_the_answer() -> None:
    body = json.dumps({"model": "rehearsal-judge", "messages": [{"role": "user", "content": "x" * 4000}]})

    async def run() -> float:
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://rehearsal") as inside:
            best = 1.0
            for _ in range(50):
                began = time.perf_counter()
                await inside.post("/v1/chat/completions", content=body)
                best = min(best, time.perf_counter() - began)
            return best

    assert asyncio.run(run()) < 0.001


_SERVE = """
import asyncio, json, sys
import httpx2
from workbench.llm.rehearsal.app import ROLES, app

loaded = [m for m in sys.modules if m.split(".")[:2] in (["workbench", x] for x in ("simulate", "measure", "evolve"))]
loaded += [m for m in sys.modules if m.startswith(("inspect_evals", "sklearn"))]
assert not loaded, loaded

async def run(bodies):
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://rehearsal") as inside:
        for body in bodies:
            (await inside.post("/v1/chat/completions", json=body)).raise_for_status()

bodies = json.load(sys.stdin)
asyncio.run(run(bodies[:1]))
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event in ("open", "os.listdir", "os.scandir") else None)
asyncio.run(run(bodies))
print(json.dumps(opened))
"""


def test_serving_opens_no_file_and_loads_nothing_of_the_rooms_above() -> None:
    program = "DIVERSITY_AXES = []\n\n\ndef generate_personas_detailed(c, axes, n):\n    return []"
    asks = [*USER, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": SCRIPT[1]}]
    bodies: list[dict[str, Any]] = [{"model": model, "messages": asks, "seed": 1} for model in ROLES]
    wanted = [
        '"members" and "axis_placement"',
        '"personas" with a "policy"',
        "- terse = true: Keep it short.",
    ]
    bodies += [{"model": "rehearsal-generator", "messages": [{"role": "user", "content": w}]} for w in wanted]
    parent = f"## Parent program\n```python\n{program}\n```\n"
    bodies.append({"model": "rehearsal-mutation", "messages": [{"role": "user", "content": parent}]})
    done = subprocess.run(
        [sys.executable, "-c", _SERVE], input=json.dumps(bodies), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
