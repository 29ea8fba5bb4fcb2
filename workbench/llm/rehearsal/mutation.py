"""The rehearsal mutation role."""

from typing import Any


def reply(messages: list[dict[str, Any]], seed: int = 0) -> str:
    """Answer one mutation request."""
    return ""
