"""The rehearsal endpoint as a Starlette application: chat completions, models and embeddings."""

import json
import math
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from workbench.llm.rehearsal import agent, generator, mutation, user

Json = dict[str, Any]
SPEAKERS: dict[str, Callable[[list[Json], int], str]] = {
    "rehearsal-user": user.reply,
    "rehearsal-user-curt": lambda said, seed: user.reply(said, seed, "Short, matter-of-fact. "),
    "rehearsal-generator": generator.reply,
    "rehearsal-mutation": mutation.reply,
    "rehearsal-reflection": mutation.reflect,
    "rehearsal-judge": lambda messages, seed: '{"verdict": "not sure", "score": 0.5, "reason": "none"}',
}
ROLES, EMBEDDING, LONGEST = (*SPEAKERS, "rehearsal-agent"), "rehearsal-embedding", 200_000  # characters read


def _check(fine: object, told: str, status: int = 400) -> None:
    if not fine:
        raise HTTPException(status, told)


async def _read(request: Request, known: tuple[str, ...]) -> Any:
    """Return the body; lone surrogates, which cannot be sent back, become question marks."""
    try:
        body = json.loads(json.dumps(await request.json(), ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"The body is not JSON: {error}.") from None
    _check(isinstance(body, dict), "The body must be a JSON object.")
    _check(body.get("model") in known, f"There is no model {body.get('model')!r}; use one of {known}.", 404)
    return body


def _text(content: Any) -> str:
    """Return a message's content as one string: text parts are joined, null is empty."""
    parts = content if isinstance(content, list) else [{"text": content or ""}]
    return "".join(part["text"] for part in parts)[:LONGEST]


async def _chat(request: Request) -> Response:
    body = await _read(request, ROLES)
    try:
        messages = [
            {**m, "role": str(m["role"]), "content": _text(m.get("content"))} for m in body["messages"]
        ]
        tools, seed = [dict(tool) for tool in body.get("tools") or []], int(body.get("seed") or 0)
    except (TypeError, KeyError, AttributeError, ValueError):
        messages = []
    _check(messages, "messages must be objects with role and text, tools objects, seed a whole number.")
    _check(body.get("n") in (None, 1), "The rehearsal endpoint gives one choice: n must be 1.")
    speak, raw = SPEAKERS.get(body["model"]), await request.body()
    spoken: Json = agent.reply(messages, tools, seed) if speak is None else {"content": speak(messages, seed)}
    sent, written = len(raw) // 4 + 1, len(json.dumps(spoken)) // 4 + 1  # four characters count as a token
    usage = {"prompt_tokens": sent, "completion_tokens": written, "total_tokens": sent + written}
    answer = {"id": f"chatcmpl-{zlib.crc32(raw)}", "created": 0, "model": body["model"]}
    choice = {"index": 0, "finish_reason": "tool_calls" if spoken.get("tool_calls") else "stop"}
    if body.get("stream"):
        return StreamingResponse(_events(answer, choice, spoken, usage), media_type="text/event-stream")
    choices = [{**choice, "message": {"role": "assistant", **spoken}}]
    return JSONResponse({**answer, "object": "chat.completion", "choices": choices, "usage": usage})


def _events(answer: Json, choice: Json, spoken: Json, usage: Json) -> Iterator[str]:
    """Yield server-sent events: the text word by word, the tool calls, and the reason to stop with the usage."""
    deltas: list[Json] = [{"content": word} for word in re.findall(r"\s*\S+", spoken.get("content") or "")]
    deltas += [{"tool_calls": [{"index": i, **c}]} for i, c in enumerate(spoken.get("tool_calls") or [])]
    parts = [{**choice, "finish_reason": None, "delta": delta} for delta in deltas]
    chunks: list[Json] = [{"choices": [part]} for part in parts]
    for chunk in [*chunks, {"choices": [{**choice, "delta": {}}], "usage": usage}]:
        yield f"data: {json.dumps({**answer, 'object': 'chat.completion.chunk', **chunk})}\n\n"
    yield "data: [DONE]\n\n"


def embed(text: str) -> list[float]:
    """Return a unit vector of 256 numbers: every word is hashed to a place and a sign."""
    vector = [0.0] * 256
    for word in re.findall(r"\w+", text[:LONGEST].lower()):
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
    usage = dict.fromkeys(("prompt_tokens", "total_tokens"), len(await request.body()) // 4 + 1)
    return JSONResponse({"object": "list", "model": EMBEDDING, "data": data, "usage": usage})


async def _models(request: Request) -> Response:
    owned = {"object": "model", "created": 0, "owned_by": "rehearsal"}
    return JSONResponse({"object": "list", "data": [{"id": name, **owned} for name in (*ROLES, EMBEDDING)]})


async def _refuse(request: Request, error: Any) -> Response:
    code = "model_not_found" if error.status_code == 404 else None
    told = {"message": error.detail, "type": "invalid_request_error", "param": None, "code": code}
    return JSONResponse({"error": told}, error.status_code)


_chats = Route("/v1/chat/completions", _chat, methods=["POST"])
_routes = [_chats, Route("/v1/embeddings", _embeddings, methods=["POST"]), Route("/v1/models", _models)]
app = Starlette(routes=_routes, exception_handlers={HTTPException: _refuse})
