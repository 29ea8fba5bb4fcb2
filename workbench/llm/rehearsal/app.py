"""The rehearsal endpoint as a Starlette application: chat completions, models and embeddings."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import struct
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from workbench.llm.rehearsal import generator, mutation, reflection, user

Message = dict[str, Any]
CREATED = 0  # a fixed time stamp: equal requests must give equal bytes
DIMENSIONS = 256


def _agent(messages: list[Message], tools: list[Any], seed: int) -> Message:
    try:
        from workbench.llm.rehearsal import agent
    except ImportError:
        return {"role": "assistant", "content": "Is there anything else I can help you with?"}
    return agent.reply(messages, tools, seed)


def _judge(messages: list[Message], seed: int) -> str:
    return json.dumps(
        {"verdict": "not sure", "score": 0.5, "reason": "The rehearsal judge holds no opinion."}
    )


def _speaker(reply: Callable[[list[Message], int], str]) -> Callable[..., Message]:
    return lambda messages, tools, seed: {"role": "assistant", "content": reply(messages, seed)}


ROLES: dict[str, Callable[..., Message]] = {
    "rehearsal-user": _speaker(user.reply),
    "rehearsal-agent": _agent,
    "rehearsal-generator": _speaker(generator.reply),
    "rehearsal-mutation": _speaker(mutation.reply),
    "rehearsal-reflection": _speaker(reflection.reply),
    "rehearsal-judge": _speaker(_judge),
}
EMBEDDING = "rehearsal-embedding"


class RequestError(Exception):
    """A request that gets OpenAI's error JSON: status, message, the field at fault, and a code."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"message": message, "type": "invalid_request_error", "param": param, "code": code}


def _json(content: Any, status: int = 200) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), status, media_type="application/json")


async def _body(request: Request) -> tuple[bytes, dict[str, Any]]:
    raw = await request.body()
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise RequestError(400, f"The body is not JSON: {error}.") from None
    if not isinstance(body, dict):
        raise RequestError(400, "The body must be a JSON object.")
    return raw, body


def _unknown(model: object, known: list[str]) -> RequestError:
    return RequestError(
        404, f"The model {model!r} does not exist; use one of {known}.", "model", "model_not_found"
    )


def _content(value: object, where: str) -> str:
    """Return a message's text; a list of text parts is joined, None is empty."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list) and all(isinstance(part, dict) and "text" in part for part in value):
        return "".join(str(part["text"]) for part in value)
    raise RequestError(400, f"{where}.content must be a string or a list of text parts.", where)


def _messages(body: dict[str, Any]) -> list[Message]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise RequestError(400, "messages must be a list that is not empty.", "messages")
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise RequestError(400, f"messages[{index}] must be an object with a role.", f"messages[{index}]")
    return [{**m, "content": _content(m.get("content"), f"messages[{i}]")} for i, m in enumerate(messages)]


async def _chat(request: Request) -> Response:
    raw, body = await _body(request)
    model = body.get("model")
    role = ROLES.get(model) if isinstance(model, str) else None
    if role is None:
        raise _unknown(model, list(ROLES))
    messages = _messages(body)
    seed, tools = body.get("seed") or 0, body.get("tools") or []
    if not isinstance(seed, int):
        raise RequestError(400, "seed must be a whole number.", "seed")
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise RequestError(400, "tools must be a list of objects.", "tools")
    if body.get("n") not in (None, 1):
        raise RequestError(400, "The rehearsal endpoint gives one choice: n must be 1.", "n")
    message = role(messages, tools, seed)
    spoken, calls = message.get("content") or "", message.get("tool_calls") or []
    tokens_in, tokens_out = (
        len(raw) // 4 + 1,
        (len(spoken) + (len(json.dumps(calls)) if calls else 0)) // 4 + 1,
    )
    usage = {
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
    }
    head = {
        "id": f"chatcmpl-{hashlib.blake2b(raw, digest_size=12).hexdigest()}",
        "created": CREATED,
        "model": model,
    }
    reason = "tool_calls" if calls else "stop"
    if body.get("stream"):
        wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        events = _events({**head, "object": "chat.completion.chunk"}, spoken, calls, reason)
        return StreamingResponse(
            _stream(events, head, usage if wants_usage else None), media_type="text/event-stream"
        )
    choice = {"index": 0, "message": {"refusal": None, **message}, "logprobs": None, "finish_reason": reason}
    return _json({**head, "object": "chat.completion", "choices": [choice], "usage": usage})


def _events(head: dict[str, Any], spoken: str, calls: list[Message], reason: str) -> Iterator[dict[str, Any]]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for piece in re.findall(r"\s*\S+\s*?|\s+$", spoken)]
    deltas += [{"tool_calls": [{"index": i, **call}]} for i, call in enumerate(calls)]
    for delta in deltas:
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


def _stream(
    events: Iterator[dict[str, Any]], head: dict[str, Any], usage: dict[str, int] | None
) -> Iterator[str]:
    for event in events:
        yield f"data: {json.dumps(event)}\n\n"
    if usage is not None:
        yield f"data: {json.dumps({**head, 'object': 'chat.completion.chunk', 'choices': [], 'usage': usage})}\n\n"
    yield "data: [DONE]\n\n"


def embed(text: str) -> list[float]:
    """Return a 256-number unit vector: words and word pairs hashed with a sign, sub-linear counts."""
    words = re.findall(r"\w+", text.lower())
    counts: dict[str, int] = {}
    for gram in words + [f"{a} {b}" for a, b in pairwise(words)]:
        counts[gram] = counts.get(gram, 0) + 1
    vector = [0.0] * DIMENSIONS
    for gram, count in counts.items():
        digest = hashlib.blake2b(gram.encode(), digest_size=4).digest()
        rarity = min(len(gram), 12) / 12  # no corpus at hand: long words stand in for rare ones
        vector[digest[0]] += (1 if digest[1] & 1 else -1) * (1 + math.log(count)) * rarity
    norm = math.sqrt(sum(x * x for x in vector)) or 1.0
    return [x / norm for x in vector]


async def _embeddings(request: Request) -> Response:
    raw, body = await _body(request)
    if body.get("model") != EMBEDDING:
        raise _unknown(body.get("model"), [EMBEDDING])
    texts = [body["input"]] if isinstance(body.get("input"), str) else body.get("input")
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise RequestError(400, "input must be a string or a list of strings that is not empty.", "input")
    vectors: list[Any] = [embed(text) for text in texts]
    if body.get("encoding_format") == "base64":  # what the openai client asks for unless told otherwise
        vectors = [base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *v)).decode() for v in vectors]
    data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)]
    usage = {"prompt_tokens": len(raw) // 4 + 1, "total_tokens": len(raw) // 4 + 1}
    return _json({"object": "list", "model": EMBEDDING, "data": data, "usage": usage})


async def _models(request: Request) -> Response:
    owned = {"object": "model", "created": CREATED, "owned_by": "rehearsal"}
    return _json({"object": "list", "data": [{"id": name, **owned} for name in [*ROLES, EMBEDDING]]})


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return _json({"error": error.body}, error.status)


def create_app() -> Starlette:
    """Return a new application; it keeps no state, so one serves any number of clients."""
    routes = [
        Route("/v1/chat/completions", _chat, methods=["POST"]),
        Route("/v1/embeddings", _embeddings, methods=["POST"]),
        Route("/v1/models", _models, methods=["GET"]),
    ]
    return Starlette(routes=routes, exception_handlers={RequestError: _refused})


app = create_app()
