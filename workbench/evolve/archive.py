"""MAP-Elites on islands: who lives where, who becomes a parent. A pure function of the candidates so far."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.evolve.settings import Settings
from workbench.simulate.seeds import derive

BINS = 10


@dataclass(frozen=True)
class Member:
    """An accepted candidate as the archive sees it; ``rank`` compares across curriculum stages."""

    candidate_id: str
    generation: int
    island: int
    rank: float
    human_likeness: float
    coverage: float

    @property
    def cell(self) -> tuple[int, int]:
        """The fixed bin of (HL, coverage): 10 × 10 over [0, 1]²."""
        return cell_of(self.human_likeness, self.coverage)


@dataclass
class Archive:
    """Islands of members; the seed program lives on all of them, migrants on their new one as well."""

    settings: Settings
    islands: list[dict[str, Member]]

    @classmethod
    def replay(cls, settings: Settings, members: Sequence[Member], until: int) -> Archive:
        """Rebuild the archive as it stood when generation ``until`` began, from members in commit order."""
        archive = cls(settings, [{} for _ in range(settings.islands)])
        for generation in range(until):
            for member in members:
                if member.generation == generation:
                    archive._add(member)
            if generation and generation % settings.migration_every == 0:
                archive._migrate()
        return archive

    def grid(self, island: int) -> dict[tuple[int, int], Member]:
        """Return the best member of each cell of an island."""
        best: dict[tuple[int, int], Member] = {}
        for member in self.islands[island].values():
            if member.cell not in best or _order(member) > _order(best[member.cell]):
                best[member.cell] = member
        return best

    def parent(self, island: int, generation: int, proposal: int) -> Member:
        """Draw a parent from an island: mostly an elite, at times anyone, else in proportion to rank."""
        rng = random.Random(derive(self.settings.seed, "parent", generation, proposal))
        pool = sorted(self.islands[island].values(), key=_order, reverse=True)
        if self.settings.selection == "random":
            return rng.choice(pool)
        if self.settings.selection == "independent":
            return min(pool, key=lambda m: int(m.candidate_id))
        elites = sorted(self.grid(island).values(), key=_order, reverse=True)
        elites = elites[: max(1, math.ceil(self.settings.elite_ratio * len(pool)))]
        luck = rng.random()
        if luck < self.settings.exploration:
            return rng.choice(pool)
        if luck < self.settings.exploration + self.settings.exploitation:
            return rng.choice(elites)
        return rng.choices(pool, weights=[max(m.rank, 1e-6) for m in pool])[0]

    def rival(self, member: Member) -> Member | None:
        """Return whom a newcomer would displace: the elite of its cell on its island, if it outranks it."""
        elite = self.grid(member.island).get(member.cell)
        return elite if elite and member.rank > elite.rank else None

    def inspirations(self, island: int, parent: Member, generation: int, proposal: int) -> list[Member]:
        """Return up to two top members of other cells and two drawn from the island's grid."""
        rng = random.Random(derive(self.settings.seed, "inspiration", generation, proposal))
        grid = sorted(self.grid(island).values(), key=_order, reverse=True)
        others = [m for m in grid if m.candidate_id != parent.candidate_id]
        rest = others[2:]
        return others[:2] + rng.sample(rest, min(2, len(rest)))

    def _add(self, member: Member) -> None:
        for home in [member.island] if member.generation else range(len(self.islands)):
            self.islands[home][member.candidate_id] = member
            self._cull(home)

    def _cull(self, home: int) -> None:
        """Keep an island within its share of the population: cell elites first, then by rank."""
        room = max(2, self.settings.population // self.settings.islands)
        island = self.islands[home]
        if len(island) > room and self.settings.selection == "fitness":
            elites = {m.candidate_id for m in self.grid(home).values()}
            keep = sorted(island.values(), key=lambda m: (m.candidate_id in elites, *_order(m)), reverse=True)
            self.islands[home] = {m.candidate_id: m for m in keep[:room]}

    def _migrate(self) -> None:
        """Copy the top of each island, as it stands now, to both neighbors on the ring."""
        if len(self.islands) < 2 or self.settings.selection != "fitness":
            return
        leaving = []
        for island in self.islands:
            ranked = sorted(island.values(), key=_order, reverse=True)
            leaving.append(ranked[: max(1, int(self.settings.migration_rate * len(ranked)))])
        for home, members in enumerate(leaving):
            for step in (-1, 1):
                there = (home + step) % len(self.islands)
                self.islands[there] |= {m.candidate_id: m for m in members}
        for home in range(len(self.islands)):
            self._cull(home)


def cell_of(human_likeness: float, coverage: float) -> tuple[int, int]:
    """Return the cell of (HL, coverage), each cut into ten equal bins; 1.0 belongs to the last."""
    return _bin(human_likeness), _bin(coverage)


def _bin(value: float) -> int:
    return min(BINS - 1, max(0, int(value * BINS)))


def _order(member: Member) -> tuple[float, int]:
    """Rank, and the older candidate where ranks are equal."""
    return member.rank, -int(member.candidate_id)
