"""Which tasks, how many personas and which weights a generation works with (paper, "Fitness and curriculum")."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

from workbench.errors import WorkbenchError
from workbench.evolve.settings import Settings
from workbench.simulate.scenarios import pools as pools_of
from workbench.simulate.seeds import derive
from workbench.simulate.tau2 import Task

T = TypeVar("T")


def choose_tasks(
    settings: Settings, pools: Mapping[str, Sequence[Task]] | None = None
) -> dict[str, list[Task]]:
    """Draw the train, validation and test tasks of a run from its seed.

    Parameters
    ----------
    settings
        How many of each.
    pools
        Train and test tasks to draw from; None draws from the domain's official splits.

    Returns
    -------
    dict
        ``train``, ``validation`` (never in a training window) and ``test``, each in the official order.

    Raises
    ------
    WorkbenchError
        When there are fewer tasks than asked for.
    """
    pools = pools or pools_of(settings.domain)
    wanted = {"train": settings.train_tasks + settings.validation_tasks, "test": settings.test_tasks}
    drawn = {}
    for which, pool in pools.items():
        if wanted[which] > len(pool):
            parts = " (train and validation together)" if which == "train" else ""
            raise WorkbenchError(
                f"{wanted[which]} {which} tasks{parts} are asked for, but {settings.domain} has {len(pool)}; "
                "ask for fewer."
            )
        rng = random.Random(derive(settings.seed, "tasks", which))
        drawn[which] = rng.sample(range(len(pool)), wanted[which])
    n = settings.validation_tasks
    return {
        "train": [pools["train"][i] for i in sorted(drawn["train"][n:])],
        "validation": [pools["train"][i] for i in sorted(drawn["train"][:n])],
        "test": [pools["test"][i] for i in sorted(drawn["test"])],
    }


def window(tasks: Sequence[T], generation: int, size: int) -> list[T]:
    """Return the tasks of a generation: a window that slides by its own size and wraps at the end."""
    start = generation % steps_per_epoch(len(tasks), size) * size
    return [tasks[(start + i) % len(tasks)] for i in range(size)]


def steps_per_epoch(n_tasks: int, size: int) -> int:
    """Return how many windows make one sweep of the train tasks."""
    return math.ceil(n_tasks / size)


def personas_per_task(settings: Settings, generation: int) -> int:
    """Return N: the stage of the generation's epoch, the last stage from then on."""
    epoch = generation // steps_per_epoch(settings.train_tasks, settings.window)
    return settings.stages[min(epoch, len(settings.stages) - 1)]


def weights(settings: Settings, n: int) -> tuple[float, float]:
    """Return (λ_h, λ_b) for N personas: λ_b grows in proportion to N up to its final value."""
    lambda_b = settings.lambda_b * min(1.0, n / settings.stages[-1])
    return 1.0 - lambda_b, lambda_b
