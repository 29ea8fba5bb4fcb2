"""One episode: an agent with tools and a simulated user talk about one task until somebody ends it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from workbench.llm.client import Client, LLMError, Reply
from workbench.simulate import tau2
from workbench.simulate.seeds import derive

NO_TOOL = tau2.ToolResult("Error: there are no tools here", error=True)
ENDINGS = {"###STOP###": "stop", "###TRANSFER###": "transfer", "###OUT-OF-SCOPE###": "out_of_scope"}
# When an episode is cut: turns of the user, calls in one turn of the agent's, errors of tools in all.
USER_TURNS, CALLS_PER_TURN, TOOL_ERRORS = 30, 20, 20


@dataclass(frozen=True)
class Job:
    """What to simulate: a task, a persona's policy (empty for the base simulator), and the seed.

    ``temperature`` is the user's, over its endpoint's own.
    """

    dialogue_id: str
    condition: str
    split: str
    task: tau2.Task
    seed: int
    candidate_id: str | None = None
    persona_id: str | None = None
    policy: str = ""
    n_personas: int = 1
    temperature: float | None = None


@dataclass
class Episode:
    """What happened; a failed one keeps what was said until then, with ``error`` saying why."""

    job: Job
    messages: list[dict[str, Any]] = field(default_factory=list)
    reward: float | None = None
    ended_by: str = "error"
    error: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = 0.0
    seconds: float = 0.0
    user_prompt: str = ""
    agent_prompt: str = ""

    def take(self, reply: Reply) -> None:
        """Add a reply's tokens and cost."""
        self.tokens_in += reply.tokens_in
        self.tokens_out += reply.tokens_out
        self.cost = None if self.cost is None or reply.cost is None else self.cost + reply.cost


async def rollout(job: Job, client: Client) -> Episode:
    """Simulate one conversation.

    The agent greets; then user and agent alternate. The user's system prompt is
    ``s_base(t) ⊕ P``. A request that fails ends the episode, which is kept with its error.

    Raises
    ------
    LLMError
        Only of kind ``cap``: the run has to stop.
    """
    episode = Episode(job)
    episode.user_prompt = tau2.user_prompt(job.task, job.policy)
    episode.agent_prompt = job.task.agent_prompt
    began = time.perf_counter()
    try:
        episode.ended_by = await _talk(episode, client)
    except LLMError as error:
        if error.kind == "cap":
            raise
        episode.error = error.reason
    episode.seconds = time.perf_counter() - began
    return episode


async def _talk(episode: Episode, client: Client) -> str:
    job = episode.job
    session, tools = job.task.session(), job.task.tools
    function = getattr(job.task, "agent", None)
    user: list[dict[str, Any]] = [
        {"role": "system", "content": episode.user_prompt},
        {"role": "user", "content": tau2.GREETING},
    ]
    agent: list[dict[str, Any]] = [
        {"role": "system", "content": episode.agent_prompt},
        {"role": "assistant", "content": tau2.GREETING},
    ]
    episode.messages.append({"role": "assistant", "content": tau2.GREETING})
    errors = request = 0
    ended = "turn_limit"
    for _ in range(USER_TURNS):
        request += 1
        reply = await client.chat(
            "user", user, seed=derive(job.seed, "user", request), temperature=job.temperature
        )
        episode.take(reply)
        token = next((t for t in ENDINGS if t in reply.content), None)
        text = reply.content.replace(token, "").strip() if token else reply.content
        user.append({"role": "assistant", "content": text})
        if text or not token:
            episode.messages.append({"role": "user", "content": text})
        if token:
            ended = ENDINGS[token]
            break
        agent.append({"role": "user", "content": text})
        answer = await function.reply(agent[1:]) if function else None
        for _ in range(0 if function else CALLS_PER_TURN):
            request += 1
            reply = await client.chat("agent", agent, seed=derive(job.seed, "agent", request), tools=tools)
            episode.take(reply)
            if not reply.tool_calls:
                answer = reply.content
                break
            calls = [
                {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
                for c in reply.tool_calls
            ]
            # Text beside a tool call is not shown to the user: the benchmark's agent does one or the other.
            agent.append({"role": "assistant", "content": reply.content or None, "tool_calls": calls})
            episode.messages.append(
                {"role": "assistant", "content": reply.content, "tool_calls": json.dumps(calls)}
            )
            for call in reply.tool_calls:
                result = session.call(call.name, call.arguments) if session else NO_TOOL
                errors += result.error
                agent.append({"role": "tool", "tool_call_id": call.id, "content": result.content})
                episode.messages.append({"role": "tool", "content": result.content})
            if errors > TOOL_ERRORS:
                break
        if answer is None:
            ended = "agent_limit"
            break
        agent.append({"role": "assistant", "content": answer})
        user.append({"role": "user", "content": answer})
        episode.messages.append({"role": "assistant", "content": answer})
    if session:
        heard = [m["content"] for m in user if m["role"] == "user"]
        episode.reward = session.reward(job.task, heard).reward
    return ended
