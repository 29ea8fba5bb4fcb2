"""SDialog dialogues: ``turns`` of ``{speaker, text}``, with personas that tell who is the customer."""

from __future__ import annotations

import re
from typing import Any

from workbench.traces.dialogue import About, Dialogue, DroppedError, Json, at, text_of

NAME = "SDialog dialogues"
WHOSE = {"user": "the customer, by the speakers' names and personas", "assistant": "the other speaker"}

_AGENT = re.compile(
    r"agent|assistant|system|\bbot\b|chatbot|support|operator|advis[eo]r|clerk|represent|doctor|nurse|staff|\bai\b",
    re.IGNORECASE,
)
_USER = re.compile(r"user|customer|client|patient|caller|human|guest|buyer|student|visitor", re.IGNORECASE)


def fits(record: Json) -> bool:
    """Tell by ``turns`` of objects with ``text``."""
    turns = record.get("turns")
    return isinstance(turns, list) and all(isinstance(t, dict) and "text" in t for t in turns)


def read(record: Json, about: About) -> Dialogue:
    """Read a dialogue; thoughts, tool calls and instructions stand in its ``events`` and are no turns."""
    turns = record["turns"]
    if not turns:
        raise DroppedError("no turns")
    speakers = list(dict.fromkeys(str(turn.get("speaker") or "") for turn in turns))
    role = _roles(speakers, record.get("personas"), about.user)
    model = record.get("model")
    return Dialogue(
        [(role[str(turn.get("speaker") or "")], text_of(turn["text"]) or "") for turn in turns],
        "sdialog",
        id=text_of(record.get("id")),
        scenario=text_of(record.get("scenario")),
        user_model=text_of(model.get("name") if isinstance(model, dict) else model),
    )


def _roles(speakers: list[str], personas: Any, user: str | None) -> dict[str, str]:
    """Say who is the user: the speaker named by the reader, else the one whose name or persona is a customer's."""
    if user is not None:
        if user not in speakers:
            raise DroppedError(f"no speaker is called {user!r}")
        return {name: "user" if name == user else "assistant" for name in speakers}
    found: dict[str, str] = {}
    for name in speakers:
        about = at(personas, name)
        for text in map(str, (name, at(about, "role"), at(about, "_metadata", "className"))):
            if _AGENT.search(text) or _USER.search(text):  # "customer support agent" is an agent
                found[name] = "assistant" if _AGENT.search(text) else "user"
                break
    if len(speakers) == 2 and len(found) == 1:
        known = next(iter(found))
        other = next(name for name in speakers if name != known)
        found[other] = "user" if found[known] == "assistant" else "assistant"
    if set(found) != set(speakers) or "user" not in found.values():
        raise DroppedError(
            f"whose turns are the user's is not told (speakers {', '.join(speakers)}); name it"
        )
    return found
