"""The client every part uses: roles, one limit of requests in flight, caps, usage, and a replay cache."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.llm.limit import OVERLOADED, Limit, Pace, Patience, passing
from workbench.llm.reply import LLMError, Replies, Reply, ToolCall, read
from workbench.llm.roles import ROLES, Endpoint, cost_of, price

__all__ = ["Client", "LLMError", "Message", "Reply", "ToolCall", "count", "metered"]

Message = dict[str, Any]
FIRST_GUESS_OUT = 500  # tokens of a reply, where the endpoint sets no maximum: only to keep under a cap
TIMEOUT = 120.0  # seconds for one answer, where the endpoint sets no other
UNUSABLE = "Your last answer could not be used: {}. Please answer again."


_METER: ContextVar[dict[str, Any] | None] = ContextVar("meter", default=None)


@contextmanager
def metered(meter: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
    """Count what everything asked inside the block took, also in tasks started there.

    ``retries`` are requests repeated after a fault in transport, ``malformed`` answers that could not be used.
    """
    counts = dict.fromkeys(("requests", "tokens_in", "tokens_out", "retries", "malformed"), 0)
    meter = counts | {"cost": 0.0} if meter is None else meter
    token = _METER.set(meter)
    try:
        yield meter
    finally:
        _METER.reset(token)


def count(what: str, number: int = 1) -> None:
    """Add to a number of the meter that is running, if one is."""
    if (meter := _METER.get()) is not None:
        meter[what] += number


@dataclass
class Client:
    """Chat with the models that play the roles.

    Parameters
    ----------
    roles
        An endpoint for each role.
    cache
        SQLite file of replies, keyed by the request with its seed; None keeps nothing.
    concurrency
        Requests in flight at once, over all roles.
    max_cost, max_tokens
        Caps in US dollars and in tokens for the life of this client plus ``spent``.
    patience
        Seconds to wait for an endpoint that cannot be reached, over and above the retries of one request.
    on_wait
        Called with a sentence while the client waits for a dead endpoint.
    on_spend
        Called with (role, model, reply) for every reply that was not replayed.
    """

    roles: Mapping[str, Endpoint]
    cache: Path | None = None
    concurrency: int = 30
    max_retries: int = 8
    patience: float = 600.0
    max_cost: float | None = None
    max_tokens: int | None = None
    spent: tuple[float, int] = (0.0, 0)
    on_spend: Callable[[str, str, Reply], None] | None = None
    on_wait: Callable[[str], None] | None = None

    def __post_init__(self) -> None:
        if self.max_cost is not None:
            unpriced = sorted({e.model for e in self.roles.values() if price(e) is None})
            if unpriced:
                raise WorkbenchError(
                    f"A cap in money needs a price for {', '.join(unpriced)}; set usd_per_million_tokens in a roles file, or use a cap in tokens."
                )
        self.limit = Limit(self.concurrency)
        self._patience = Patience(self.patience)
        self._apis: dict[tuple[Any, ...], Any] = {}
        self._pace: dict[tuple[str | None, str], Pace] = {}
        self._replies = Replies(self.cache) if self.cache else None
        self._cost, self._tokens = self.spent

    async def chat(
        self,
        role: str,
        messages: Sequence[Message],
        *,
        seed: int,
        tools: Sequence[Mapping[str, Any]] | None = None,
        temperature: float | None = None,
    ) -> Reply:
        """Send one request and return its reply.

        The body is cached with its ``seed``, so repeated samples stay distinct and a finished run
        replays for nothing. An answer that cannot be used (nothing in it, no message, a refusal, tool arguments
        that are no JSON object) is asked for once more with another seed, then with the fault told. Tool
        arguments that are still unreadable are returned: the tool's error tells the model.

        Raises
        ------
        LLMError
            When the endpoint fails after retries, gives no usable answer three times, or a cap is reached.
        """
        endpoint = self.roles[role]
        body: dict[str, Any] = {"model": endpoint.model, "messages": list(messages), "seed": seed}
        if tools:
            body["tools"] = list(tools)
        temperature = endpoint.temperature if temperature is None else temperature
        if temperature is not None:
            body["temperature"] = temperature
        if endpoint.max_tokens is not None:
            body[endpoint.limit_name] = endpoint.max_tokens
        key, raw = "", _encoded(body)
        if self._replies and not endpoint.offline:
            key = hashlib.sha256(f"{endpoint.base_url}\0".encode() + raw).hexdigest()
            if (old := self._replies.get(key)) is not None:
                return read(old, endpoint)[0]._replace(cached=True)
        async with self.limit.slot():
            answer, reply = await self._ask(endpoint, body, raw, role)
        if key and self._replies:
            self._replies.put(key, answer)
        return reply

    async def _ask(
        self, endpoint: Endpoint, body: dict[str, Any], raw: bytes, role: str
    ) -> tuple[dict[str, Any], Reply]:
        fault = ""
        for attempt in range(3):
            with self._hold(*self._expected(endpoint, raw)):
                answer = await self._post(endpoint, "/chat/completions", raw)
            reply, fault = read(answer, endpoint)
            self.took(role, endpoint.model, reply)
            if fault:
                count("malformed")
            if not fault or (attempt == 2 and reply.tool_calls):
                return answer, reply
            body = body | {"seed": (body["seed"] + 1) % 2**31}
            if attempt == 1:
                told = {"role": "user", "content": UNUSABLE.format(fault)}
                body["messages"] = [*body["messages"], told]
            raw = _encoded(body)
        raise LLMError("content", fault)

    def took(self, role: str, model: str, reply: Reply) -> None:
        """Count what a request took, also one that was made elsewhere."""
        self._cost += reply.cost or 0.0
        self._tokens += reply.tokens_in + reply.tokens_out
        if (meter := _METER.get()) is not None:
            meter["requests"] += 1
            meter["tokens_in"] += reply.tokens_in
            meter["tokens_out"] += reply.tokens_out
            meter["cost"] = (
                None if meter["cost"] is None or reply.cost is None else meter["cost"] + reply.cost
            )
        if self.on_spend:
            self.on_spend(role, model, reply)

    def _expected(self, endpoint: Endpoint, raw: bytes) -> tuple[float, int]:
        """Guess what a request will take at most; LLMError when that would pass a cap."""
        if self.max_cost is None and self.max_tokens is None:
            return 0.0, 0
        tokens_in = len(raw) // 4
        tokens_out = endpoint.max_tokens or FIRST_GUESS_OUT
        cost = cost_of(endpoint, tokens_in, tokens_out) or 0.0
        if self.max_cost is not None and self._cost + cost > self.max_cost:
            raise LLMError("cap", f"the next request would pass the limit of ${self.max_cost:.2f}")
        if self.max_tokens is not None and self._tokens + tokens_in + tokens_out > self.max_tokens:
            raise LLMError("cap", f"the next request would pass the limit of {self.max_tokens:,} tokens")
        return cost, tokens_in + tokens_out

    @contextmanager
    def _hold(self, cost: float, tokens: int) -> Iterator[None]:
        """Count as spent inside the block, so that requests in flight cannot pass a cap together."""
        self._cost, self._tokens = self._cost + cost, self._tokens + tokens
        try:
            yield
        finally:
            self._cost, self._tokens = self._cost - cost, self._tokens - tokens

    @contextmanager
    def lend(self, parts: int) -> Iterator[tuple[float | None, int | None]]:
        """Set aside one of ``parts`` equal parts of the money and tokens still allowed, for others to spend."""
        cost = None if self.max_cost is None else max(0.0, self.max_cost - self._cost) / parts
        tokens = None if self.max_tokens is None else max(0, self.max_tokens - self._tokens) // parts
        with self._hold(cost or 0.0, tokens or 0):
            yield cost, tokens

    async def embeddings(self, endpoint: Endpoint, texts: Sequence[str]) -> list[list[float]]:
        """Return one vector a text, in their order, from the endpoint's ``/embeddings``.

        Raises
        ------
        LLMError
            When the endpoint fails after retries, or does not answer with a vector for each text.
        """
        body = {"model": endpoint.model, "input": list(texts), "encoding_format": "float"}
        answer = await self._post(endpoint, "/embeddings", _encoded(body))
        try:
            data = sorted(answer["data"], key=lambda d: d["index"])
            rows = [[float(x) for x in d["embedding"]] for d in data]
        except (KeyError, TypeError, ValueError):
            rows = []
        if len(rows) != len(texts) or len({len(row) for row in rows}) > 1:
            raise LLMError(
                "content", f"{endpoint.model} gave no vector for each text; is it an embedding model?"
            )
        return rows

    async def _post(self, endpoint: Endpoint, path: str, raw: bytes) -> dict[str, Any]:
        """Send a request until it is answered: repeated after faults that may pass, waiting for a dead endpoint."""
        import openai

        pace = self._pace.setdefault((endpoint.base_url, endpoint.model), Pace())
        tries = 0
        while True:
            began = time.monotonic()
            try:
                # `post` costs a third of the CPU of `chat.completions.create`, which validates each tool schema.
                answer = await self._api(endpoint).post(path, content=raw, cast_to=object)
                break
            except openai.OpenAIError as error:
                told = _told(endpoint, error)
                response = getattr(error, "response", None)
                headers = response.headers if response is not None else {}
                status = getattr(error, "status_code", None)
                passes = passing(status, getattr(error, "code", None), headers)
            if status in OVERLOADED:
                self.limit.overloaded()
            pause = pace.pause(tries, headers)
            if endpoint.offline or not passes or pause is None:
                raise LLMError("transport", told)
            tries += 1
            count("retries")
            if tries <= self.max_retries:
                await asyncio.sleep(pause)
                continue
            if self.on_wait and self.patience:
                self.on_wait(f"{told} Waiting for it.")
            if not await self._patience.wait():
                raise LLMError("transport", told)
        pace.took(time.monotonic() - began)
        self._patience.over()
        self.limit.succeeded()
        return answer if isinstance(answer, dict) else {}

    def _api(self, endpoint: Endpoint) -> Any:
        """Return the API client for an endpoint, made on first use."""
        place = (endpoint.base_url, endpoint.api_key_env, endpoint.offline, endpoint.timeout)
        if place not in self._apis:
            import httpx2
            import openai

            if endpoint.offline:
                from workbench.llm.rehearsal.app import app

                inside = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
                self._apis[place] = openai.AsyncOpenAI(
                    api_key="none",
                    base_url="http://rehearsal/v1",
                    http_client=httpx2.AsyncClient(transport=inside),
                    max_retries=0,
                )
            else:
                self._apis[place] = openai.AsyncOpenAI(
                    api_key=endpoint.key(),
                    base_url=endpoint.base_url,
                    # On aiohttp a request costs about 0.6 of the CPU that it costs on httpcore2 (docs/engine.md).
                    http_client=openai.DefaultAioHttpClient(),
                    timeout=openai.Timeout(endpoint.timeout or TIMEOUT, connect=10.0),
                    max_retries=0,  # `_post` repeats, at the endpoint's own pace
                )
        return self._apis[place]

    async def check(self, roles: Sequence[str] = ROLES) -> list[str]:
        """Ask the endpoints of roles for their models; return a line for each role. Used before a run starts.

        Raises
        ------
        WorkbenchError
            When a key is missing, an endpoint cannot be reached, or it does not know a role's model.
        """
        import openai

        lists: dict[Any, list[str]] = {}
        lines = []
        for role in roles:
            endpoint = self.roles[role]
            api = self._api(endpoint)
            if api not in lists:
                try:
                    quick = api.with_options(max_retries=1, timeout=10.0)
                    lists[api] = [m.id async for m in quick.models.list()]
                except openai.NotFoundError:
                    lists[api] = []  # some servers list no models: the first request will tell
                except openai.OpenAIError as error:
                    raise WorkbenchError(_told(endpoint, error)) from None
            known = lists[api]
            if known and not {endpoint.model, f"{endpoint.model}:latest"} & set(known):  # as Ollama names it
                near = ", ".join(get_close_matches(endpoint.model, known, n=5, cutoff=0))
                raise WorkbenchError(
                    f"{endpoint.place} has no model '{endpoint.model}' for the role {role}; it has {near}."
                )
            lines.append(f"{role:<10} {endpoint.model} at {endpoint.place}")
        return lines

    async def aclose(self) -> None:
        """Close connections and the cache."""
        for api in self._apis.values():
            await api.close()
        self._apis.clear()
        if self._replies:
            self._replies.close()
            self._replies = None


def _encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def _told(endpoint: Endpoint, error: Exception) -> str:
    """Say what went wrong in one sentence, without the key."""
    import aiohttp
    import httpx2
    import openai

    refused = isinstance(error.__cause__, httpx2.ConnectTimeout) and isinstance(
        error.__cause__.__cause__, ConnectionError | aiohttp.ClientOSError | aiohttp.ServerDisconnectedError
    )  # the aiohttp transport calls these a timeout
    if isinstance(error, openai.APITimeoutError) and not refused:
        return f"{endpoint.place} did not answer in time; is it overloaded?"
    if isinstance(error, openai.APIConnectionError):
        return f"{endpoint.place} cannot be reached; is the server running and the address right?"
    if isinstance(error, openai.AuthenticationError):
        return (
            f"{endpoint.place} refused the key in {endpoint.api_key_env}; set that variable to a valid key."
        )
    text = str(getattr(error, "message", error)).replace(
        os.environ.get(endpoint.api_key_env) or "\0", "[key]"
    )
    return f"{endpoint.place} failed for model {endpoint.model}: {text[:300]}"
