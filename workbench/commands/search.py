"""Commands that search: evolve, branch, resume, enter, evaluate."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.commands import Add, add_models, answers, print_table, read_text
from workbench.errors import WorkbenchError
from workbench.terminal import candidate_line, fresh_line, print_estimate, show_progress

if TYPE_CHECKING:
    from workbench.evolve.run import Run
    from workbench.evolve.search import Search
    from workbench.evolve.settings import Settings

ROLES_HELP = """roles in a file, for --roles (any role may be left out; keys never stand in files):
  [default]
  model = "gpt-4.1-mini"
  [user]
  model = "llama3.1"
  base_url = "http://127.0.0.1:11434/v1"
  api_key_env = "MY_KEY_VARIABLE" """

OPTIONS = (  # of evolve, each a setting of the run
    ("proposals", int, "K", "candidates a generation (default: 1)"),
    ("train-tasks", int, "N", "tasks the search works on (default: 20)"),
    ("validation-tasks", int, "N", "train tasks kept for validation (default: 5)"),
    ("test-tasks", int, "N", "held-out test tasks (default: 20)"),
    ("test-personas", int, "N", "personas a test task (default: 10)"),
    ("window", int, "N", "train tasks a generation (default: 5)"),
    ("islands", int, "N", "sub-populations (default: 5)"),
    ("early-stop", int, "N", "stop after N generations without a new best (default: 20)"),
    ("selection", str, None, "fitness, or a control: random, independent (default: fitness)"),
    ("concurrency", int, "N", "requests in flight at once (default: 30)"),
    ("max-cost", float, "USD", "stop before spending more"),
    ("max-tokens", int, "N", "stop before using more tokens"),
)


def register(add: Add) -> None:
    """Add the commands of this module to the command line."""
    sub = add(
        evolve,
        "Evolve a generator program; on an existing run with the same settings, go on with it.",
        ROLES_HELP,
    )
    sub.add_argument("--domain", help="retail or airline (default: retail); with --tasks, the file's")
    sub.add_argument(
        "--tasks",
        metavar="FILE.jsonl",
        help="your own scenarios, any domain: no tools, no reward (docs/formats/own_scenarios.md)",
    )
    sub.add_argument(
        "--reference", metavar="DIR", help="your own people and simulators, from 'workbench reference'"
    )
    sub.add_argument(
        "--agent",
        metavar="MODULE:FUNCTION",
        help="a Python function as the agent under test: messages → reply",
    )
    sub.add_argument("--run", required=True, metavar="DIR", help="directory of the run")
    sub.add_argument("--generations", type=int, help="generations after the seed program (default: 20)")
    sub.add_argument("--seed", type=int, help="every random choice comes from it (default: 0)")
    add_models(sub)
    sub.add_argument("--roles", metavar="FILE.toml", help="model and endpoint of each role; see below")
    sub.add_argument(
        "--temperature", type=float, help="sent with every request (default: the endpoint's own)"
    )
    for name, kind, metavar, text in OPTIONS:
        sub.add_argument(f"--{name}", type=kind, metavar=metavar, help=text)
    _add_dask(sub)
    sub.add_argument(
        "--seeds", type=int, default=1, metavar="K", help="K independent searches, in DIR/seed-…"
    )
    sub.add_argument("--dry-run", action="store_true", help="estimate episodes, tokens and cost; ask nothing")

    sub = add(branch, "Start a new run from a candidate of another.")
    sub.add_argument("run", metavar="DIR")
    sub.add_argument("--at", metavar="CANDIDATE", help="candidate to start from (default: the run's best)")
    sub.add_argument("-o", "--output", required=True, metavar="NEW_DIR", help="directory of the new run")
    sub.add_argument("--generations", type=int, help="generations of the new run")
    sub.add_argument("--seed", type=int, help="another seed for the new run")

    sub = add(resume, "Go on with a run, by its own settings.")
    sub.add_argument("run", metavar="DIR")
    sub.add_argument("--generations", type=int, help="generations in all")
    sub.add_argument("--concurrency", type=int, metavar="N", help="requests in flight at once")
    sub.add_argument(
        "--early-stop", type=int, metavar="N", help="stop after N generations without a new best"
    )
    sub.add_argument("--max-cost", type=float, metavar="USD", help="a new limit of money, in all")
    sub.add_argument("--max-tokens", type=int, metavar="N", help="a new limit of tokens, in all")
    _add_dask(sub)

    sub = add(enter, "Score a program that you wrote or edited, and enter it into a run as yours.")
    sub.add_argument("run", metavar="DIR")
    sub.add_argument("program", metavar="PROGRAM.py", help="see docs/programs.md for what it has to define")
    sub.add_argument("--parent", metavar="CANDIDATE", help="the candidate that you edited")

    sub = add(
        evaluate,
        "Evaluate people, base simulator, DP, initial and evolved program on held-out tasks.",
    )
    sub.add_argument("run", metavar="DIR")
    sub.add_argument(
        "--controls", action="store_true", help="also the base simulator with its user at temperature 1"
    )
    sub.add_argument("--again", action="store_true", help="evaluate anew what is there already")
    _add_dask(sub)


def _add_dask(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--dask", metavar="SCHEDULER", help="simulate on the workers of a dask scheduler (tcp://host:8786)"
    )


def evolve(args: argparse.Namespace) -> None:
    """Start a search, or go on with one that has the same settings."""
    from dataclasses import fields, replace

    from workbench.evolve.settings import Settings
    from workbench.evolve.start import Own
    from workbench.llm.roles import endpoints
    from workbench.simulate.scenarios import OWN, read_scenarios, sizes

    roles = endpoints(args.model, args.base_url, roles_file=args.roles, temperature=args.temperature)
    brought = {"tasks": args.tasks, "reference": args.reference, "agent": args.agent}
    own = Own(**brought)
    names = {f.name for f in fields(Settings)} - {"domain", "roles", *brought}
    given = {n: v for n, v in vars(args).items() if n in names and v is not None}
    domain = args.domain or "retail"
    if args.tasks:
        found = read_scenarios(args.tasks)
        domain = args.domain if args.domain and found[0].domain == OWN else found[0].domain
        given = sizes({w: [t for t in found if t.split == w] for w in ("train", "test")}) | given
        given["window"] = args.window or min(given["window"], given["train_tasks"])
    settings = own.settle(Settings(domain=domain, roles=roles, **given))
    if args.seeds < 1:
        raise WorkbenchError(f"--seeds is {args.seeds}; ask for one independent search or more.")
    if args.dry_run:
        print_estimate(settings, args.seeds, len(own.pools(settings)["train"]))
        return
    for seed in range(settings.seed, settings.seed + args.seeds):
        path = args.run if args.seeds == 1 else str(Path(args.run) / f"seed-{seed}")
        _drive(path, replace(settings, seed=seed), scheduler=args.dask, **brought)


def branch(args: argparse.Namespace) -> None:
    """Start a run from a candidate of another."""
    from dataclasses import replace

    from workbench.evolve.run import open_run

    old = open_run(args.run).own()
    candidate = args.at or old.best
    old.program(candidate)
    changed = {n: v for n in ("generations", "seed") if (v := getattr(args, n)) is not None}
    _drive(args.output, replace(old.settings, **changed), branch=(old, candidate))


def resume(args: argparse.Namespace) -> None:
    """Go on with a run by its own settings."""
    from dataclasses import replace

    from workbench.evolve.run import open_run
    from workbench.evolve.settings import MAY_CHANGE

    settings = open_run(args.run).own().settings
    changed = {n: v for n in MAY_CHANGE if (v := getattr(args, n)) is not None}
    _drive(args.run, replace(settings, **changed), scheduler=args.dask)


def enter(args: argparse.Namespace) -> None:
    """Score a person's program on the next tasks and commit it as a candidate with a human author."""
    from workbench.simulate.program import ProgramRejected

    source = read_text(Path(args.program))
    with _open_search(args.run) as search:
        try:
            found = search.try_program(source, args.parent)
        except ProgramRejected as error:
            raise WorkbenchError(f"The program was rejected ({error.kind}): {error.reason}") from None
    fresh_line()
    print(candidate_line(found))


