"""Records of RealUserSim's test sets: real users' messages with the goal they had."""

from __future__ import annotations

import json

from workbench.traces.dialogue import About, Dialogue, DroppedError, Json, a_list, content, role_of, text_of

NAME = "RealUserSim records"
WHOSE = {"user": "a real person", "assistant": "the chatbot that answered"}
TERMS = "RealUserSim: ODC-BY 1.0, name the source"


def fits(record: Json) -> bool:
    """Tell by ``original_messages``."""
    return "original_messages" in record


def read(record: Json, about: About) -> Dialogue:
    """Read a record; the scenario is its ``problem_desc``, else ``user_goal``; profiles are left aside."""
    if isinstance(record["original_messages"], str):  # some tables keep lists as text
        try:
            record = record | {"original_messages": json.loads(record["original_messages"])}
        except ValueError:
            raise DroppedError("messages that are no JSON") from None
    messages, task = a_list(record, "original_messages", about.where), text_of(record.get("test_id"))
    return Dialogue(
        [(role_of(m, about.where), content(m.get("content"))) for m in messages],
        "RealUserSim",
        id=text_of(record.get("conversation_hash")),
        domain=text_of(record.get("domain")),
        task_id=task,
        tau2_task_id=task,
        scenario=text_of(record.get("problem_desc") or record.get("user_goal")),
    )
