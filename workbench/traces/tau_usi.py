"""The human dialogues of tau-usi: ``tau_bench_tasks_unified.json``, which ppol ships as ``tau_bench_human.json``."""

from __future__ import annotations

import re

from workbench.traces.dialogue import (
    About,
    Dialogue,
    DroppedError,
    Json,
    Message,
    a_list,
    content,
    number,
    role_of,
)
from workbench.traces.numbering import tau2_task_id

NAME = "tau-usi"
WHOSE = {"user": "a real person playing a tau-bench customer", "assistant": "the LLM agent: speech only"}
TERMS = "tau-usi: research and evaluation only, never for training a language model"

_COMMAND = "commands to a program, no speech"
_KEY = re.compile(r"(?P<domain>.+?)[_-](?P<task>\d+)(?:_ann\d+)?")
_BLOCK = re.compile(r"<\|(\w+)\|>(.*?)(?:<\|/\1\|>|$)|<function=.*?(?:</function>|$)", re.DOTALL)
_STRAY = re.compile(r"</?(?:commentary|analysis|final)>")  # of the agent's own markup
_INSTRUCTION = re.compile(r"\*\*Instruction:\*\*(.*?)(?=\n\s*\*\*|\Z)", re.DOTALL)
# People were told to end with /stop, and typed it in several ways.
_STOP = re.compile(r"(?:\S\s+)?[/\\]\s*(?:stop|sop|stp|sto|top|stpo|sotp)\W*|stop\W*", re.IGNORECASE)
_STOP_AFTER = re.compile(r"\s[/\\]\s*stop\W*$", re.IGNORECASE)


def is_source(name: str) -> bool:
    """Tell whether a source is tau-usi, however it is spelled (``tau_usi``, ``TauUSI people``)."""
    plain = re.sub(r"[^a-z]", "", name.lower())
    return any(known in plain for known in ("tauusi", "taubenchhuman", "taubenchtasksunified"))


def fits(record: Json) -> bool:
    """Tell by a ``conversation`` of messages."""
    return isinstance(record.get("conversation"), list)


def read(record: Json, about: About) -> Dialogue:
    """Read a record: speech of both sides up to ``/stop``, tool results, and the instruction as the scenario."""
    if record.get("keep") is False:
        raise DroppedError("marked 'keep: false' by its makers")
    key = about.key or str(record.get("instance_id") or "")
    named = _KEY.fullmatch(key)
    domain, task = (named["domain"], named["task"]) if named else (None, None)
    dialogue = Dialogue(
        [],
        "tau-usi",
        id=key or None,
        domain=domain,
        task_id=task,
        tau2_task_id=tau2_task_id(task, domain, "tau-usi"),
        reward=number(record.get("reward"), "reward", about.where),
    )
    conversation = a_list(record, "conversation", about.where)
    for place, message in enumerate(conversation):
        role, text = role_of(message, about.where), content(message.get("content"))
        if role != "user":
            dialogue.messages += _heard(role, text, dialogue)
            continue
        spoken, stopped = _typed(text, dialogue)
        dialogue.messages += [("user", spoken)] if spoken else []
        if stopped:
            dialogue.ended_by = "stop"
            dialogue.lost["messages after /stop, such as the survey"] += len(conversation) - place - 1
            break
    if not any(role == "user" for role, _ in dialogue.messages):
        raise DroppedError("the person said nothing")
    return dialogue


def _heard(role: str, text: str, dialogue: Dialogue) -> list[Message]:
    """Split an agent's message into tool results and speech; the first canvas tells the scenario."""
    results: list[Message] = []
    for block in _BLOCK.finditer(text):
        kind = block[1] or "function"
        if kind == "tool":
            results.append(("tool", block[2].strip()))
        elif kind == "canvas" and dialogue.scenario is None:
            told = _INSTRUCTION.search(block[2])
            dialogue.scenario = (told[1] if told else block[2]).strip()
        else:
            dialogue.lost[f"<{kind}> blocks"] += 1
    spoken = re.sub(r"\n{3,}", "\n\n", _STRAY.sub("", _BLOCK.sub("", text))).strip()
    return [*results, *([(role, spoken)] if spoken else [])]


def _typed(text: str, dialogue: Dialogue) -> tuple[str, bool]:
    """Return what a person said in a message, without commands, and whether it asked to stop."""
    said: list[str] = []
    for line in text.strip().splitlines():
        plain = line.strip()
        whole = _STOP.fullmatch(plain) if not said or {"/", "\\"} & set(plain) else None
        stop = whole or _STOP_AFTER.search(plain)
        if stop:
            dialogue.lost[_COMMAND] += 1
            return "\n".join([*said, *([plain[: stop.start()]] if stop.start() else [])]).strip(), True
        if re.match(r"\\\w+", plain):
            dialogue.lost[_COMMAND] += 1
        else:
            said.append(line)
    return "\n".join(said).strip(), False
