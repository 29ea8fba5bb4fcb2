"""The rehearsal endpoint as a Starlette application: chat completions, models and embeddings."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from workbench.llm.rehearsal import agent, generator, mutation, reflection, user

Json = dict[str, Any]
VERDICT = {"verdict": "not sure", "score": 0.5, "reason": "The rehearsal judge holds no opinion."}


def _speaker(reply: Callable[[list[Json], int], str]) -> Callable[[list[Json], list[Json], int], Json]:
    return lambda messages, tools, seed: {"role": "assistant", "content": reply(messages, seed)}


ROLES: dict[str, Callable[[list[Json], list[Json], int], Json]] = {
    "rehearsal-user": _speaker(user.reply),
    "rehearsal-agent": agent.reply,
    "rehearsal-generator": _speaker(generator.reply),
    "rehearsal-mutation": _speaker(mutation.reply),
    "rehearsal-reflection": _speaker(reflection.reply),
    "rehearsal-judge": _speaker(lambda messages, seed: json.dumps(VERDICT)),
}
EMBEDDING = "rehearsal-embedding"


class RequestError(Exception):
    """A request that gets OpenAI's error JSON: what is wrong, and the field at fault."""

    def __init__(self, message: str, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        code = "model_not_found" if status == 404 else None
        self.body = {"message": message, "type": "invalid_request_error", "param": param, "code": code}


def _json(content: Any, status: int = 200) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), status, media_type="application/json")


async def _read(request: Request, known: list[str]) -> tuple[bytes, Json]:
    raw = await request.body()
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise RequestError(f"The body is not JSON: {error}.") from None
    if not isinstance(body, dict):
        raise RequestError("The body must be a JSON object.")
    if body.get("model") not in known:
        raise RequestError(f"There is no model {body.get('model')!r}; use one of {known}.", "model", 404)
    return raw, body


def _message(message: Any, where: str) -> Json:
    """Return a message with its text as one string: text parts are joined, null is empty."""
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise RequestError(f"{where} must be an object with a role.", where)
    content = message.get("content") or ""
    if isinstance(content, list) and all(isinstance(part, dict) and "text" in part for part in content):
        content = "".join(str(part["text"]) for part in content)
    if not isinstance(content, str):
        raise RequestError(f"{where}.content must be a string or a list of text parts.", where)
    return {**message, "content": content}


async def _chat(request: Request) -> Response:
    raw, body = await _read(request, list(ROLES))
    given, seed, tools = body.get("messages"), body.get("seed") or 0, body.get("tools") or []
    if not isinstance(given, list) or not given:
        raise RequestError("messages must be a list that is not empty.", "messages")
    messages = [_message(message, f"messages[{index}]") for index, message in enumerate(given)]
    if not isinstance(seed, int):
        raise RequestError("seed must be a whole number.", "seed")
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise RequestError("tools must be a list of objects.", "tools")
    if body.get("n") not in (None, 1):
        raise RequestError("The rehearsal endpoint gives one choice: n must be 1.", "n")
    message = ROLES[body["model"]](messages, tools, seed)
    spoken, calls = message.get("content") or "", message.get("tool_calls") or []
    # `created` is fixed: equal requests get equal bytes. Four characters count as a token.
    answer: Json = {"id": f"chatcmpl-{hashlib.blake2b(raw, digest_size=12).hexdigest()}", "created": 0}
    answer["model"] = body["model"]
    sent, written = len(raw) // 4 + 1, (len(spoken) + sum(len(str(call)) for call in calls)) // 4 + 1
    usage = {"prompt_tokens": sent, "completion_tokens": written, "total_tokens": sent + written}
    reason = "tool_calls" if calls else "stop"
    if body.get("stream"):
        answer["object"] = "chat.completion.chunk"
        wanted = (body.get("stream_options") or {}).get("include_usage")
        events = _events(answer, spoken, calls, reason, usage if wanted else None)
        return StreamingResponse(events, media_type="text/event-stream")
    choice = {"index": 0, "message": {"refusal": None, **message}, "logprobs": None, "finish_reason": reason}
    return _json({**answer, "object": "chat.completion", "choices": [choice], "usage": usage})


def _events(answer: Json, spoken: str, calls: list[Json], reason: str, usage: Json | None) -> Iterator[str]:
    """Yield server-sent events: the text word by word, the tool calls, the reason to stop, perhaps the usage."""
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for piece in re.findall(r"\s*\S+\s*?|\s+$", spoken)]
    deltas += [{"tool_calls": [{"index": i, **call}]} for i, call in enumerate(calls)]
    for delta in [*deltas, {}]:
        choice = {"index": 0, "delta": delta, "finish_reason": None if delta else reason}
        yield f"data: {json.dumps({**answer, 'choices': [choice]})}\n\n"
    if usage:
        yield f"data: {json.dumps({**answer, 'choices': [], 'usage': usage})}\n\n"
    yield "data: [DONE]\n\n"


def embed(text: str) -> list[float]:
    """Return a unit vector of 256 numbers: words and word pairs hashed with a sign, counts damped."""
    words = re.findall(r"\w+", text.lower())
    grams = Counter(words + [f"{a} {b}" for a, b in pairwise(words)])
    vector = [0.0] * 256
    for gram, count in grams.items():
        digest = hashlib.blake2b(gram.encode(), digest_size=2).digest()
        weight = (1 + math.log(count)) * min(len(gram), 12)  # no corpus: long stands in for rare
        vector[digest[0]] += weight if digest[1] & 1 else -weight
    norm = math.sqrt(sum(x * x for x in vector)) or 1.0
    return [x / norm for x in vector]


async def _embeddings(request: Request) -> Response:
    raw, body = await _read(request, [EMBEDDING])
    texts = [body["input"]] if isinstance(body.get("input"), str) else body.get("input")
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise RequestError("input must be a string or a list of strings that is not empty.", "input")
    vectors: list[Any] = [embed(text) for text in texts]
    if body.get("encoding_format") == "base64":  # what the openai client asks for unless told otherwise
        vectors = [base64.b64encode(struct.pack("<256f", *vector)).decode() for vector in vectors]
    data = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
    usage = {"prompt_tokens": len(raw) // 4 + 1, "total_tokens": len(raw) // 4 + 1}
    return _json({"object": "list", "model": EMBEDDING, "data": data, "usage": usage})


async def _models(request: Request) -> Response:
    owned = {"object": "model", "created": 0, "owned_by": "rehearsal"}
    return _json({"object": "list", "data": [{"id": name, **owned} for name in [*ROLES, EMBEDDING]]})


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return _json({"error": error.body}, error.status)


def create_app() -> Starlette:
    """Return a new application; it keeps no state, so one serves any number of clients."""
    chat = Route("/v1/chat/completions", _chat, methods=["POST"])
    routes = [chat, Route("/v1/embeddings", _embeddings, methods=["POST"]), Route("/v1/models", _models)]
    return Starlette(routes=routes, exception_handlers={RequestError: _refuse})


app = create_app()
