"""How fast, how lean and how steady the engine is, against a scripted server and, where it is installed, ppol 0.1.1.

    python benchmarks/engine [--ppol /path/to/its/python] [--workers 64] [--steps 5] [--only generation,faults]

Prints each target beside what was measured, as ratios within this run; ends with exit code 1 when one is missed. For ppol:
``python -m venv ppolenv && ppolenv/bin/pip install ppol==0.1.1 openevolve==0.4.0``, then ``--ppol ppolenv/bin/python``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).parent
CALLS = 15  # in sequence: mutation, population, expansion, eleven turns, reflection
MISSED: list[str] = []


def told(what: str, target: str, found: str, holds: bool | None = None) -> None:
    """Print a line of the report."""
    mark = "" if holds is None else "holds" if holds else "MISSED"
    if holds is False:
        MISSED.append(what)
    print(f"{what:<58} {target:<12} {found:<44} {mark}", flush=True)


def ours(part: str, **what: Any) -> Any:
    """Run a part of the benchmark in a process of its own."""
    command = [sys.executable, str(HERE / "ours.py"), json.dumps({"part": part} | what)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def spread(seconds: list[float]) -> str:
    """Write a median with the range."""
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f}-{max(seconds):.2f})"


def generation(url: str, args: argparse.Namespace) -> None:
    for latency, most in ((50, 2.0), (500, 1.15)):
        for n in (5, 10):
            steps = args.steps if latency == 50 else max(2, args.steps // 3)
            found = ours(
                "generations", url=url, n=n, latency=latency, proposals=1, workers=args.workers, steps=steps
            )
            ratio = statistics.median(found["seconds"]) / (CALLS * latency / 1000)
            what = f"generation of {5 * n} episodes at {latency} ms, critical path × "
            told(what, f"<= {most}", f"{ratio:.2f}: {spread(found['seconds'])}", ratio <= most)
            if latency == 50 and n == 10:
                memory = found["memory"]
                text = (
                    f"{memory['pss']:.0f} (resident: {memory['own']:.0f}; with workers {memory['rss']:.0f})"
                )
                told("  peak memory of it, proportional, MiB", "< 450", text, memory["pss"] < 450)


def flat(url: str, args: argparse.Namespace) -> None:
    found = ours("generations", url=url, n=10, latency=0, proposals=1, workers=args.workers, steps=40)
    own = found["resident"]
    text = ", ".join(f"{own[i]:.0f}" for i in (0, 9, 19, 29, 39))
    told("memory after generations 1, 10, 20, 30, 40, MiB", "flat", text, own[39] < 1.05 * own[9])


def request(url: str, args: argparse.Namespace) -> None:
    found = ours("request_cpu", url=url)
    text = f"{found['ratio']:.2f}: {found['ours']:.2f} ms against {found['bare']:.2f} ms"
    told("CPU around a request, bare AsyncOpenAI.post × ", "<= 1.3", text, found["ratio"] <= 1.3)
    told("  the same, bare post on aiohttp as here × ", "", f"{found['ours'] / found['bare aiohttp']:.2f}")


def faults(url: str, args: argparse.Namespace) -> None:
    shared = {
        "url": url,
        "n": 10,
        "latency": 50,
        "proposals": 1,
        "workers": args.workers,
        "steps": 2 * args.steps,
    }
    clean = ours("generations", **shared)
    faulty = ours("generations", **shared, too_many=0.1, broken=0.05)
    ratio = statistics.median(faulty["seconds"]) / statistics.median(clean["seconds"])
    seen = faulty["server"]
    told(
        "10 % 429 and 5 % 500 at 50 ms, clean time × ",
        "<= 1.6",
        f"{ratio:.2f}: {spread(faulty['seconds'])}; {seen['429']} 429, {seen['500']} 500",
        ratio <= 1.6,
    )
    told("  digest", "identical", faulty["digest"][:16], faulty["digest"] == clean["digest"])
    spoiled = ours("generations", **shared, too_many=0.1, broken=0.05, malformed=0.05)
    text = f"{spoiled['server']['malformed']} malformed: {spoiled['failed']} of {spoiled['candidates'] * 50} episodes "
    text += f"failed, {spoiled['rejected']} of {spoiled['candidates']} candidates rejected"
    told("  5 % malformed on top", "survived", text, spoiled["candidates"] == 2 * args.steps)


def throughput(url: str, args: argparse.Namespace) -> None:
    found = ours(
        "generations", url=url, n=10, latency=50, proposals=5, workers=args.workers, steps=args.steps
    )
    rate = found["episodes"] / statistics.median(found["seconds"])
    memory = found["memory"]
    told(f"episodes/s, 5 candidates in flight, {args.workers} workers", "", f"{rate:.1f}")
    more = {"proposals": 5, "workers": 4 * args.workers, "steps": args.steps, "processes": 2}
    wide = ours("generations", url=url, n=10, latency=50, **more)
    other = wide["episodes"] / statistics.median(wide["seconds"])
    told(f"  the same in two worker processes of dask, {4 * args.workers} in flight", "", f"{other:.1f}")
    text = f"{memory['pss']:.0f} (resident: {memory['own']:.0f}; with workers {memory['rss']:.0f})"
    told("  peak memory of it, proportional, MiB", "< 450", text, memory["pss"] < 450)
    if not args.ppol:
        print("ppol is not measured: give its Python with --ppol (see the head of this file).")
        return
    with tempfile.TemporaryDirectory() as folder:
        ppol(args.ppol, url, "prepare", folder)
        for workers, at_once in ((30, 1), (args.workers, 1), (args.workers, 5)):
            seen = ppol(args.ppol, url, "evolve", folder, str(workers), "10", "10", str(at_once))
            name = f"ppol 0.1.1: episodes/s, {workers} workers, {at_once} candidate{'s' * (at_once > 1)} in flight"
            told(name, "", f"{seen['rate']:.1f} (memory {seen['pss']:.0f} MiB; resident {seen['rss']:.0f})")
            holds = (
                rate / seen["rate"] >= 5 if at_once == 1 else None
            )  # it ships with one evaluation at a time
            told("  ours ÷ it", ">= 5" if at_once == 1 else "", f"{rate / seen['rate']:.1f}", holds)


def ppol(python: str, url: str, *arguments: str) -> dict[str, float]:
    """Run ppol's side; returns episodes per second in steady state, and its memory."""
    ask(url, "set", {"latency": 0 if arguments[0] == "prepare" else 50})
    place = Path(arguments[1])
    environment = {**os.environ, "SCRIPTED_URL": url, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    command = [python, str(HERE / "ppol_side.py"), *arguments]
    peak = {"rss": 0.0, "pss": 0.0}
    seen: list[tuple[float, int]] = []
    with (place / "log.txt").open("w") as log:
        child = psutil.Popen(command, env=environment, cwd=folder_of(place), stdout=log, stderr=log)
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(0.2):
                rss = pss = 0.0
                seen.append((time.perf_counter(), counted(url)))
                try:
                    for process in (child, *child.children(recursive=True)):
                        rss += process.memory_info().rss / 2**20
                        pss += process.memory_full_info().pss / 2**20
                except psutil.Error:
                    continue
                peak.update(rss=max(peak["rss"], rss), pss=max(peak["pss"], pss))

        thread = threading.Thread(target=watch)
        thread.start()
        status = child.wait()
        stop.set()
        thread.join()
    if status:
        sys.exit(f"ppol failed:\n{(place / 'log.txt').read_text()[-3000:]}")
    if arguments[0] == "prepare":
        return {}
    few, many = (
        0.3 * seen[-1][1],
        0.95 * seen[-1][1],
    )  # the first still start processes, the last wait for others
    steady = [(at, count) for at, count in seen if few <= count <= many]
    rate = (steady[-1][1] - steady[0][1]) / (steady[-1][0] - steady[0][0])
    return {"rate": rate} | peak


def folder_of(place: Path) -> Path:
    """Return a working directory for ppol."""
    (place / "cwd").mkdir(exist_ok=True)
    return place / "cwd"


def ask(url: str, what: str, data: dict[str, Any]) -> None:
    """Set the server."""
    request = urllib.request.Request(url.replace("/v1", f"/{what}"), json.dumps(data).encode())
    urllib.request.urlopen(request).read()


def counted(url: str) -> int:
    """Return how many episodes the server has seen end since it was set."""
    found: dict[str, int] = json.load(urllib.request.urlopen(url.replace("/v1", "/count")))
    return found.get("episodes", 0)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ppol", help="a Python in which ppol 0.1.1 is installed")
    parser.add_argument("--workers", type=int, default=64, help="requests in flight")
    parser.add_argument("--steps", type=int, default=5, help="generations timed in each part")
    parser.add_argument("--only", default="generation,flat,request,faults,throughput")
    args = parser.parse_args()
    server = subprocess.Popen([sys.executable, str(HERE / "server.py")], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
        print(f"{os.cpu_count()} cores, load {load}, {time.strftime('%Y-%m-%d %H:%M')}\n")
        for part in (generation, flat, request, faults, throughput):
            if part.__name__ in args.only.split(","):
                part(url, args)
    finally:
        server.kill()
        server.wait()
    print(f"\n{'missed: ' + '; '.join(MISSED) if MISSED else 'all targets hold'}")
    return 1 if MISSED else 0


if __name__ == "__main__":
    sys.exit(main())
