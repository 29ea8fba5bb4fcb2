"""The command line: everything a run needs, from evolving it to reporting on it."""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.arguments import parser
from workbench.errors import WorkbenchError
from workbench.terminal import candidate_line, fresh_line, print_estimate, show_progress

if TYPE_CHECKING:
    from workbench.evolve.run import Run
    from workbench.evolve.search import Search
    from workbench.evolve.settings import Settings
    from workbench.llm.roles import Endpoint


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 2 after a user's mistake, 130 after Ctrl-C."""
    from workbench.llm.client import LLMError

    commands = (evolve, branch, resume, evaluate, report, runs, personas, fingerprint, rehearsal, doctor)
    args = parser({c.__name__: c for c in commands}).parse_args(argv)
    try:
        args.command(args)
    except WorkbenchError as error:
        print(f"workbench: {error}", file=sys.stderr)
        return 2
    except LLMError as error:
        fresh_line()
        kept = " What was finished is kept; 'workbench resume' goes on." if hasattr(args, "run") else ""
        print(f"workbench: {error.reason}.{kept}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        fresh_line()
        print(
            "workbench: stopped; what was finished is kept, and 'workbench resume' goes on.", file=sys.stderr
        )
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:  # a file that the command writes: figures, tables, an output
        if error.filename is None and error.errno is None:
            raise
        print(f"workbench: {error.filename or 'a file'} cannot be used: {error.strerror}.", file=sys.stderr)
        return 2
    return 0


# -- commands -------------------------------------------------------------------------------------


def evolve(args: argparse.Namespace) -> None:
    """Start a search, or go on with one that has the same settings."""
    from dataclasses import replace

    from workbench.llm.roles import endpoints

    roles = endpoints(args.model, args.base_url, roles_file=args.roles, temperature=args.temperature)
    names: tuple[str, ...] = (
        "domain",
        "seed",
        "generations",
        "proposals",
        "train_tasks",
        "validation_tasks",
        "test_tasks",
    )
    names += (
        "test_personas",
        "window",
        "islands",
        "early_stop",
        "selection",
        "concurrency",
        "max_cost",
        "max_tokens",
    )
    settings = _settings(roles=roles, **{n: getattr(args, n) for n in names if getattr(args, n) is not None})
    if args.seeds < 1:
        raise WorkbenchError(f"--seeds is {args.seeds}; ask for one independent search or more.")
    if args.dry_run:
        print_estimate(settings, args.seeds)
        return
    if args.seeds == 1:
        _drive(args.run, settings)
        return
    for seed in range(settings.seed, settings.seed + args.seeds):
        _drive(str(Path(args.run) / f"seed-{seed}"), replace(settings, seed=seed))


def branch(args: argparse.Namespace) -> None:
    """Start a run from a candidate of another."""
    from dataclasses import replace

    from workbench.evolve.run import open_run

    old = open_run(args.run)
    candidate = args.at or old.best
    old.program(candidate)
    changed = {n: v for n in ("generations", "seed") if (v := getattr(args, n)) is not None}
    _drive(args.output, replace(old.settings, **changed), branch=(old, candidate))


def resume(args: argparse.Namespace) -> None:
    """Go on with a run by its own settings."""
    from dataclasses import replace

    from workbench.evolve.run import open_run

    settings = open_run(args.run).settings
    changed = {n: v for n in ("generations", "max_cost", "max_tokens") if (v := getattr(args, n)) is not None}
    _drive(args.run, replace(settings, **changed))


def evaluate(args: argparse.Namespace) -> None:
    """Evaluate the conditions on held-out tasks, of a run or of every seed in a folder."""
    from workbench.evolve import conditions
    from workbench.evolve.run import CONDITIONS, CONTROLS, open_runs

    for run in open_runs(args.run):
        with _open_search(str(run.path), None) as search:
            which = (*CONDITIONS, *CONTROLS) if args.controls else CONDITIONS
            conditions.evaluate(search, only=which, again=args.again)
    fresh_line()
    _print_table(open_runs(args.run))


def report(args: argparse.Namespace) -> None:
    """Write a run's figures and tables, or those of every seed in a folder."""
    from workbench.evolve.run import open_runs
    from workbench.show import report as reporting

    found = open_runs(args.run)
    one = len(found) == 1
    files = reporting.write(found[0], args.output) if one else reporting.write_seeds(found, args.output)
    _print_table(found)
    print(f"\n{len(files)} files in {args.output}/: {', '.join(sorted({f.name for f in files}))}")
    print(f"The run is in {args.run}: programs, reflections and every conversation are plain files there.")
    print(f"Step through it: make lab, or WORKBENCH_RUN={found[0].path} jupyter lab notebooks")


def runs(args: argparse.Namespace) -> None:
    """List runs, or print a run's digest."""
    from workbench.evolve import store
    from workbench.evolve.run import open_run

    if args.digest:
        open_run(args.digest)
        print(store.digest(Path(args.digest)))
        return
    folder = Path(args.folder)
    found = sorted(p.parent for p in folder.glob("**/run.json")) if folder.is_dir() else []
    if not found:
        print(f"No runs in {folder}/.")
    for path in found:
        try:
            run = open_run(path)
        except WorkbenchError as error:
            print(f"{path}  unreadable: {error}")
            continue
        count = len(run.candidate_ids)
        models = sorted({e.model for e in run.settings.roles.values()})
        shown = "rehearsal" if all(e.rehearsed for e in run.settings.roles.values()) else ", ".join(models)
        state = "evaluated" if "evolved" in run.conditions else f"best {run.best}" if count else "not started"
        print(
            f"{path}  {run.settings.domain}  seed {run.settings.seed}  {count} candidates  {state}  {shown}"
        )


def personas(args: argparse.Namespace) -> None:
    """Run a generator program on a task and print the persona records."""
    from workbench.evolve.run import open_run
    from workbench.evolve.search import seed_program
    from workbench.llm import loop
    from workbench.llm.client import Client, LLMError
    from workbench.llm.roles import endpoints
    from workbench.simulate import tau2
    from workbench.simulate.batch import personas_of
    from workbench.simulate.program import ProgramRejected

    task = tau2.task(args.domain, args.task)
    if args.n < 1:
        raise WorkbenchError(f"-n is {args.n}; ask for at least one persona.")
    path = Path(args.program) if args.program else None
    if path is None:
        source = seed_program()
    elif path.is_dir():
        run = open_run(path)
        source = run.program(run.best)
    else:
        source = _read_text(path)

    async def ask() -> list[Any]:
        roles = endpoints(args.model, args.base_url)
        await _answers(roles, ("generator",))
        client = Client(roles)
        try:
            return await personas_of(source, task, args.n, client, args.seed, tries=1)
        finally:
            await client.aclose()

    try:
        found = loop.run(ask())
    except ProgramRejected as error:
        raise WorkbenchError(f"The program was rejected ({error.kind}): {error.reason}") from None
    except LLMError as error:
        raise WorkbenchError(f"{error.reason}.") from None
    records = [
        {
            "persona_id": p.persona_id,
            "description": p.description,
            "axis_placement": p.axis_placement,
            "reasoning": p.reasoning,
            "expanded_instruction": p.policy,
        }
        for p in found
    ]
    if args.json:
        print(json.dumps(records, indent=2, ensure_ascii=False))
        return
    for record in records:
        placed = ", ".join(f"{a} {'yes' if on else 'no'}" for a, on in record["axis_placement"].items())
        print(f"{record['persona_id']}  {record['description']}\n  axes: {placed or 'none'}")
        print(f"  why: {record['reasoning']}\n  policy: {record['expanded_instruction']}\n")


def fingerprint(args: argparse.Namespace) -> None:
    """Fingerprint trace files."""
    import warnings

    import polars as pl

    from workbench.measure import FEATURES
    from workbench.measure.fingerprint import fingerprint as compute
    from workbench.traces import batches

    frames, silent = [], 0
    facts = pl.col("source", "domain", "task_id", "tau2_task_id", "trial", "trait", "reward").first()
    spoke = ((pl.col("role") == "user") & (pl.col("content") != "")).any().alias("spoke")
    for file in args.files:
        parts = []
        for turns in batches(file):  # some thousand dialogues at a time: a file may be larger than memory
            about = turns.group_by("dialogue_id").agg(facts, spoke)
            silent += len(about.filter(~pl.col("spoke")))
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*no user turn")
                parts.append(about.drop("spoke").join(compute(turns), on="dialogue_id"))
        frames.append(pl.concat(parts).sort("dialogue_id").with_columns(file=pl.lit(Path(file).name)))
    if silent:
        print(f"{silent} dialogues have no user turn: their fingerprints are zeros", file=sys.stderr)
    table = pl.concat(frames, how="vertical_relaxed")
    if args.output:
        if not args.output.endswith((".parquet", ".csv")):
            raise WorkbenchError(f"-o {args.output} must end in .parquet or .csv.")
        try:
            (table.write_parquet if args.output.endswith(".parquet") else table.write_csv)(args.output)
        except OSError as error:
            raise WorkbenchError(f"{args.output} cannot be written: {error.strerror or error}.") from None
        print(f"{len(table)} dialogues from {len(args.files)} files → {args.output}")
        return
    print(f"{'mean of':<28}" + "".join(f"{Path(f).name[:26]:>28}" for f in args.files))
    for feature in FEATURES:
        print(f"{feature:<28}" + "".join(f"{frame[feature].to_numpy().mean():>28.3f}" for frame in frames))


def rehearsal(args: argparse.Namespace) -> None:
    """Serve the rehearsal models on loopback."""
    import uvicorn

    from workbench.llm.rehearsal.app import app
    from workbench.llm.rehearsal.faults import Faults

    for name in ("error_rate", "malformed_rate"):
        if not 0 <= getattr(args, name) <= 1:
            raise WorkbenchError(
                f"--{name.replace('_', '-')} is {getattr(args, name)}; it must be from 0 to 1."
            )
    if not 0 <= args.latency <= 60_000:
        raise WorkbenchError(f"--latency is {args.latency}; it must be from 0 to 60000 milliseconds.")
    if not 1 <= args.port <= 65535:
        raise WorkbenchError(f"--port is {args.port}; name one from 1 to 65535.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", args.port))
        except OSError as error:
            raise WorkbenchError(
                f"--port {args.port} cannot be used: {error.strerror}; name another."
            ) from None
    print(f"Rehearsal models at http://127.0.0.1:{args.port}/v1 (any key); Ctrl-C stops.", flush=True)
    faulty = Faults(
        app,
        latency=args.latency,
        error_rate=args.error_rate,
        malformed_rate=args.malformed_rate,
        seed=args.seed,
    )
    # A body cut on purpose is an error to uvicorn; only its own faults are worth a line.
    uvicorn.run(faulty, host="127.0.0.1", port=args.port, log_level="critical")


