"""tau-bench trajectories: a list of ``{task_id, reward, info, traj, trial}``."""

from __future__ import annotations

import re
from collections import Counter

from workbench.traces.dialogue import (
    About,
    Dialogue,
    DroppedError,
    Json,
    a_list,
    number,
    speech,
    text_of,
    until_end,
    whole,
)
from workbench.traces.numbering import tau2_task_id

NAME = "tau-bench trajectories"
WHOSE = {"user": "the simulated customer", "assistant": "the agent under test"}


def fits(record: Json) -> bool:
    """Tell by ``traj``."""
    return "traj" in record


def read(record: Json, about: About) -> Dialogue:
    """Read a trajectory; its domain is told by the agent's system prompt, else by the file's name."""
    lost: Counter[str] = Counter()
    if not record["traj"]:
        raise DroppedError("an empty trajectory")
    messages = speech(a_list(record, "traj", about.where), about.where, lost)
    # agents that write their calls as text get the results as if the user had said them
    messages = [
        ("tool", t) if role == "user" and t.startswith("API output:") else (role, t) for role, t in messages
    ]
    head = next((text[:300] for role, text in messages if role == "system"), "")
    named = re.search(r"\b(retail|airline)\b", f"{head} {about.file}".lower().replace("_", " "))
    domain, task = named[1] if named else None, text_of(record.get("task_id"))
    messages, ended = until_end(messages)
    facts = record.get("info") if isinstance(record.get("info"), dict) else {}
    told = (facts or {}).get("task")
    return Dialogue(
        messages,
        "tau-bench",
        domain=domain,
        task_id=task,
        tau2_task_id=tau2_task_id(task, domain, "tau-bench"),
        trial=whole(record.get("trial"), "trial", about.where),
        reward=number(record.get("reward"), "reward", about.where),
        scenario=text_of(told.get("instruction")) if isinstance(told, dict) else None,
        ended_by=ended,
        lost=lost,
    )
