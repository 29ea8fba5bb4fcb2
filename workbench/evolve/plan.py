"""A plan of experiments, read from TOML and checked: which domains, user simulators, searches and seeds."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NoReturn

from workbench.errors import WorkbenchError
from workbench.evolve.curriculum import choose_tasks
from workbench.evolve.run import CONDITIONS, CONTROLS
from workbench.evolve.settings import Settings
from workbench.llm.roles import Endpoint, check_tables, endpoints

MAIN = "main"
TABLES = ("title", "settings", "domains", "roles", "simulators", "searches", "transfer")
DOMAINS = ("retail", "airline")
_SEARCH_KEYS = ("seeds", "conditions", "domains", "simulators")
# Named by the plan's tables, or not for plans.
_GIVEN = ("domain", "seed", "roles", "tasks", "reference", "agent")
_KINDS = {int: "a whole number", bool: "true or false", str: "a text", float: "a number"}


@dataclass(frozen=True)
class Cell:
    """One search of the matrix, or one transfer, and the conditions to evaluate it under.

    ``origin`` is set for a transfer: domain and simulator of the main search whose program is scored here.
    """

    domain: str
    simulator: str
    search: str
    seed: int
    settings: Settings
    conditions: tuple[str, ...]
    origin: tuple[str, str] | None = None

    @property
    def key(self) -> dict[str, Any]:
        """The columns that name the cell in every frame."""
        return {"domain": self.domain, "simulator": self.simulator, "search": self.search, "seed": self.seed}

    @property
    def name(self) -> str:
        """The cell in words."""
        return f"{self.domain}, {self.simulator}, {self.search}, seed {self.seed}"

    @property
    def folder(self) -> Path:
        """Where its run lies, below the folder of all runs."""
        return _folder(self.domain, self.simulator, self.search, self.seed)

    @property
    def source(self) -> Path | None:
        """Where the run lies whose program a transfer scores."""
        return _folder(*self.origin, MAIN, self.seed) if self.origin else None


@dataclass(frozen=True)
class Plan:
    """A plan that makes sense: its cells in order, main searches first, transfers last."""

    title: str
    text: str
    cells: tuple[Cell, ...]

    def cell(self, domain: str, simulator: str, search: str, seed: int) -> Cell | None:
        """Return the cell of a name, if the plan has it."""
        wanted = {"domain": domain, "simulator": simulator, "search": search, "seed": seed}
        return next((cell for cell in self.cells if cell.key == wanted), None)


def read_plan(path: str | Path) -> Plan:
    """Read a plan (docs/paper.md has the format).

    Raises
    ------
    WorkbenchError
        When the file is missing or no TOML, or one of its tables names something that does not exist or
        makes no sense; the sentence says in which table.
    """
    try:
        text = Path(path).read_text()
        data = tomllib.loads(text)
    except FileNotFoundError:
        raise WorkbenchError(f"There is no plan {path}; data/plans/ has examples.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WorkbenchError(f"The plan {path} cannot be read: {error}.") from None
    return Plan(data.get("title", Path(path).stem), text, tuple(_Reader(Path(path), data).cells()))


class _Reader:
    """Turns the tables of a plan into cells; every complaint begins with the file and the table."""

    def __init__(self, path: Path, data: Mapping[str, Any]) -> None:
        self.path, self.data = path, data
        self._known("the top", data, TABLES)
        if not isinstance(title := data.get("title", ""), str):
            self._fail("the top", f"sets title to {title!r}; it must be a text")
        for name in TABLES[1:]:
            self._table(name, data.get(name, {}))
        for needed in ("domains", "simulators", "searches"):
            if not data.get(needed):
                self._fail(needed, "is missing or empty; a plan names domains, simulators and searches")
        self.domains: dict[str, Any] = data["domains"]
        self.simulators: dict[str, Any] = data["simulators"]
        self.searches: dict[str, Any] = data["searches"]
        self._known("domains", self.domains, DOMAINS)
        if MAIN not in self.searches:
            self._fail("searches", f"has no search '{MAIN}', which the others are compared with")
        settings = [f.name for f in fields(Settings) if f.name not in _GIVEN]
        self._settings("settings", data.get("settings", {}), settings)
        for domain, table in self.domains.items():
            self._settings(f"domains.{domain}", table, settings)
        for name, table in self.searches.items():
            if not re.fullmatch(r"[\w-]+", name):
                self._fail(f"searches.{name}", "may be named with letters, digits, - and _ only")
            self._settings(f"searches.{name}", table, [*settings, *_SEARCH_KEYS])
            self._search(f"searches.{name}", table)
        if not {"base", "evolved"} <= set(self.searches[MAIN].get("conditions", CONDITIONS)):
            self._fail(f"searches.{MAIN}", "must evaluate base and evolved, which all else is measured by")
        self.roles = {name: self._roles(name) for name in self.simulators}
        if len({_slug(name) for name in self.simulators}) < len(self.simulators):
            self._fail("simulators", "has two names that would share a folder; name them apart")

    def cells(self) -> Iterator[Cell]:
        """Yield main searches, the other searches, then transfers."""
        for name in sorted(self.searches, key=lambda n: n != MAIN):
            table = self.searches[name]
            conditions = tuple(table.get("conditions", CONDITIONS if name == MAIN else ("evolved",)))
            for domain in table.get("domains", self.domains):
                for simulator in table.get("simulators", self.simulators):
                    for seed in self._seeds(name, simulator):
                        settings = self._made(name, domain, simulator, seed)
                        yield Cell(domain, simulator, name, seed, settings, conditions)
        yield from self._transfers()

    def _transfers(self) -> Iterator[Cell]:
        table = self.data.get("transfer", {})
        where, main = "transfer", self.searches[MAIN]
        self._known(where, table, ("domains", "simulators", "seeds"))
        for name in ("domains", "simulators"):
            if not isinstance(table.get(name, False), bool):
                self._fail(where, f"sets {name} to {table[name]!r}; it must be true or false")
        seeds = self._list(where, table, "seeds", int, self._seeds(MAIN, None))
        if strange := set(seeds) - set(self._seeds(MAIN, None)):
            self._fail(where, f"names seed {min(strange)}, which [searches.{MAIN}] has not")
        domains = list(main.get("domains", self.domains))
        simulators = list(main.get("simulators", self.simulators))
        pairs = []
        if table.get("domains"):
            pairs += [((a, s), (b, s)) for a in domains for b in domains if a != b for s in simulators]
        if table.get("simulators"):
            pairs += [((d, a), (d, b)) for d in domains for a in simulators for b in simulators if a != b]
        for origin, (domain, simulator) in pairs:
            name = origin[0] if origin[0] != domain else origin[1]
            for seed in seeds:
                if all(seed in self._seeds(MAIN, s) for s in (origin[1], simulator)):
                    settings = self._made(MAIN, domain, simulator, seed)
                    yield Cell(domain, simulator, f"transfer:{name}", seed, settings, ("evolved",), origin)

    def _seeds(self, search: str, simulator: str | None) -> list[int]:
        seeds: list[int] = self.searches[search].get("seeds", self.searches[MAIN].get("seeds", [1]))
        only = self.simulators[simulator].get("seeds", seeds) if simulator else seeds
        return [seed for seed in seeds if seed in only]

    def _made(self, search: str, domain: str, simulator: str, seed: int) -> Settings:
        own = {k: v for k, v in self.searches[search].items() if k not in _SEARCH_KEYS}
        given = self.data.get("settings", {}) | self.domains[domain] | own
        if "stages" in given:
            given["stages"] = tuple(given["stages"])
        try:
            settings = Settings(domain=domain, seed=seed, roles=self.roles[simulator], **given)
            choose_tasks(settings)
        except WorkbenchError as error:
            raise WorkbenchError(
                f"{self.path}, [searches.{search}] with [settings] and [domains.{domain}]: {error}"
            ) from None
        return settings

    def _settings(self, where: str, table: Any, known: Sequence[str]) -> None:
        """Refuse a setting that does not exist, or is of another kind than its default."""
        self._table(where, table)
        self._known(where, table, known)
        defaults = {f.name: f.default for f in fields(Settings)}
        for name, value in table.items():
            if name in _SEARCH_KEYS:
                continue
            if name == "stages":
                self._list(where, table, name, int, [])
                continue
            wanted = float if defaults[name] is None else type(defaults[name])
            if type(value) not in ((int, float) if wanted is float else (wanted,)):
                self._fail(where, f"sets {name} to {value!r}; it must be {_KINDS[wanted]}")
        if table.get("generations") == 0:
            self._fail(where, "sets generations to 0: a search of a plan has one or more")

    def _search(self, where: str, table: Mapping[str, Any]) -> None:
        self._list(where, table, "seeds", int, [])
        for name, known in (("domains", self.domains), ("simulators", self.simulators)):
            self._known(where, self._list(where, table, name, str, []), list(known), name)
        found = self._list(where, table, "conditions", str, [])
        self._known(where, found, (*CONDITIONS, *CONTROLS), "conditions")

    def _roles(self, simulator: str) -> dict[str, Endpoint]:
        """Return the endpoints of all roles, the simulator's own for the user."""
        from workbench.llm.rehearsal.app import ROLES

        where, table = f"simulators.{simulator}", self.simulators[simulator]
        self._table(where, table)
        self._list(where, table, "seeds", int, [])
        tables = dict(self.data.get("roles", {}))
        own = {k: v for k, v in table.items() if k != "seeds"}
        check_tables(tables, f"{self.path}, [roles]:")
        check_tables({"user": own}, f"{self.path}, [{where}]:")
        found = endpoints(tables=tables | {"user": tables.get("user", {}) | own})
        for role, endpoint in found.items():
            if endpoint.offline:
                self._known(where if role == "user" else f"roles.{role}", [endpoint.model], ROLES, "model")
        return found

    def _table(self, where: str, found: Any) -> None:
        if not isinstance(found, dict):
            self._fail(where, f"is no table; write it as [{where}]")

    def _list(
        self, where: str, table: Mapping[str, Any], name: str, kind: type, default: list[Any]
    ) -> list[Any]:
        found = table.get(name, default)
        wrong = not isinstance(found, list) or any(type(x) is not kind for x in found)
        if wrong or (name in table and not found):
            what, sample = ("whole numbers", 1) if kind is int else ("names", "retail")
            such = json.dumps([found if type(found) is kind else sample])
            self._fail(where, f"sets {name} to {found!r}; it must be a list of {what}, such as {such}")
        if len(set(found)) < len(found):
            self._fail(where, f"names something twice in {name}: {found}")
        return found

    def _known(self, where: str, names: Any, known: Sequence[str], what: str = "") -> None:
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"
                self._fail(where, f"names '{name}'{f' in {what}' if what else ''}, which is unknown; {hint}")

    def _fail(self, where: str, what: str) -> NoReturn:
        place = where if where == "the top" else f"[{where}]"
        raise WorkbenchError(f"{self.path}, {place} {what.rstrip('.')}{'' if what.endswith('?') else '.'}")


def _folder(domain: str, simulator: str, search: str, seed: int) -> Path:
    return Path(*map(_slug, (domain, simulator, search)), f"seed-{seed}")


def _slug(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip(".") or "-"