def doctor(args: argparse.Namespace) -> None:
    """Say what is installed, which model answers, which data is there, how strong the sandbox is."""
    from importlib.metadata import version

    import workbench
    from workbench.llm import loop
    from workbench.llm.roles import ROLES, endpoints
    from workbench.measure.reference import humans
    from workbench.simulate import tau2
    from workbench.simulate.sandbox import sandbox_level

    python = ".".join(map(str, sys.version_info[:3]))
    print(f"workbench {workbench.__version__} · Python {python} · {os.cpu_count()} cores")
    names = (
        "openai",
        "polars",
        "scikit-learn",
        "pydantic-monty",
        "inspect-evals",
        "altair",
        "umap-learn",
        "jupyterlab",
    )
    print("packages   " + " · ".join(f"{n} {version(n)}" for n in names))
    print(f"sandbox    {sandbox_level()}")
    for domain in tau2.DOMAINS:
        people = humans(domain)
        print(
            f"data       {domain}: {len(tau2.split(domain, 'train'))} train and {len(tau2.split(domain, 'test'))} "
            f"test tasks, fingerprints of {len(people)} human dialogues"
        )
    folder = os.environ.get("WORKBENCH_TRACES")
    print(f"traces     {folder or 'none (set WORKBENCH_TRACES to a folder of real traces to use them)'}")
    print(f"key        OPENAI_API_KEY is {'set' if os.environ.get('OPENAI_API_KEY') else 'not set'}")

    for line in loop.run(_answers(endpoints(args.model, args.base_url, roles_file=args.roles), ROLES)):
        print(f"model      {line}")


