"""How many tasks does the rehearsal agent solve for the base user? Official test tasks, with and without writes.

python benchmarks/rehearsal_success.py [--trials 3]
"""

from __future__ import annotations

import argparse

import polars as pl

from workbench.llm import loop
from workbench.llm.client import Client
from workbench.llm.roles import endpoints
from workbench.measure.uncertainty import summarize
from workbench.simulate import tau2
from workbench.simulate.batch import Batch, Label, simulate


async def base(domain: str, trials: int) -> Batch:
    client = Client(endpoints())
    try:
        return await simulate(
            None, tau2.split(domain, "test"), trials, client, seed=1, label=Label("base", "test")
        )
    finally:
        await client.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=3)
    args = parser.parse_args()
    for domain in tau2.DOMAINS:
        episodes = loop.run(base(domain, args.trials)).episodes
        turns = episodes["ended_by"].value_counts(sort=True).rows()
        for name, part in (
            ("need a write", episodes.filter("needs_write")),
            ("need none", episodes.filter(~pl.col("needs_write"))),
        ):
            print(f"{domain} test tasks that {name}: success {summarize(part['success'], part['task_id'])}")
        print(f"  ended by {', '.join(f'{how} {n}' for how, n in turns)}")


if __name__ == "__main__":
    main()
