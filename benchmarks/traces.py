"""How fast trace files of any size are read, and in how much memory.

    python benchmarks/traces.py [--size MB]

Writes a file of each shape in a temporary folder (a line a dialogue, gzipped lines, a list, one object with all
simulations, one object with a key a dialogue), reads it in a process of its own, and prints megabytes a CPU second and the
peak of that process's memory beside that of one which only imports the reader.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

SAID = "I would like to return the blue lamp of my last order, it came broken and nobody told me. "


def talk(number: int) -> list[dict[str, str]]:
    """Return a dialogue of twelve messages that differs from the others."""
    turn = SAID[number % 7 :] * 3 + f" {number}"
    return [{"role": ("assistant", "user")[i % 2], "content": f"{turn} {i} ok"} for i in range(12)]


def dialogues(size: int) -> Iterator[int]:
    """Number as many dialogues as fill ``size`` bytes."""
    each = len(json.dumps(talk(1000)))
    yield from range(size // each)


def write(folder: Path, shape: str, size: int) -> Path:
    """Write a file of a shape."""
    path = folder / f"{shape}.json"
    with gzip.open(path, "wt", compresslevel=1) if shape == "gzip" else path.open("w") as file:
        if shape in ("lines", "gzip"):
            for n in dialogues(size):
                file.write(json.dumps({"task_id": str(n), "messages": talk(n)}) + "\n")
            return path
        head, tail = {
            "list": ("[", "]"),
            "tau2": ('{"info": {}, "tasks": [], "simulations": [', "]}"),
            "tau-usi": ("{", "}"),
        }[shape]
        file.write(head)
        for n in dialogues(size):
            file.write(", " * bool(n))
            if shape == "tau-usi":
                file.write(f'"retail_{n}": ' + json.dumps({"conversation": talk(n)}))
            else:
                more = {"termination_reason": "user_stop"} if shape == "tau2" else {}
                file.write(json.dumps({"task_id": str(n), "messages": talk(n)} | more))
        file.write(tail)
    return path


def read(path: str) -> None:
    """Read a file as a stream; print dialogues, CPU seconds and the peak of memory in MiB."""
    from workbench.traces import batches

    began, count = time.process_time(), 0
    for turns in batches(path) if path else ():
        count += turns["dialogue_id"].n_unique()
    seconds = time.process_time() - began
    print(json.dumps([count, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def main() -> None:
    """Write, read and print a line a shape."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=1000, metavar="MB", help="of each file (default: 1000)")
    parser.add_argument("--read", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.read is not None:
        read(args.read)
        return

    def measure(path: str) -> list[float]:
        done = subprocess.run(
            [sys.executable, __file__, "--read", path], capture_output=True, text=True, check=True
        )
        found: list[float] = json.loads(done.stdout)
        return found

    print(f"{'shape':<10}{'file MB':>9}{'dialogues':>11}{'CPU s':>9}{'MB/s':>7}{'peak MiB':>10}")
    print(f"{'(import)':<10}{'':>9}{'':>11}{'':>9}{'':>7}{measure('')[2]:>10.0f}")
    for shape in ("lines", "gzip", "list", "tau2", "tau-usi"):
        with tempfile.TemporaryDirectory() as folder:
            path = write(Path(folder), shape, args.size * 10**6)
            count, seconds, peak = measure(str(path))
            size = args.size if shape == "gzip" else path.stat().st_size / 1e6  # of the text
            print(
                f"{shape:<10}{path.stat().st_size / 1e6:>9.0f}{count:>11,.0f}{seconds:>9.1f}"
                f"{size / seconds:>7.0f}{peak:>10.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