# -- shared by commands ---------------------------------------------------------------------------


def _settings(**given: Any) -> Settings:
    from workbench.evolve.settings import Settings

    return Settings(**given)


async def _answers(roles: Mapping[str, Endpoint], which: Sequence[str]) -> list[str]:
    """Ask the endpoints of some roles whether they answer; return a line for each role."""
    from workbench.llm.client import Client

    client = Client(roles)
    try:
        return await client.check(which)
    finally:
        await client.aclose()


def _drive(path: str, settings: Settings, *, branch: tuple[Run, str] | None = None) -> None:
    from workbench.evolve.curriculum import choose_tasks
    from workbench.evolve.progress import duration
    from workbench.llm import loop
    from workbench.llm.roles import ROLES

    if not (Path(path) / "run.json").exists():
        choose_tasks(settings)  # a mistake in the settings is told before any endpoint is asked
    lines = loop.run(_answers(settings.roles, sorted(set(ROLES) - {"judge"})))
    with _open_search(path, settings, branch) as search:
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


def _open_search(path: str, settings: Settings | None, branch: tuple[Run, str] | None = None) -> Search:
    from workbench.evolve.search import Search

    return Search(path, settings, report=show_progress, branch=branch)


def _print_table(runs_: Sequence[Run]) -> None:
    from workbench.show.tables import conditions_text, seeds_text

    print(conditions_text(runs_[0]) if len(runs_) == 1 else seeds_text(runs_))


def _read_text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        raise WorkbenchError(f"There is no file {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise WorkbenchError(f"{path} cannot be read as text: {error}.") from None
