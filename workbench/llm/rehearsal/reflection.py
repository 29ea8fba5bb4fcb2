"""The rehearsal reflection role."""

from typing import Any


def reply(messages: list[dict[str, Any]], seed: int = 0) -> str:
    """Answer one reflection request."""
    return ""
