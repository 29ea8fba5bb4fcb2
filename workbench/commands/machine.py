"""Commands about this machine: the rehearsal endpoint, and what is installed."""

from __future__ import annotations

import argparse
import os
import socket
import sys

from workbench.commands import Add, add_models, answers
from workbench.errors import WorkbenchError


def register(add: Add) -> None:
    """Add the commands of this module to the command line."""
    sub = add(
        rehearsal,
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
        doctor,
        "Say what is installed, which model answers, which data is present, how strong the sandbox is.",
    )
    add_models(sub)
    sub.add_argument("--roles", metavar="FILE.toml", help="check the endpoints of a roles file")


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
    from workbench.simulate.isolation import sandbox_level

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

    for line in loop.run(answers(endpoints(args.model, args.base_url, roles_file=args.roles), ROLES)):
        print(f"model      {line}")
