"""What the command line takes: one parser, its help written for people."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import NoReturn

EPILOG = {
    "workbench": """examples:
  workbench evolve --domain retail --run runs/first             offline, with the rehearsal models
  workbench evolve --domain retail --model gpt-4.1-mini --run runs/real      key from OPENAI_API_KEY
  workbench evolve --base-url http://127.0.0.1:11434/v1 --model llama3.1 --run runs/local
  workbench evaluate runs/first && workbench report runs/first -o figures""",
    "evolve": """roles in a file, for --roles (any role may be left out; keys never stand in files):
  [default]
  model = "gpt-4.1-mini"
  [user]
  model = "llama3.1"
  base_url = "http://127.0.0.1:11434/v1"
  api_key_env = "MY_KEY_VARIABLE" """,
}


class _Parser(argparse.ArgumentParser):
    """Argument errors read like every other error of ours: one sentence, exit code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see '{self.prog} --help'.\n")


def parser(commands: Mapping[str, Callable[[argparse.Namespace], None]]) -> argparse.ArgumentParser:
    """Return the parser; ``args.command`` is the function of the command that was named."""
    raw = argparse.RawDescriptionHelpFormatter
    top = _Parser(
        prog="workbench",
        description="Evolve, inspect and report persona policies for LLM user simulators.",
        epilog=EPILOG["workbench"],
        formatter_class=raw,
    )
    group = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        sub = group.add_parser(
            name, help=text, description=text, epilog=EPILOG.get(name), formatter_class=raw
        )
        sub.set_defaults(command=commands[name])
        return sub

    def models(sub: argparse.ArgumentParser) -> None:
        sub.add_argument(
            "--model", default="rehearsal", help="model of every role; default: the offline rehearsal models"
        )
        sub.add_argument(
            "--base-url", help="any OpenAI-compatible endpoint, such as http://127.0.0.1:11434/v1"
        )

    sub = add(
        "evolve",
        "Evolve a generator program; on an existing run with the same settings, go on with it.",
    )
    sub.add_argument("--domain", default="retail", help="retail or airline (default: retail)")
    sub.add_argument("--run", required=True, metavar="DIR", help="directory of the run")
    sub.add_argument("--generations", type=int, help="generations after the seed program (default: 20)")
    sub.add_argument("--seed", type=int, help="every random choice comes from it (default: 0)")
    models(sub)
    sub.add_argument("--roles", metavar="FILE.toml", help="model and endpoint of each role; see below")
    sub.add_argument(
        "--temperature", type=float, help="sent with every request (default: the endpoint's own)"
    )
    sub.add_argument("--proposals", type=int, metavar="K", help="candidates a generation (default: 1)")
    sub.add_argument("--train-tasks", type=int, metavar="N", help="tasks the search works on (default: 20)")
    sub.add_argument(
        "--validation-tasks", type=int, metavar="N", help="train tasks kept for validation (default: 5)"
    )
    sub.add_argument("--test-tasks", type=int, metavar="N", help="held-out test tasks (default: 20)")
    sub.add_argument("--test-personas", type=int, metavar="N", help="personas a test task (default: 10)")
    sub.add_argument("--window", type=int, metavar="N", help="train tasks a generation (default: 5)")
    sub.add_argument("--islands", type=int, metavar="N", help="sub-populations (default: 5)")
    sub.add_argument(
        "--early-stop",
        type=int,
        metavar="N",
        help="stop after N generations without a new best (default: 20)",
    )
    sub.add_argument("--selection", help="fitness, or a control: random, independent (default: fitness)")
    sub.add_argument("--concurrency", type=int, metavar="N", help="requests in flight at once (default: 30)")
    sub.add_argument("--max-cost", type=float, metavar="USD", help="stop before spending more")
    sub.add_argument("--max-tokens", type=int, metavar="N", help="stop before using more tokens")

    sub.add_argument(
        "--seeds", type=int, default=1, metavar="K", help="K independent searches, in DIR/seed-…"
    )
    sub.add_argument("--dry-run", action="store_true", help="estimate episodes, tokens and cost; ask nothing")

    sub = add("branch", "Start a new run from a candidate of another.")
    sub.add_argument("run", metavar="DIR")
    sub.add_argument("--at", metavar="CANDIDATE", help="candidate to start from (default: the run's best)")
    sub.add_argument("-o", "--output", required=True, metavar="NEW_DIR", help="directory of the new run")
    sub.add_argument("--generations", type=int, help="generations of the new run")
    sub.add_argument("--seed", type=int, help="another seed for the new run")

    sub = add("resume", "Go on with a run, by its own settings.")
    sub.add_argument("run", metavar="DIR")
    sub.add_argument("--generations", type=int, help="generations in all")
    sub.add_argument("--max-cost", type=float, metavar="USD", help="a new limit of money, in all")
    sub.add_argument("--max-tokens", type=int, metavar="N", help="a new limit of tokens, in all")

    sub = add(
        "evaluate",
        "Evaluate people, base simulator, DP, initial and evolved program on held-out tasks.",
    )
    sub.add_argument("run", metavar="DIR")
    sub.add_argument(
        "--controls", action="store_true", help="also the base simulator with its user at temperature 1"
    )
    sub.add_argument("--again", action="store_true", help="evaluate anew what is there already")

    sub = add("report", "Write a run's figures and tables, and print the comparison.")
    sub.add_argument("run", metavar="DIR")
    sub.add_argument("-o", "--output", default="figures", metavar="OUT_DIR", help="default: figures")

    sub = add("runs", "List the runs in a folder, or print the digest of one.")
    sub.add_argument("folder", nargs="?", default="runs", help="default: runs")
    sub.add_argument(
        "--digest", metavar="DIR", help="hash of every result of a run, without wall-clock and cost"
    )

    sub = add("personas", "Run a generator program on a task and print the personas.")
    sub.add_argument(
        "program",
        nargs="?",
        help="a program file, or a run directory for its best; default: the seed program",
    )
    sub.add_argument("--domain", default="retail", help="retail or airline (default: retail)")
    sub.add_argument("--task", required=True, metavar="ID", help="task id, such as 12")
    sub.add_argument("-n", type=int, default=5, help="number of personas (default: 5)")
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--json", action="store_true", help="print the records as JSON")
    models(sub)

    sub = add("fingerprint", "Compute the 19 features of every dialogue in trace files.")
    sub.add_argument("files", nargs="+", metavar="FILE", help=".jsonl or .jsonl.gz")
    sub.add_argument("-o", "--output", metavar="OUT", help=".parquet or .csv; without it, print means")

    sub = add(
        "rehearsal",
        "Serve the offline rehearsal models on loopback, for other programs and for tests.",
    )
    sub.add_argument("--port", type=int, default=8808, help="default: 8808")
    sub.add_argument("--latency", type=float, default=0.0, metavar="MS", help="wait before each answer")
    sub.add_argument(
        "--error-rate", type=float, default=0.0, metavar="SHARE", help="of requests to fail in transport"
    )
    sub.add_argument("--malformed-rate", type=float, default=0.0, metavar="SHARE", help="of answers to spoil")
    sub.add_argument("--seed", type=int, default=0, help="which requests fail (default: 0)")

    sub = add(
        "doctor",
        "Say what is installed, which model answers, which data is present, how strong the sandbox is.",
    )
    models(sub)
    sub.add_argument("--roles", metavar="FILE.toml", help="check the endpoints of a roles file")
    return top