def evaluate(args: argparse.Namespace) -> None:
    """Evaluate the conditions on held-out tasks, of a run or of every seed in a folder."""
    from workbench.evolve import conditions
    from workbench.evolve.run import CONDITIONS, CONTROLS, open_runs

    for run in open_runs(args.run):
        with _open_search(str(run.own().path), scheduler=args.dask) as search:
            which = (*CONDITIONS, *CONTROLS) if args.controls else CONDITIONS
            conditions.evaluate(search, only=which, again=args.again)
    fresh_line()
    print_table(open_runs(args.run))


def _drive(
    path: str,
    settings: Settings,
    *,
    branch: tuple[Run, str] | None = None,
    scheduler: str | None = None,
    **brought: Any,
) -> None:
    from workbench.evolve.curriculum import choose_tasks
    from workbench.evolve.progress import duration
    from workbench.evolve.start import Own
    from workbench.llm import loop
    from workbench.llm.roles import ROLES

    if not (Path(path) / "run.json").exists() and not branch:
        # a mistake in the settings is told before any endpoint is asked
        choose_tasks(settings, Own(**brought).pools(settings))
    asked = set(ROLES) - {"judge", *(["agent"] if settings.agent else [])}
    lines = loop.run(answers(settings.roles, sorted(asked)))
    with _open_search(path, settings, scheduler, branch=branch, **brought) as search:
        left = max(0, settings.generations + 1 - search.generation)
        who = "the rehearsal models, stand-ins" if len(settings.rehearsed) == 6 else "real models"
        print(f"Run {search.run.run_id} in {path}: {settings.domain}, seed {settings.seed}, {who}.")
        print("\n".join(f"  {line}" for line in lines))
        print(
            f"Plan: {left} generations to go of {settings.generations + 1} (with the seed program), about "
            f"{search.progress.total} episodes; {len(search.tasks['train'])} train, "
            f"{len(search.tasks['validation'])} validation, {len(search.tasks['test'])} test tasks."
        )
        began = time.monotonic()
        search.prepare()
        while not search.done:
            for candidate in search.step():
                fresh_line()
                print(candidate_line(candidate), flush=True)
        fresh_line()
        why = " (no new best for a while: stopped early)" if search.stalled else ""
        print(f"{len(search.run.candidate_ids)} candidates in {duration(time.monotonic() - began)}{why}.")
        print(f"Best by validation: {search.run.best}. Next: workbench evaluate {path}")


@contextmanager
def _open_search(
    path: str, settings: Settings | None = None, scheduler: str | None = None, **more: Any
) -> Iterator[Search]:
    from workbench.evolve.search import Search
    from workbench.simulate.machines import dask

    with (
        dask(scheduler) if scheduler else nullcontext() as machines,
        Search(path, settings, report=show_progress, machines=machines, **more) as search,
    ):
        yield search
