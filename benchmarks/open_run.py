"""How long a big run takes to open: 500 candidates of 50 episodes each, made up; and that frames scan lazily.

    python benchmarks/open_run.py [--candidates 500] [--episodes 50]

Ends with exit code 1 when opening the run and reading its candidates takes a second or more.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl
import psutil

from workbench.evolve import store
from workbench.evolve.mutation import ATTEMPTS
from workbench.evolve.run import CANDIDATES, FINGERPRINTS, open_run
from workbench.evolve.search import Search
from workbench.evolve.settings import Settings
from workbench.measure import FEATURES
from workbench.simulate.frames import EPISODES, PERSONAS, TURNS


def frames(i: int, episodes: int, rng: random.Random) -> dict[str, pl.DataFrame]:
    """Make the frames of one candidate: 23 messages a conversation, as in a run of six user turns with tools."""
    ids = [f"{i:04d}|train|{e // 10}|p{e % 10:02d}" for e in range(episodes)]
    said = "I would like to exchange the keyboard for one with clicky switches, please. "

    def made(schema: dict[str, Any], rows: list[dict[str, Any]]) -> pl.DataFrame:
        return pl.DataFrame(rows, schema=schema)

    common = {"candidate_id": f"{i:04d}", "condition": "search", "split": "train"}
    talks = [
        common
        | {
            "dialogue_id": d,
            "task_id": str(e // 10),
            "persona_id": f"p{e % 10:02d}",
            "seed": e,
            "n_personas": 10,
        }
        | {"reward": 1.0, "success": True, "ended_by": "stop", "tokens_in": 40_000, "tokens_out": 900}
        | {"likeness": rng.random(), "user_prompt": said * 40}
        for e, d in enumerate(ids)
    ]
    turns = [
        {"dialogue_id": d, "turn": t, "role": "user" if t % 4 == 1 else "assistant", "source": "search"}
        | {"content": f"{t} {said * rng.randint(1, 4)}", "domain": "retail", "task_id": d.split("|")[2]}
        for d in ids
        for t in range(23)
    ]
    prints = [{"dialogue_id": d} | {f: rng.random() for f in FEATURES} for d in ids]
    personas = [
        common | {"task_id": str(e // 10), "persona_id": f"p{e % 10:02d}", "policy": said * 15}
        for e in range(episodes)
    ]
    tried = [
        {
            "candidate_id": f"{i:04d}",
            "attempt": 0,
            "prompt": said * 200,
            "answer": said * 20,
            "verdict": "applied",
        }
    ]

    def known(schema: dict[str, Any], rows: list[dict[str, Any]]) -> pl.DataFrame:
        return made(schema, [{k: v for k, v in row.items() if k in schema} for row in rows])

    return {
        "episodes": known(EPISODES, talks),
        "turns": known(TURNS, turns),
        "fingerprints": known(FINGERPRINTS, prints),
        "personas": known(PERSONAS, personas),
        "attempts": known(ATTEMPTS, tried),
    }


def make(path: Path, candidates: int, episodes: int) -> None:
    """Write a run directory."""
    with Search(path, Settings(generations=candidates)) as search:
        program = search._first_program()
    rng = random.Random(7)
    for i in range(candidates):
        record: dict[str, Any] = dict.fromkeys(CANDIDATES)
        record |= {
            "candidate_id": f"{i:04d}",
            "parent": f"{rng.randrange(i):04d}" if i else None,
            "generation": i,
        }
        record |= {
            "island": i % 5,
            "author": "mutation" if i else "seed",
            "status": "accepted",
            "new_best": not i,
        }
        record |= {"confirmed": False, "n_personas": 10, "tasks": [str(t) for t in range(5)], "cell": [1, 2]}
        record |= {
            name: rng.random() for name in ("rank", "rank_low", "fitness", "human_likeness", "coverage")
        }
        record |= {"n_episodes": episodes, "n_failed": 0, "n_faults": 0, "cost": 0.0, "seconds": 2.0}
        with store.new_folder(path / "candidates" / record["candidate_id"]) as folder:
            (folder / "program.py").write_text(program)
            (folder / "reflection.txt").write_text("Vary more. " * 100)
            store.write_frames(folder, frames(i, episodes, rng))
            store.write_json(folder / "candidate.json", record)


def timed(what: str, work: Any) -> float:
    """Run and print how long it took, and the memory after it."""
    began = time.perf_counter()
    found = work()
    seconds = time.perf_counter() - began
    print(
        f"{what:<62}{seconds * 1e3:9.0f} ms   {psutil.Process().memory_info().rss / 2**20:6.0f} MiB   {found}"
    )
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--candidates", type=int, default=500)
    parser.add_argument("--episodes", type=int, default=50)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        make(path, args.candidates, args.episodes)
        size = sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) / 2**20
        print(f"{args.candidates} candidates of {args.episodes} episodes, {size:.0f} MiB on disk\n")
        opening = timed("open the run and read its candidates", lambda: open_run(path).candidates.height)
        opening = min(opening, timed("the same again", lambda: open_run(path).candidates.height))
        run = open_run(path)
        lazy = timed(
            "name the frames: episodes, turns, fingerprints",
            lambda: len([run.episodes, run.turns, run.fingerprints]),
        )
        timed("columns of turns", lambda: len(run.turns.collect_schema()))
        one = pl.col("candidate_id") == f"{args.candidates // 2:04d}"
        timed("episodes of one candidate", lambda: run.episodes.filter(one).collect().height)
        timed(
            "turns of one conversation",
            lambda: run.turns.filter(dialogue_id="0000|train|0|p00").collect().height,
        )
        timed(
            "mean of a feature over all dialogues",
            lambda: run.fingerprints.select(FEATURES[0]).mean().collect().item(),
        )
        timed("all turns", lambda: run.turns.collect().height)
        timed("open the search to go on with it", lambda: opened(path))
    print(f"\nopening {opening:.2f} s; {'holds' if opening + lazy < 1 else 'does NOT hold'}: under 1 s")
    return 0 if opening + lazy < 1 else 1


def opened(path: Path) -> int:
    """Open a run for writing and return its next generation."""
    with Search(path) as search:
        return search.generation


if __name__ == "__main__":
    sys.exit(main())
