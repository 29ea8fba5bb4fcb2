"""The rehearsal user role."""

from typing import Any


def reply(messages: list[dict[str, Any]], seed: int = 0) -> str:
    """Answer one user request."""
    turn = sum(m["role"] == "assistant" for m in messages)
    return "Hello, I would like some help with my order, please." if turn == 0 else "Thank you. ###STOP###"
