"""τ²-bench retail and airline as they come with ``inspect-evals``: tasks, prompts, tools and reward.

The only place that touches ``inspect-evals``. Its import costs seconds, so it happens when the first session of a
domain opens; tasks and prompts need none of it.
"""

from workbench.simulate.tau2.session import Reward, Session, ToolResult
from workbench.simulate.tau2.tasks import (
    DOMAINS,
    GREETING,
    Domain,
    Task,
    agent_prompt,
    load,
    split,
    task,
    user_prompt,
)

__all__ = [
    "DOMAINS",
    "GREETING",
    "Domain",
    "Reward",
    "Session",
    "Task",
    "ToolResult",
    "agent_prompt",
    "load",
    "split",
    "task",
    "user_prompt",
]
