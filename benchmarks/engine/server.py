"""A scripted model server: answers every role of this engine and of ppol by rule, after a set latency.

It is one asyncio protocol on purpose: on two cores a server that costs as much CPU as the client would be what the
benchmark measures. Answers are pure functions of the request; whether a request fails depends on the seed, its body
and how often it was sent. ``POST /set`` changes latency and fault shares, ``GET /count`` says what was answered.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import re
from collections import Counter
from typing import Any, ClassVar

USER_TURNS = 6
SAID = (
    "Hi, I have a problem with my order.",
    "Ok.",
    "I think it was order #W2378156, but I am not sure.",
    "Why does that take so long? This is ridiculous.",
    "Could you please check that again?",
    "yes, go ahead",
    "No, that's not what I asked for.",
    "Thank you, that helps a lot.",
    "My name is Yusuf Rossi and my zip code is 19122.",
    "I want to exchange the keyboard for one with clicky switches.",
    "What are my options?",
    "Can I get the money back to my card instead?",
    "hmm, wait",
    "Actually, let us do it differently: cancel the whole thing.",
    "Are you sure about that?",
    "Fine.",
)
POLICY = "You write briefly, leave out greetings, and ask again when something is unclear. " * 12
ANSWER = "I can help you with that. Could you give me your order number, and tell me what you would like to change?"


def answer(body: dict[str, Any]) -> str:
    """Return what the model says; the role is in the model's name, or to be read off the prompt."""
    messages = body["messages"]
    model = str(body["model"])
    last = str(messages[-1]["content"])
    if model.endswith("agent"):
        return ANSWER
    if model.endswith("user"):
        turn = 1 + sum(m["role"] == "assistant" for m in messages)
        rng = random.Random(str(messages[0]["content"])[-900:] + str(turn))
        text = " ".join(rng.sample(SAID, rng.choice((1, 1, 2, 3))))
        return text + (" ###STOP###" if turn >= USER_TURNS else "")
    if "<<<<<<< SEARCH" in last or model.endswith("mutation"):
        program = "\n".join(str(m["content"]) for m in messages)
        line = re.search(r"^DIVERSITY_AXES: .*\[$", program, re.MULTILINE)
        found = line[0] if line else "DIVERSITY_AXES = ["
        mark = hashlib.sha256(f"{program}{body.get('seed')}".encode()).hexdigest()[:12]
        return f"A note.\n<<<<<<< SEARCH\n{found}\n=======\n# variant {mark}\n{found}\n>>>>>>> REPLACE\n"
    if wanted := re.search(r"(?:exactly|need) (\d+)", last):
        axes = dict.fromkeys(re.findall(r'"behavior": "(\w+)"', last), True)
        members = [
            {
                "persona_id": f"p{i}",
                "description": f"Person {i} of this group.",
                "reasoning": "one more kind",
                "axis_placement": {a: (i >> k) % 2 == 0 for k, a in enumerate(axes)},
            }
            for i in range(int(wanted[1]))
        ]
        return json.dumps({"members": members} if '"members"' in last else members)
    if person := re.search(r"Person \d+", last):
        return f"{POLICY} {person[0]} {hashlib.sha256(last.encode()).hexdigest()[:6]}"
    return "The least human customers greet too much; the best ones are short. Vary length and courtesy more."


class State:
    """What the server is set to, and what it has done."""

    latency = 0.0
    too_many = 0.0
    broken = 0.0
    malformed = 0.0
    seed = 7
    count: ClassVar[Counter[str]] = Counter()
    sent: ClassVar[Counter[bytes]] = Counter()
    in_flight = 0


def reply(raw: bytes) -> tuple[int, bytes]:
    """Return status and body for a chat request, with a fault where its luck says so."""
    name = hashlib.sha256(raw).digest()
    State.sent[name] += 1
    luck = random.Random(f"{State.seed}{name.hex()}{State.sent[name]}").random()
    State.count["requests"] += 1
    for status, share in ((429, State.too_many), (500, State.broken)):
        if luck < share:
            State.count[str(status)] += 1
            return status, b'{"error": {"message": "a scripted fault"}}'
        luck -= share
    try:
        body = json.loads(raw)
    except ValueError:
        State.count["not JSON"] += 1
        return 400, b'{"error": {"message": "not JSON"}}'
    text = answer(body)
    State.count["episodes"] += text.endswith("###STOP###")
    if luck < State.malformed:
        State.count["malformed"] += 1
        text = "" if int(name.hex(), 16) % 2 else text[: len(text) // 2]
    message = {"role": "assistant", "content": text}
    found = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": len(raw) // 4,
            "completion_tokens": len(text) // 4,
            "total_tokens": len(raw) // 4,
        },
    }
    return 200, json.dumps(found).encode()


class Wire(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, one request at a time on a connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start with an empty buffer."""
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.data = transport, bytearray()

    def data_received(self, data: bytes) -> None:
        """Answer when a request is complete."""
        self.data += data
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self.data[:end])
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        size = int(length[1]) if length else 0
        if len(self.data) < end + 4 + size:
            return
        body = bytes(self.data[end + 4 : end + 4 + size])
        del self.data[: end + 4 + size]
        path = head.split(b" ", 2)[1]
        if path == b"/set":
            for key, value in json.loads(body).items():
                setattr(State, key, value)
            State.count.clear()
            State.sent.clear()
            self.write(200, b"{}")
        elif path == b"/count":
            self.write(200, json.dumps(State.count).encode())
        elif path.endswith(b"/models"):
            self.write(200, b'{"object": "list", "data": []}')
        else:
            State.in_flight += 1
            State.count["most in flight"] = max(State.count["most in flight"], State.in_flight)
            asyncio.get_running_loop().call_later(State.latency / 1000, self.later, *reply(body))

    def later(self, status: int, body: bytes) -> None:
        """Send an answer whose latency is over."""
        State.in_flight -= 1
        self.write(status, body)

    def write(self, status: int, body: bytes) -> None:
        """Send an answer."""
        if not self.transport.is_closing():
            head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            self.transport.write(head.encode() + body)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    server = await asyncio.get_running_loop().create_server(
        Wire, "127.0.0.1", parser.parse_args().port, backlog=1000
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
