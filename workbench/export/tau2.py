"""Personas for τ²-bench: its tasks with a persona each, and a plug-in that puts the policy where PPol has it."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.export.choose import Choice
from workbench.export.files import Written, document, put
from workbench.simulate.tau2.tasks import DOMAINS, data_folder, scenario_text

POSITION = (
    "The persona policy stands in user_scenario.persona, before the instructions; Persona Policies append it "
    "after the whole prompt. Results of the two positions are not comparable."
)


def tasks(choice: Choice, out: Path) -> Written:
    """Write a copy of its task for every persona, with an id of its own and a note on the policy's position."""
    records = _records(choice)
    return Written(put({out: document(records)}), len(records), f"tasks of {choice.label}", [POSITION])


def plugin(choice: Choice, out: Path) -> Written:
    """Write those tasks and a module that registers them and a user with the policy as suffix."""
    if out.exists() and not out.is_dir():
        raise WorkbenchError(f"{out} is a file; tau2-plugin writes a folder.")
    records = _records(choice)
    source = (resources.files("workbench.export.templates") / "tau2_user.py").read_text()
    files = put({out / "tasks.json": document(records), out / "ppol_user.py": source})
    how = (
        f"python ppol_user.py run --domain {choice.source.settings.domain} --task-set-name ppol --user ppol …"
    )
    return Written(files, len(records), f"tasks of {choice.label}", [f"In τ²-bench's environment: {how}"])


def _records(choice: Choice) -> list[dict[str, Any]]:
    domain = choice.source.settings.domain
    known: dict[str, dict[str, Any]] = {}
    if domain in DOMAINS:
        found = json.loads((data_folder() / "domains" / domain / "tasks.json").read_text(encoding="utf-8"))
        known = {str(task["id"]): task for task in found}
    records = []
    for i, persona in enumerate(choice.personas):
        task = known.get(persona["task_id"])
        if task is None or persona["context"] != scenario_text(task["user_scenario"]):
            raise WorkbenchError(
                f"Task {persona['task_id']} of {choice.source.place} is none of τ²-bench's; tau2 needs the benchmark's own "
                "tasks. Export jsonl for any scenario."
            )
        origin = choice.provenance | {key: persona[key] for key in ("task_id", "persona_id", "hash")}
        notes = {"notes": f"{POSITION} {json.dumps(origin)}"}
        records.append(
            task
            | {
                "id": f"{persona['task_id']}-{i:03d}-{persona['hash']}",
                "description": (task.get("description") or {}) | notes,
                "user_scenario": task["user_scenario"] | {"persona": persona["policy"]},
            }
        )
    return records
