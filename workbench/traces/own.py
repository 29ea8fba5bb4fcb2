"""One JSON object a line: a person's side (``user``) or a whole conversation (``messages``, as OpenAI writes it)."""

from __future__ import annotations

from workbench.traces.dialogue import About, Dialogue, Json, a_list, content, number, role_of, text_of, whole
from workbench.traces.numbering import tau2_task_id

NAME = "chat JSONL"
WHOSE = {"user": "the customer: a person or a simulator, as the file has it", "assistant": "the agent"}


def fits(record: Json) -> bool:
    """Tell by the fields ``user`` or ``messages``."""
    return "messages" in record or "user" in record


def read(record: Json, about: About) -> Dialogue:
    """Read a record; a mistake in it stops the file, since it is most likely one's own."""
    where = about.where
    if "messages" in record:
        messages = [(role_of(m, where), content(m.get("content"))) for m in a_list(record, "messages", where)]
    else:
        messages = [("user", content(message)) for message in a_list(record, "user", where)]
    source = text_of(record.get("source")) or about.file
    domain, task, trait = (text_of(record.get(name)) for name in ("domain", "task_id", "trait"))
    ended = (text_of(record.get("end_token")) or "").strip("#").lower().replace("-", "_") or None
    return Dialogue(
        messages or [("system", "")],  # an empty record keeps its place
        source,
        id=text_of(record.get("id")),
        domain=domain,
        task_id=task,
        tau2_task_id=text_of(record["tau2_task_id"])
        if "tau2_task_id" in record
        else tau2_task_id(task, domain, source),
        trial=whole(record.get("trial"), "trial", where),
        trait=trait,
        reward=number(record.get("reward"), "reward", where),
        scenario=text_of(record.get("instruction")),
        ended_by=ended,
        user_model=text_of(record.get("user_model")),
    )
