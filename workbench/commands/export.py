"""The command that takes things out of a run: personas, a program, conversations."""

from __future__ import annotations

import argparse

from workbench.commands import Add

EXAMPLES = """examples:
  workbench export runs/demo --format jsonl -o personas.jsonl
  workbench export runs/demo --format adk --condition evolved --task 5 --task 9 -o scenarios.json
  workbench export runs/demo --format program --candidate 0012 -o personas.py
  workbench export runs/demo --format chat --successful -o train.jsonl
  workbench export my_traces.jsonl --format chat-user -o simulator.jsonl

formats:
"""


def register(add: Add) -> None:
    """Add the command to the command line."""
    from workbench.export.formats import FORMATS

    listed = "".join(f"  {name:<13}{about}\n" for name, about in FORMATS.items())
    sub = add(export, "Write personas, a program or conversations for other tools.", EXAMPLES + listed)
    sub.add_argument("source", metavar="RUN", help="a run directory; for chat formats also a file of traces")
    sub.add_argument("--format", required=True, metavar="NAME", help="one of those below")
    sub.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="file to write (tau2-plugin: folder)"
    )
    sub.add_argument(
        "--condition", metavar="NAME", help="dp, initial, evolved or base (default: evolved, if evaluated)"
    )
    sub.add_argument("--candidate", metavar="ID", help="a candidate's own batch in place of a condition")
    sub.add_argument(
        "--task", action="append", default=[], metavar="ID", help="only this task; may be repeated"
    )
    sub.add_argument("--successful", action="store_true", help="conversations whose task succeeded")


def export(args: argparse.Namespace) -> None:
    """Write an export and say what is in it."""
    from workbench.export import export as write

    print(
        write(
            args.source,
            args.format,
            args.output,
            condition=args.condition,
            candidate=args.candidate,
            tasks=args.task,
            successful=args.successful,
        )
    )
