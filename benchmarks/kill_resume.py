"""Kill a run again and again while it works; resume; compare with an uninterrupted run.

python benchmarks/kill_resume.py [--kills 10] [--generations 6]

The rehearsal models are served on loopback, as any endpoint would be: what they answered before a kill is replayed from
the run, so the requests that were paid for tell what a kill costs.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from workbench.evolve.run import open_run
from workbench.evolve.store import digest

WORKBENCH = [sys.executable, "-c", "import sys; from workbench.cli import main; sys.exit(main(sys.argv[1:]))"]


def steps(path: Path, args: argparse.Namespace) -> list[list[str]]:
    run = ["evolve", "--run", str(path), "--seed", str(args.seed), "--generations", str(args.generations)]
    run += ["--roles", str(path.parent / "roles.toml")]
    small = "--train-tasks 8 --validation-tasks 3 --test-tasks 6 --test-personas 5 --window 4 --islands 2"
    return [[*run, "--early-stop", str(args.generations + 1), *small.split()], ["evaluate", str(path)]]


def go(path: Path, args: argparse.Namespace) -> None:
    for step in steps(path, args):
        subprocess.run(WORKBENCH + step, check=True, capture_output=True)


def committed(path: Path) -> dict[str, str]:
    """Return the digest of every folder that has been committed."""
    folders = [p for kind in ("candidates", "conditions") for p in (path / kind).glob("[!.]*")]
    return {f"{p.parent.name}/{p.name}": digest(p) for p in sorted(folders)}


def wait_for_work(path: Path, child: subprocess.Popen[bytes]) -> None:
    """Wait until the child has opened the run: its imports are no moment worth killing it at."""
    lock = path / "lock"
    while child.poll() is None and not (lock.exists() and f"process {child.pid} " in lock.read_text()):
        time.sleep(0.01)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--generations", type=int, default=6)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--mean", type=float, default=6.0, help="seconds until a kill, on average")
    parser.add_argument("--port", type=int, default=8877, help="where the rehearsal models are served")
    args = parser.parse_args()
    server = subprocess.Popen([*WORKBENCH, "rehearsal", "--port", str(args.port)], stdout=subprocess.DEVNULL)
    try:
        return measure(args)
    finally:
        server.terminate()
        server.wait()


def measure(args: argparse.Namespace) -> int:
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        # with a price, so that the ledger has every request at once
        served = f'model = "rehearsal"\nbase_url = "http://127.0.0.1:{args.port}/v1"\n'
        price = "usd_per_million_tokens = [1, 2]\n"
        (Path(folder) / "roles.toml").write_text(f"[default]\n{served}{price}")
        began = time.monotonic()
        go(whole, args)
        length = time.monotonic() - began
        print(f"uninterrupted: {length:.0f} s, digest {digest(whole)[:16]}", flush=True)
        lost, idle, kept = 0, 0, committed(killed)
        for kill in range(args.kills):
            step = steps(killed, args)[(killed / "candidates" / f"{args.generations:04}").exists()]
            child = subprocess.Popen(WORKBENCH + step, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_for_work(killed, child)
            time.sleep(rng.expovariate(1 / args.mean))
            idle += child.poll() is not None
            child.send_signal(signal.SIGKILL)
            child.wait()
            now = committed(killed)
            lost += sum(now.get(name) != it for name, it in kept.items())
            kept = now
            print(f"kill {kill + 1:3}: {len(now)} folders committed", flush=True)
        go(killed, args)
        paid = [int(open_run(path).spent()["requests"].sum()) for path in (whole, killed)]
        same = digest(killed) == digest(whole)
        print(
            f"{args.kills - idle} kills at work; {lost} committed folders lost or changed; requests paid for: "
            f"{paid[1]:,} against {paid[0]:,}; resumed: digest {digest(killed)[:16]}, {'the same' if same else 'DIFFERENT'}"
        )
        if not same:
            one, other = committed(whole), committed(killed)
            wrong = [name for name in sorted(one | other) if one.get(name) != other.get(name)]
            shutil.copytree(folder, f"{folder}-kept")
            print(f"different: {', '.join(wrong) or 'files beside the folders'}; kept in {folder}-kept")
        return 0 if same and not lost else 1


if __name__ == "__main__":
    sys.exit(main())
