"""Kill a run again and again between its first and last commit; resume; compare digests with an uninterrupted run.

python benchmarks/kill_resume.py [--kills 10]
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from workbench.evolve.store import digest

WORKBENCH = [sys.executable, "-c", "import sys; from workbench.cli import main; sys.exit(main(sys.argv[1:]))"]


def steps(path: Path, seed: int) -> list[list[str]]:
    run = ["evolve", "--run", str(path), "--seed", str(seed), "--generations", "6"]
    return [run, ["evaluate", str(path)]]


def go(path: Path, seed: int) -> None:
    for step in steps(path, seed):
        subprocess.run(WORKBENCH + step, check=True, capture_output=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=11)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        began = time.monotonic()
        go(whole, args.seed)
        length = time.monotonic() - began
        print(f"uninterrupted: {length:.0f} s, digest {digest(whole)[:16]}", flush=True)
        for kill in range(args.kills):
            done = (killed / "conditions" / "evolved").exists()
            step = steps(killed, args.seed)[1 if (killed / "candidates" / "0006").exists() else 0]
            child = subprocess.Popen(WORKBENCH + step, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(2.5 + rng.random() * max(1.0, length / (args.kills / 2)))  # 2.5 s of imports
            child.send_signal(signal.SIGKILL)
            child.wait()
            parts = sorted(p.name for k in ("candidates", "conditions") for p in (killed / k).glob("[!.]*"))
            print(
                f"kill {kill + 1:2}: {'finished before' if done else len(parts)} folders committed",
                flush=True,
            )
        go(killed, args.seed)
        same = digest(killed) == digest(whole)
        print(f"resumed: digest {digest(killed)[:16]}; {'the same' if same else 'DIFFERENT'}")
        return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
