"""One dialogue as every reader gives it, and the small conversions that readers share."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from workbench.errors import WorkbenchError

Json = dict[str, Any]
Message = tuple[str, str]
ROLES = ("user", "assistant", "tool", "system")
_ALIASES = {
    **dict.fromkeys(("agent", "ai", "bot"), "assistant"),
    **dict.fromkeys(("human", "customer"), "user"),
    "function": "tool",
    "developer": "system",
}
_ENDINGS = {"###STOP###": "stop", "###TRANSFER###": "transfer", "###OUT-OF-SCOPE###": "out_of_scope"}


class DroppedError(Exception):
    """A record that holds no dialogue to be read; the text is the reason, for the mapping report."""


@dataclass
class About:
    """What stands around a record: where it is, its file's name, its key, and the fields before it in its file."""

    where: str
    file: str = ""
    key: str | None = None
    header: Json = field(default_factory=dict)
    user: str | None = None


@dataclass
class Dialogue:
    """Messages in order as (role, text), and what the record says about them; ``lost`` counts what was left out."""

    messages: list[Message]
    source: str
    id: str | None = None
    domain: str | None = None
    task_id: str | None = None
    tau2_task_id: str | None = None
    trial: int | None = None
    trait: str | None = None
    reward: float | None = None
    scenario: str | None = None
    ended_by: str | None = None
    user_model: str | None = None
    lost: Counter[str] = field(default_factory=Counter)


def role_of(message: Any, where: str) -> str:
    """Return a message's role in our words.

    Raises
    ------
    WorkbenchError
        It has none, or one that is not known.
    """
    if not isinstance(message, dict) or "role" not in message:
        raise WorkbenchError(
            f"{where} has a message without a role: expected objects with 'role' and 'content'"
        )
    role = message["role"]
    role = _ALIASES.get(role.lower(), role.lower()) if isinstance(role, str) else role
    if role not in ROLES:
        raise WorkbenchError(f"{where} has a message of role {role!r}: known roles are {', '.join(ROLES)}")
    return str(role)


def speech(messages: Any, where: str, lost: Counter[str]) -> list[Message]:
    """Return what a benchmark's transcript holds as messages: speech, tool results and system prompts.

    Text that an agent writes beside a tool call is shown to nobody, and a call itself is no speech: both are left
    out and counted.
    """
    found: list[Message] = []
    for message in messages:
        role, value = role_of(message, where), message.get("content")
        listed = isinstance(value, list)
        parts = [part for part in value if isinstance(part, dict)] if listed else []
        if message.get("tool_calls") or any("tool_use" in str(part.get("type")) for part in parts):
            lost["tool calls, which are no speech"] += 1
            texts = [str(part["text"]) for part in parts if "text" in part] if listed else [content(value)]
            lost["texts beside a tool call, which the user never sees"] += any(t.strip() for t in texts)
        else:
            found.append((role, content(value)))
    return found


def played(
    record: Json, name: str, source: str, about: About, reward: Any = None, trial: Any = None, **texts: Any
) -> Dialogue:
    """Make a dialogue of a benchmark's record, whose transcript is called so: speech up to the ending token."""
    lost: Counter[str] = Counter()
    messages, ended = until_end(speech(a_list(record, name, about.where), about.where, lost))
    task = text_of(record.get("task_id"))
    return Dialogue(
        messages,
        source,
        task_id=task,
        tau2_task_id=task,
        trial=whole(trial, "trial", about.where),
        reward=number(reward, "reward", about.where),
        ended_by=ended,
        lost=lost,
        **{field: text_of(value) for field, value in texts.items()},
    )


def until_end(messages: list[Message]) -> tuple[list[Message], str | None]:
    """Cut a transcript where the user wrote an ending token, and say which; the words beside it stay."""
    for i, (role, text) in enumerate(messages):
        token = next((t for t in _ENDINGS if t in text), None) if role == "user" else None
        if token:
            rest = text.replace(token, "").strip()
            return [*messages[:i], *([("user", rest)] if rest else [])], _ENDINGS[token]
    return messages, None


def content(value: Any) -> str:
    """Give a message's text: of text parts their texts, of nothing the empty string, of anything else its JSON."""
    if isinstance(value, dict) and "content" in value:
        value = value["content"]
    if isinstance(value, list) and all(isinstance(at(part, "text"), str) for part in value):
        value = "\n".join(part["text"] for part in value)
    return text_of(value) or ""


def at(value: Any, *path: str) -> Any:
    """Look up a value in objects within objects; None where one of them is missing or no object."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def text_of(value: Any) -> str | None:
    """Give a value as a string that polars can hold (a lone surrogate is legal in JSON, not in UTF-8)."""
    if value is None or (isinstance(value, str) and value.isascii()):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode("utf-8")


def number(value: Any, name: str, where: str) -> float | None:
    """Give a value as a number; NaN and infinity are None.

    Raises
    ------
    WorkbenchError
        It is neither a number nor null.
    """
    if value is None:
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        raise WorkbenchError(f"{where} has {name} {str(value)[:40]!r}: expected a number or null") from None
    return found if math.isfinite(found) else None


def whole(value: Any, name: str, where: str) -> int | None:
    """Give a value as a whole number (else as :func:`number`)."""
    found = number(value, name, where)
    if found is not None and (found != int(found) or abs(found) >= 2**53):
        raise WorkbenchError(f"{where} has {name} {found}: expected a whole number")
    return None if found is None else int(found)


def a_list(record: Json, name: str, where: str) -> list[Any]:
    """Return a record's list of messages.

    Raises
    ------
    WorkbenchError
        The field is no list.
    """
    if not isinstance(record[name], list):
        raise WorkbenchError(f"{where} has '{name}' that is no list: expected a list of messages")
    return list(record[name])
