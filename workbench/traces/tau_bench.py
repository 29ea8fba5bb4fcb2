"""tau-bench trajectories: a list of ``{task_id, reward, info, traj, trial}``."""

from __future__ import annotations

import re

from workbench.traces.dialogue import About, Dialogue, DroppedError, Json, at, played
from workbench.traces.numbering import tau2_task_id

NAME = "tau-bench trajectories"
WHOSE = {"user": "the simulated customer", "assistant": "the agent under test"}


def fits(record: Json) -> bool:
    """Tell by ``traj``."""
    return "traj" in record


def read(record: Json, about: About) -> Dialogue:
    """Read a trajectory; its domain is told by the agent's system prompt, else by the file's name."""
    if not record["traj"]:
        raise DroppedError("an empty trajectory")
    scenario = at(record, "info", "task", "instruction")
    dialogue = played(
        record, "traj", "tau-bench", about, record.get("reward"), record.get("trial"), scenario=scenario
    )
    # agents that write their calls as text get the results as if the user had said them
    dialogue.messages = [
        ("tool" if role == "user" and text.startswith("API output:") else role, text)
        for role, text in dialogue.messages
    ]
    head = next((text[:300] for role, text in dialogue.messages if role == "system"), "")
    named = re.search(r"\b(retail|airline)\b", f"{head} {about.file}".lower().replace("_", " "))
    dialogue.domain = named[1] if named else None
    dialogue.tau2_task_id = tau2_task_id(dialogue.task_id, dialogue.domain, "tau-bench")
    return dialogue
