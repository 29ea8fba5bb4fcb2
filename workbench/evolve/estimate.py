"""What a run will take: episodes, requests, tokens and money, before anything is asked."""

from __future__ import annotations

from typing import Any

import polars as pl

from workbench.evolve.curriculum import personas_per_task
from workbench.evolve.settings import Settings
from workbench.llm.roles import price
from workbench.simulate.scenarios import pools

# Requests, tokens in and tokens out an episode, by role: measured on 1,434 retail episodes of a rehearsal run
# (`workbench evolve --run DIR --seed 7`, then open_run(DIR).spent()). Real models vary by a factor of about two.
PER_EPISODE = {"agent": (13.6, 81_000, 510), "user": (7.1, 7_400, 140), "generator": (1.05, 700, 290)}
PER_CANDIDATE = {"mutation": (1.2, 4_500, 600), "reflection": (1.0, 2_700, 300)}


def episodes(
    settings: Settings, conditions: int = 4, train: int | None = None, *, since: int = 0
) -> dict[str, int]:
    """Count the episodes of a run by part, from generation ``since`` on; half of the candidates are validated.

    ``conditions`` is how many are simulated in the held-out evaluation, ``train`` how many train tasks there are in
    all (None: the domain's).
    """
    proposed = {g: settings.proposals if g else 1 for g in range(since, settings.generations + 1)}
    search = sum(settings.window * personas_per_task(settings, g) * k for g, k in proposed.items())
    test = settings.test_tasks * settings.test_personas
    return {
        "base simulator, train tasks": len(pools(settings.domain)["train"]) if train is None else train,
        "first program, train tasks": settings.train_tasks * settings.stages[-1],
        "search": search,
        "validation": sum(proposed.values()) * settings.validation_tasks * settings.stages[-1] // 2,
        "held-out evaluation": conditions * test,
    }


def estimate(settings: Settings, total: int, candidates: int | None = None) -> pl.DataFrame:
    """Return requests, tokens and cost by role for ``total`` episodes and ``candidates`` (None: the settings').

    Returns
    -------
    DataFrame
        role, model, requests, tokens_in, tokens_out, cost (US dollars; null without a known price).
    """
    candidates = 1 + settings.generations * settings.proposals if candidates is None else candidates
    rows: list[tuple[Any, ...]] = []
    for table, count in ((PER_EPISODE, total), (PER_CANDIDATE, candidates)):
        for role, each in table.items():
            model = settings.roles[role].model
            requests, tokens_in, tokens_out = (round(x * count) for x in each)
            rate = price(settings.roles[role])
            cost = None if rate is None else (tokens_in * rate[0] + tokens_out * rate[1]) / 1e6
            rows.append((role, model, requests, tokens_in, tokens_out, cost))
    columns = ["role", "model", "requests", "tokens_in", "tokens_out", "cost"]
    return pl.DataFrame(rows, schema=columns, schema_overrides={"cost": pl.Float64}, orient="row")
