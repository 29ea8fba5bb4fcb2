"""What a run is set to: the paper's values as defaults, checked once, kept in ``run.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from workbench.errors import WorkbenchError
from workbench.llm.roles import Endpoint, as_settings, endpoints, from_settings

SELECTIONS = ("fitness", "random", "independent")
MAY_CHANGE = ("generations", "concurrency", "max_cost", "max_tokens", "early_stop")


@dataclass(frozen=True)
class Settings:
    """The settings of one search (paper, section "Search").

    ``selection`` is ``fitness``, or a control of equal budget: ``random`` draws parents and the final program
    at random, ``independent`` mutates the seed program again and again and takes the best. Without
    ``reflection`` the mutation model sees scores alone; with ``lambda_b`` 0 coverage counts for nothing.

    ``train_tasks`` and ``validation_tasks`` are drawn from the official train split and never overlap;
    ``test_tasks`` from the test split. ``stages`` are the personas per task of epoch 1, 2 and 3 on.
    ``tasks`` and ``reference`` are set by the search: digests of one's own scenarios and reference ("" is the
    benchmark's and the shipped one); ``agent`` is the name of a Python function in the agent's place.
    Those in ``MAY_CHANGE`` may differ when a run is resumed; the others make it another run.
    """

    domain: str = "retail"
    seed: int = 0
    generations: int = 20
    proposals: int = 1
    train_tasks: int = 20
    validation_tasks: int = 5
    test_tasks: int = 20
    window: int = 5
    stages: tuple[int, ...] = (5, 8, 10)
    test_personas: int = 10
    lambda_b: float = 0.5
    population: int = 50
    islands: int = 5
    migration_every: int = 5
    migration_rate: float = 0.2
    elite_ratio: float = 0.2
    exploration: float = 0.2
    exploitation: float = 0.7
    validate_every: int = 5
    early_stop: int = 20
    attempts: int = 3
    confirm: bool = True
    selection: str = "fitness"
    reflection: bool = True
    standardize: bool = False
    concurrency: int = 30
    max_cost: float | None = None
    max_tokens: int | None = None
    tasks: str = ""
    reference: str = ""
    agent: str = ""
    roles: Mapping[str, Endpoint] = field(default_factory=endpoints)

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense.

        Raises
        ------
        WorkbenchError
            Naming the setting, its value and what it may be.
        """
        for name in (f.name for f in fields(self) if type(f.default) is int):
            low = 0 if name in ("seed", "generations") else 1
            if getattr(self, name) < low:
                raise WorkbenchError(_sentence(name, getattr(self, name), f"a whole number of {low} or more"))
        for name in (f.name for f in fields(self) if type(f.default) is float):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 <= value <= 1):
                raise WorkbenchError(_sentence(name, value, "a number from 0 to 1"))
        if self.exploration + self.exploitation > 1 + 1e-9:
            raise WorkbenchError("exploration and exploitation add up to more than 1; lower one of them.")
        if not self.stages or min(self.stages) < 1 or list(self.stages) != sorted(self.stages):
            raise WorkbenchError(
                _sentence("stages", self.stages, "growing numbers of personas, such as 5,8,10")
            )
        if self.selection not in SELECTIONS:
            raise WorkbenchError(_sentence("selection", self.selection, " or ".join(SELECTIONS)))
        for name in ("max_cost", "max_tokens"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise WorkbenchError(_sentence(name, value, "a number above 0"))
        if self.window > self.train_tasks:
            raise WorkbenchError(
                f"A window of {self.window} tasks needs at least as many train tasks, not {self.train_tasks}; "
                f"set --train-tasks to {self.window} or more."
            )

    @property
    def rehearsed(self) -> list[str]:
        """The roles that a rehearsal model plays."""
        return [role for role, endpoint in self.roles.items() if endpoint.rehearsed]

    def as_json(self) -> dict[str, Any]:
        """Return plain data for ``run.json``."""
        return asdict(replace(self, roles={})) | {
            "stages": list(self.stages),
            "roles": as_settings(self.roles),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Settings:
        """Read what ``as_json`` wrote; a setting that an older version did not have takes its default.

        Raises
        ------
        WorkbenchError
            When a setting is unknown, or the roles are missing.
        """
        known = {f.name for f in fields(cls)}
        if wrong := sorted(set(data) - known or {"domain", "roles"} - set(data)):
            raise WorkbenchError(f"The run's settings do not match this version: {', '.join(wrong)}.")
        given = dict(data) | {"roles": from_settings(data["roles"])}
        return cls(**given | {"stages": tuple(given.get("stages", cls.stages))})


def differences(old: Settings, new: Settings) -> list[str]:
    """Name the settings that differ and may not change on resume, each as ``name: old → new``."""
    a, b = old.as_json(), new.as_json()
    return [f"{name}: {a[name]} → {b[name]}" for name in a if name not in MAY_CHANGE and a[name] != b[name]]


def _sentence(name: str, value: object, wanted: str) -> str:
    return f"The setting {name.replace('_', '-')} is {value}; it must be {wanted}."
