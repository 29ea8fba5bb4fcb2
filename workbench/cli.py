"""The command line: everything a run needs, from evolving it to reporting on it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from workbench.commands import export, machine, paper, results, search, traces
from workbench.errors import WorkbenchError
from workbench.terminal import fresh_line

GROUPS = (search, results, export, traces, paper, machine)
EXAMPLES = """examples:
  workbench evolve --domain retail --run runs/first             offline, with the rehearsal models
  workbench evolve --domain retail --model gpt-4.1-mini --run runs/real      key from OPENAI_API_KEY
  workbench evolve --base-url http://127.0.0.1:11434/v1 --model llama3.1 --run runs/local
  workbench evaluate runs/first && workbench report runs/first -o figures"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 2 after a user's mistake, 130 after Ctrl-C."""
    from workbench.llm.client import LLMError

    args = parser().parse_args(argv)
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
            "workbench: stopped; what was finished is kept: the same command goes on, or 'workbench resume'.",
            file=sys.stderr,
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


class _Parser(argparse.ArgumentParser):
    """Argument errors read like every other error of ours: one sentence, exit code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see '{self.prog} --help'.\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser; ``args.command`` is the function of the command that was named."""
    raw = argparse.RawDescriptionHelpFormatter
    top = _Parser(
        prog="workbench",
        description="Evolve, inspect and report persona policies for LLM user simulators.",
        epilog=EXAMPLES,
        formatter_class=raw,
    )
    group = top.add_subparsers(required=True, metavar="COMMAND")

    def add(
        command: Callable[[argparse.Namespace], None], text: str, epilog: str = ""
    ) -> argparse.ArgumentParser:
        sub = group.add_parser(
            command.__name__, help=text, description=text, epilog=epilog, formatter_class=raw
        )
        sub.set_defaults(command=command)
        return sub

    for module in GROUPS:
        module.register(add)
    return top
