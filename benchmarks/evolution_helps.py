"""Does evolution help? Held-out score, evolved minus seed program, paired by task, in several seeds and two domains.

Beside it the control of equal budget: the same search with random selection of parents and of the final program.
Everything is made by the rehearsal models: this shows that the machinery works, not the paper's claims.

    python benchmarks/evolution_helps.py [--domains retail airline] [--seeds 1 2 3 4 5] [--generations 60] [--islands 2]
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from pathlib import Path

from workbench.evolve import conditions
from workbench.evolve.run import open_run
from workbench.evolve.search import Search
from workbench.evolve.settings import Settings
from workbench.measure.uncertainty import compare


def one(job: tuple[str, int, str, int, int, str]) -> tuple[str, int, str, float, float, float]:
    """Run one search; return the gain of its final program over the seed program and its interval."""
    domain, seed, selection, generations, islands, folder = job
    path = Path(folder) / f"{domain}-{seed}-{selection}"
    settings = Settings(
        domain=domain,
        seed=seed,
        generations=generations,
        islands=islands,
        selection=selection,
        early_stop=1000,
    )
    with Search(path, settings) as search:
        search.finish()
        conditions.evaluate(search, only=("initial", "evolved"))
    run = open_run(path)
    evolved, initial = (conditions.by_task(run, c) for c in ("evolved", "initial"))
    found = compare(evolved, initial, "score")
    return domain, seed, selection, found.difference, found.low, found.high


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--domains", nargs="+", default=["retail", "airline"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--generations", type=int, default=60)
    parser.add_argument("--islands", type=int, default=2)
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    verdict = True
    with (
        tempfile.TemporaryDirectory() as folder,
        multiprocessing.get_context("spawn").Pool(args.processes) as pool,
    ):
        for domain in args.domains:
            jobs = [
                (domain, s, how, args.generations, args.islands, folder)
                for s in args.seeds
                for how in ("fitness", "random")
            ]
            gains: dict[str, list[float]] = {"fitness": [], "random": []}
            print(
                f"{domain}: held-out score, final program minus seed program (95 % interval over tasks), rehearsal models"
            )
            for _, seed, how, gain, low, high in pool.imap(one, jobs):
                gains[how].append(gain)
                holds = (
                    "" if how == "random" else "  interval above 0" if low > 0 else "  interval NOT above 0"
                )
                verdict &= how == "random" or low > 0
                print(f"  seed {seed}  {how:<8} {gain:+.3f} [{low:+.3f}, {high:+.3f}]{holds}", flush=True)
            fitness, chance = (sum(g) / len(g) for g in gains.values())
            verdict &= chance < fitness / 2
            share = f"{chance / fitness:.0%} of it" if fitness > 0 else "evolution gained nothing"
            print(
                f"  mean gain: evolution {fitness:+.3f}, random selection {chance:+.3f} ({share})", flush=True
            )
    print("holds" if verdict else "does NOT hold")
    return 0 if verdict else 1


if __name__ == "__main__":
    sys.exit(main())
