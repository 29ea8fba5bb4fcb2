"""Commands that look at results: report, runs, personas."""

from __future__ import annotations

import argparse
import json
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.commands import Add, add_models, print_table, read_text
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.evolve.run import Run


def register(add: Add) -> None:
    """Add the commands of this module to the command line."""
    sub = add(
        report,
        "Write a run's figures, tables and a page that shows them (index.html), and print the comparison.",
    )
    sub.add_argument("run", metavar="DIR")
    sub.add_argument("-o", "--output", default="report", metavar="OUT_DIR", help="default: report")

    sub = add(runs, "List the runs in a folder, or print the digest of one.")
    sub.add_argument("folder", nargs="?", default="runs", help="default: runs")
    sub.add_argument(
        "--digest", metavar="DIR", help="hash of every result of a run, without wall-clock and cost"
    )

    sub = add(personas, "Run a generator program on a task and print the personas.")
    sub.add_argument(
        "program",
        nargs="?",
        help="a program file, or a run directory for its best; default: the seed program",
    )
    sub.add_argument("--domain", help="retail or airline (default: the run's, else retail)")
    sub.add_argument("--task", required=True, metavar="ID", help="task id, such as 12")
    sub.add_argument("-n", type=int, default=5, help="number of personas (default: 5)")
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--json", action="store_true", help="print the records as JSON")
    add_models(sub)


def report(args: argparse.Namespace) -> None:
    """Write a run's figures, tables and page, or those of every seed in a folder."""
    from workbench.evolve.damage import told
    from workbench.evolve.run import open_runs
    from workbench.show import report as reporting

    found = open_runs(args.run)
    one = len(found) == 1
    files = reporting.write(found[0], args.output) if one else reporting.write_seeds(found, args.output)
    if found[0].lacks:
        print(found[0].lacks)
    else:
        print_table(found)
    for run in found:
        if said := told(run.damage):
            print(f"{run.place}: {said}")
    print(f"\n{len(files)} files in {args.output}/: {', '.join(sorted({f.name for f in files}))}")
    print(f"The run is in {args.run}: programs, reflections and every conversation are plain files there.")
    print(
        f"Step through it: make lab, or WORKBENCH_RUN={args.run if one else found[0].path} jupyter lab notebooks"
    )


def runs(args: argparse.Namespace) -> None:
    """List runs, or print a run's digest."""
    from workbench.evolve import store
    from workbench.evolve.run import open_run

    if args.digest:
        open_run(args.digest).own()
        print(store.digest(Path(args.digest)))
        return
    folder = Path(args.folder)
    found = sorted(p.parent for p in folder.glob("**/run.json")) if folder.is_dir() else []
    if not found:
        print(f"No runs in {folder}/.")
    for path in found:
        try:
            print(f"{path}  {_line(open_run(path))}")
        except WorkbenchError as error:
            print(f"{path}  unreadable: {error}")


def _line(run: Run) -> str:
    """Say in a line what a run is, and how far it came."""
    settings, found = run.settings, run.candidates
    models = sorted({e.model for e in settings.roles.values()})
    shown = "rehearsal" if all(e.rehearsed for e in settings.roles.values()) else ", ".join(models)
    if "evolved" in run.conditions:
        state = "evaluated"
    elif found.is_empty():
        state = "not started"
    else:
        accepted = not found.filter(status="accepted").is_empty()
        state = f"best {run.best}" if accepted else "none accepted"
    if run.damage:
        state += ", damaged"
    return f"{settings.domain}  seed {settings.seed}  {len(found)} candidates  {state}  {shown}"


def personas(args: argparse.Namespace) -> None:
    """Run a generator program on a task and print the persona records."""
    from workbench.evolve.run import open_run
    from workbench.evolve.search import seed_program
    from workbench.evolve.start import tasks_of
    from workbench.llm import loop
    from workbench.llm.client import Client, LLMError
    from workbench.llm.roles import endpoints
    from workbench.simulate import tau2
    from workbench.simulate.batch import personas_of
    from workbench.simulate.program import Persona, ProgramRejected
    from workbench.simulate.scenarios import Scenario
    from workbench.simulate.tau2 import Task

    if args.n < 1:
        raise WorkbenchError(f"-n is {args.n}; ask for at least one persona.")
    path = Path(args.program) if args.program else None
    own: dict[str, Task] = {}
    if path is None:
        source = seed_program()
    elif path.is_dir():
        run = open_run(path)
        source = run.program(run.best)
        own = tasks_of(run) if run.settings.tasks and not args.domain else {}
        domain = run.settings.domain
        told = run.info.get("foreign", {}).get("contexts", {}).get(args.task)
        if told and not args.domain:
            own = {args.task: Scenario(args.task, domain, "train", told, {}, {})}
        args.domain = args.domain or (domain if domain in tau2.DOMAINS else None)
    else:
        source = read_text(path)
    if own and args.task not in own:
        raise WorkbenchError(f"The run has no scenario '{args.task}'; it has {', '.join(list(own)[:8])} ….")
    task = own.get(args.task) or tau2.task(args.domain or "retail", args.task)

    async def ask() -> list[Persona]:
        async with aclosing(Client(endpoints(args.model, args.base_url))) as client:
            await client.check(("generator",))
            return await personas_of(source, task, args.n, client, args.seed, tries=1)

    try:
        found = loop.run(ask())
    except ProgramRejected as error:
        raise WorkbenchError(f"The program was rejected ({error.kind}): {error.reason}") from None
    except LLMError as error:
        raise WorkbenchError(f"{error.reason}.") from None
    if args.json:
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
        print(json.dumps(records, indent=2, ensure_ascii=False))
        return
    for p in found:
        placed = ", ".join(f"{a} {'yes' if on else 'no'}" for a, on in p.axis_placement.items())
        print(f"{p.persona_id}  {p.description}\n  axes: {placed or 'none'}")
        print(f"  why: {p.reasoning}\n  policy: {p.policy}\n")
