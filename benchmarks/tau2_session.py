"""Cost of a τ²-bench episode's database: the benchmark's own way against our sessions, and that both agree.

Run ``python benchmarks/tau2_session.py`` (20 tasks, both domains) or with ``--all`` (every task: minutes). Each task
is played twice, with its reference actions and with one write left out, and the verdicts of both ways are compared.
"""

from __future__ import annotations

import argparse
import random
import time
from typing import Any
from uuid import uuid4

from inspect_ai.tool import ToolError
from inspect_ai.util import store
from inspect_evals.tau2.airline.AirlineAgentTools import AirlineAgentTools
from inspect_evals.tau2.retail.RetailAgentTools import RetailAgentTools
from pydantic import ValidationError

from workbench.simulate import tau2

NAIVE = {"retail": RetailAgentTools, "airline": AirlineAgentTools}
WRITES = ("cancel", "modify", "return", "exchange", "book", "update", "send")
Actions = list[dict[str, Any]]


def naive_hash(domain: str, actions: Actions) -> str:
    tools = NAIVE[domain](instance=str(uuid4()))
    tools.initialize()
    for action in actions:
        if hasattr(tools, action["name"]):
            try:
                getattr(tools, action["name"])(**action["arguments"])
            except (ToolError, ValidationError):
                continue
    digest: str = tools.db.get_hash()
    for name in ("db", "initialized"):
        store().delete(tools._ns_name(name))  # it would keep every database for good
    return digest


def ours(task: tau2.Task, actions: Actions) -> bool:
    session = tau2.Session(task.domain)
    for action in actions:
        session.call(action["name"], action["arguments"])
    return session.reward(task, []).db_match


def variants(task: tau2.Task) -> list[Actions]:
    actions: Actions = task.criteria["actions"] or []
    last = max((i for i, action in enumerate(actions) if action["name"].startswith(WRITES)), default=None)
    return [actions] if last is None else [actions, actions[:last] + actions[last + 1 :]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="every task of both domains")
    everything = parser.parse_args().all
    for domain in tau2.DOMAINS:
        tasks = list(tau2.load(domain).tasks.values())
        if not everything:
            tasks = random.Random(0).sample(tasks, 10)
        start = time.perf_counter()
        tau2.Session(domain)
        loading = time.perf_counter() - start
        spent_naive = spent_ours = 0.0
        episodes = disagreements = 0
        for task in tasks:
            for actions in variants(task):
                start = time.perf_counter()
                verdict = naive_hash(domain, actions) == naive_hash(domain, task.criteria["actions"] or [])
                between = time.perf_counter()
                found = ours(task, actions)
                spent_naive += between - start
                spent_ours += time.perf_counter() - between
                episodes += 1
                disagreements += verdict != found
        print(
            f"{domain}: {episodes} episodes of {len(tasks)} tasks, {disagreements} verdicts differ; per episode "
            f"naive {spent_naive / episodes * 1e3:.0f} ms, ours {spent_ours / episodes * 1e3:.2f} ms: "
            f"{spent_naive / spent_ours:.0f} : 1 (loading, once a process: {loading:.2f} s)"
        )


if __name__ == "__main__":
    main()
