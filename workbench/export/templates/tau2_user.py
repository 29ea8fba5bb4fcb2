"""A τ²-bench user whose persona policy follows the whole prompt, as Persona Policies have it; generated, yours to change.

Beside it lies tasks.json, the benchmark's tasks with a policy each in ``user_scenario.persona``. There the policy
would stand before the instructions; this user takes it out and appends it after the prompt.

    python ppol_user.py run --domain retail --task-set-name ppol --user ppol --agent-llm … --user-llm …
"""

import json
import textwrap
from pathlib import Path

from tau2.data_model.tasks import Task
from tau2.registry import registry
from tau2.user.user_simulator import UserSimulator

TASKS = json.loads(Path(__file__).with_name("tasks.json").read_text(encoding="utf-8"))
POLICIES = sorted({task["user_scenario"]["persona"] for task in TASKS}, key=len, reverse=True)


def take_out(instructions):
    """Return the policy at the head of a rendered scenario, and the scenario without it."""
    for policy in POLICIES:
        head = "Persona:\n" + textwrap.indent(policy, "\t") + "\n"
        if instructions and instructions.startswith(head):
            return policy, instructions[len(head) :]
    return None, instructions


class PolicyUser(UserSimulator):
    """τ²-bench's own user simulator, with the policy after its prompt."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.policy, self.instructions = take_out(self.instructions)

    @property
    def system_prompt(self):
        """The simulator's prompt, then the policy."""
        prompt = super().system_prompt
        return f"{prompt}\n\n{self.policy}" if self.policy else prompt


def tasks(task_split_name=None):
    """Return every task; a persona belongs to no split of the benchmark's."""
    return [Task.model_validate(task) for task in TASKS]


registry.register_user(PolicyUser, "ppol")
registry.register_tasks(tasks, "ppol")

if __name__ == "__main__":
    from tau2.cli import main

    main()
