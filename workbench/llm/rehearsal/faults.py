"""Faults on purpose: latency, overload, server errors, cut bodies and malformed answers, by a seed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections import Counter
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# (status, Retry-After); status 0: the connection ends in the middle of the body.
_ERRORS = ((429, "1"), (429, None), (500, None), (503, "1"), (0, None))


@dataclass
class Faults:
    """ASGI middleware: ``latency`` in milliseconds; shares of requests that fail in transport or answer badly.

    Whether a request fails depends on the seed, its body and how often it was sent, and on nothing else, so
    a run meets the same malformed answers whatever the order of its requests.
    """

    app: ASGIApp
    latency: float = 0.0
    error_rate: float = 0.0
    malformed_rate: float = 0.0
    seed: int = 0
    count: Counter[str] = field(default_factory=Counter)
    _sent: Counter[bytes] = field(default_factory=Counter)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Fail, spoil or pass on one request."""
        if scope.get("method") != "POST":
            return await self.app(scope, receive, send)
        body = await Request(scope, receive).body()
        name = hashlib.sha256(body).digest()
        self._sent[name] += 1
        rng = random.Random(f"{self.seed}:{name.hex()}:{self._sent[name]}")
        await asyncio.sleep(self.latency / 1000)
        luck = rng.random()
        if luck < self.error_rate:
            status, after = rng.choice(_ERRORS)
            self.count[f"error {status or 'cut'}"] += 1
            return await _fail(scope, receive, send, status, {"retry-after": after} if after else {})

        async def again() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        if luck >= self.error_rate + self.malformed_rate:
            return await self.app(scope, again, send)
        self.count["malformed"] += 1
        parts: list[bytes] = []

        async def hold(message: Message) -> None:
            parts.append(message.get("body", b""))

        await self.app(scope, again, hold)
        spoiled = _spoil(b"".join(parts), rng)
        return await Response(spoiled, 200, media_type="application/json")(scope, receive, send)


def _spoil(body: bytes, rng: random.Random) -> bytes:
    """Return an answer as a confused model gives it: cut JSON, nothing, no choices, wrong tool arguments."""
    try:
        answer = json.loads(body)
        message = answer["choices"][0]["message"]
    except (ValueError, KeyError, IndexError, TypeError):
        return body
    how = rng.choice(("cut", "empty", "no choices", "prose"))
    if how == "no choices":
        answer["choices"] = []
    elif message.get("tool_calls"):
        message["tool_calls"][0]["function"]["arguments"] = '{"order_id": ' if how == "cut" else "{}"
    else:
        text = message.get("content") or ""
        message["content"] = {"cut": text[: len(text) // 2], "empty": "", "prose": f"So: {text}"}[how]
    return json.dumps(answer).encode()


async def _fail(scope: Scope, receive: Receive, send: Send, status: int, headers: dict[str, str]) -> None:
    if status:
        error = {"error": {"message": "a fault made on purpose", "type": "rehearsal_fault"}}
        await JSONResponse(error, status, headers)(scope, receive, send)
        return
    start = [(b"content-type", b"application/json"), (b"content-length", b"4096")]
    await send({"type": "http.response.start", "status": 200, "headers": start})
    await send({"type": "http.response.body", "body": b'{"choices": [', "more_body": False})
