"""The rehearsal endpoint as a Starlette application: chat completions, models and embeddings."""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Iterator
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from workbench.llm.rehearsal import agent, generator, mutation, user

Json = dict[str, Any]
SPEAKERS = {
    "rehearsal-user": user.reply,
    "rehearsal-generator": generator.reply,
    "rehearsal-mutation": mutation.reply,
    "rehearsal-reflection": mutation.reflect,
    "rehearsal-judge": lambda messages, seed: '{"verdict": "not sure", "score": 0.5, "reason": "none"}',
}
ROLES, EMBEDDING = (*SPEAKERS, "rehearsal-agent"), "rehearsal-embedding"


def _check(fine: object, told: str, status: int = 400) -> None:
    if not fine:
        raise HTTPException(status, told)


async def _read(request: Request, known: tuple[str, ...]) -> Json:
    """Return the body; lone surrogates, which cannot be sent back, become question marks."""
    try:
        body = json.loads(json.dumps(await request.json(), ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"The body is not JSON: {error}.") from None
    _check(isinstance(body, dict), "The body must be a JSON object.")
    _check(body.get("model") in known, f"There is no model {body.get('model')!r}; use one of {known}.", 404)
    return body


def _message(message: Any, where: str) -> Json:
    """Return a message with its text as one string: text parts are joined, null is empty."""
    _check(isinstance(message, dict) and isinstance(message.get("role"), str), f"{where} must have a role.")
    content = message.get("content") or ""
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    _check(isinstance(content, str), f"{where}.content must be a string or a list of text parts.")
    return {**message, "content": content[:200_000]}


async def _chat(request: Request) -> Response:
    body = await _read(request, ROLES)
    given, seed, tools = body.get("messages"), body.get("seed") or 0, body.get("tools") or []
    _check(isinstance(given, list) and given, "messages must be a list that is not empty.")
    _check(isinstance(seed, int), "seed must be a whole number.")
    _check(isinstance(tools, list) and all(isinstance(t, dict) for t in tools), "tools must be objects.")
    _check(body.get("n") in (None, 1), "The rehearsal endpoint gives one choice: n must be 1.")
    messages = [_message(message, f"messages[{index}]") for index, message in enumerate(given)]
    speak, raw = SPEAKERS.get(body["model"]), await request.body()
    spoken = (
        {"role": "assistant", "content": speak(messages, seed)}
        if speak
        else agent.reply(messages, tools, seed)
    )
    sent, written = len(raw) // 4 + 1, len(json.dumps(spoken)) // 4 + 1  # four characters count as a token
    usage = {"prompt_tokens": sent, "completion_tokens": written, "total_tokens": sent + written}
    # equal requests get equal bytes, so there is no time of day in them
    answer = {"id": f"chatcmpl-{zlib.crc32(raw)}", "created": 0, "model": body["model"]}
    choice = {"index": 0, "finish_reason": "tool_calls" if spoken.get("tool_calls") else "stop"}
    if body.get("stream"):
        asked = (body.get("stream_options") or {}).get("include_usage")
        return StreamingResponse(
            _events(answer, choice, spoken, usage if asked else None), media_type="text/event-stream"
        )
    choices = [{**choice, "message": spoken}]
    return JSONResponse({**answer, "object": "chat.completion", "choices": choices, "usage": usage})


def _events(answer: Json, choice: Json, spoken: Json, usage: Json | None) -> Iterator[str]:
    """Yield server-sent events: the text word by word, the tool calls, the reason to stop, perhaps the usage."""
    deltas = [
        {"role": "assistant"},
        *({"content": word} for word in re.findall(r"\s*\S+|\s+$", spoken["content"] or "")),
    ]
    deltas += [
        {"tool_calls": [{"index": i, **call}]} for i, call in enumerate(spoken.get("tool_calls") or [])
    ]
    chunks: list[Json] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    chunks += [{"choices": [{**choice, "delta": {}}]}] + [{"choices": [], "usage": usage}] * bool(usage)
    for chunk in chunks:
        yield f"data: {json.dumps({**answer, 'object': 'chat.completion.chunk', **chunk})}\n\n"
    yield "data: [DONE]\n\n"


def embed(text: str) -> list[float]:
    """Return a unit vector of 256 numbers: every word is hashed to a place and a sign."""
    vector = [0.0] * 256
    for word in re.findall(r"\w+", text[:200_000].lower()):
        place = zlib.crc32(word.encode())
        vector[place % 256] += min(len(word), 9) * (1 if place & 256 else -1)  # long stands in for rare
    norm = math.hypot(*vector) or 1.0
    return [x / norm for x in vector]


async def _embeddings(request: Request) -> Response:
    body = await _read(request, (EMBEDDING,))
    texts = [body["input"]] if isinstance(body.get("input"), str) else body.get("input")
    fine = isinstance(texts, list) and texts and all(isinstance(text, str) for text in texts)
    _check(fine, "input must be a string or a list of strings that is not empty.")
    data = [{"object": "embedding", "index": i, "embedding": embed(text)} for i, text in enumerate(texts)]
    usage = dict.fromkeys(("prompt_tokens", "total_tokens"), sum(map(len, texts)) // 4 + 1)
    return JSONResponse({"object": "list", "model": EMBEDDING, "data": data, "usage": usage})


async def _models(request: Request) -> Response:
    owned = {"object": "model", "created": 0, "owned_by": "rehearsal"}
    return JSONResponse({"object": "list", "data": [{"id": name, **owned} for name in (*ROLES, EMBEDDING)]})


async def _refuse(request: Request, error: Exception) -> Response:
    status, told = getattr(error, "status_code", 500), getattr(error, "detail", "")
    code = "model_not_found" if status == 404 else None
    body = {"message": told, "type": "invalid_request_error", "param": None, "code": code}
    return JSONResponse({"error": body}, status)


_ROUTES = {"/v1/chat/completions": _chat, "/v1/embeddings": _embeddings}
app = Starlette(
    routes=[
        Route("/v1/models", _models),
        *(Route(path, do, methods=["POST"]) for path, do in _ROUTES.items()),
    ],
    exception_handlers={HTTPException: _refuse},
)
