"""The operating system's part of the sandbox: starting monty workers inside bubblewrap, where that works."""

from __future__ import annotations

import atexit
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import threading
from functools import cache
from pathlib import Path

from workbench.errors import WorkbenchError

_one_at_a_time = threading.Lock()  # event loops in several threads may ask at once
ADDRESS_SPACE_KB = 4_000_000  # backstop, far above what a worker maps (0.2 GB)


# Closes what the host left open (a worker inherits it otherwise; 255 is bash's own) and stays as the parent:
# bubblewrap's --die-with-parent would else follow the host's thread, and killing bash still ends all inside.
WRAPPER = """\
#!{shell}
{{
  for fd in /proc/self/fd/*; do
    case ${{fd##*/}} in 0|1|2|255) ;; *) eval "exec ${{fd##*/}}>&-" ;; esac
  done
  case $1 in subprocess) exec 2>/dev/null ;; esac
  ulimit -c 0
  ulimit -v {kilobytes}
  {command} "$@" 255>&-
  exit $?
}}
"""


def sandbox_level() -> str:
    """Say what holds a program: "language + bubblewrap", or "language only: " and the reason."""
    path, reason = worker_in_bubblewrap()
    return "language + bubblewrap" if path else f"language only: {reason}"


def worker_in_bubblewrap() -> tuple[Path | None, str]:
    """Return the script that starts a worker inside bubblewrap, or None and the reason why not; tried once."""
    with _one_at_a_time:
        return _try_bubblewrap()


@cache
def _try_bubblewrap() -> tuple[Path | None, str]:
    """Write the script and run a worker with it.

    The script names absolute paths only, because workers start with an empty environment.
    """
    bwrap, ldd, shell = shutil.which("bwrap"), shutil.which("ldd"), shutil.which("bash")
    if not bwrap:
        return None, "bubblewrap is not installed (Debian and Ubuntu: apt-get install bubblewrap)"
    if not ldd or not shell:
        return None, "bash and ldd are needed to start a worker inside bubblewrap"
    worker = _worker_binary()
    try:
        listing = subprocess.run(
            [ldd, worker], capture_output=True, text=True, timeout=10, check=False
        ).stdout
        libraries = sorted(set(re.findall(r"(/\S+) \(0x", listing)))
        binds = [part for path in libraries for part in ("--ro-bind", path, path)]
        command = [
            bwrap, "--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534", "--hostname", "sandbox",
            "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv",
            *binds, "--ro-bind", worker, "/monty", "--remount-ro", "/", "--chdir", "/", "--", "/monty",
        ]  # fmt: skip
        script = Path(_scratch().name) / "worker"
        script.write_text(
            WRAPPER.format(shell=shell, kilobytes=ADDRESS_SPACE_KB, command=shlex.join(command))
        )
        script.chmod(0o700)
        tried = subprocess.run(
            [str(script), "-c", "print(6 * 7)"],
            env={},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"bubblewrap could not be tried ({error})"
    if tried.stdout.strip() != "42":
        last = (tried.stderr.strip().splitlines() or [f"exit status {tried.returncode}"])[-1]
        return None, f"bubblewrap is installed but does not work here ({last})"
    return script, ""


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    """Make the private folder for the wrapper; it goes when the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="workbench-sandbox-")
    atexit.register(folder.cleanup)
    return folder


def cpu_seconds(pid: int | None) -> float:
    """Return the CPU time of a process and of all below it so far; 0 where that cannot be told."""
    total = 0.0
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, ValueError, IndexError):
        return total
    return total + sum(cpu_seconds(int(child)) for child in below)


def _worker_binary() -> str:
    from pydantic_monty._binary import find_monty_binary

    try:
        return str(Path(find_monty_binary()).resolve())
    except FileNotFoundError as error:
        raise WorkbenchError(
            "The sandbox's worker program is missing; reinstall it with: "
            "pip install --force-reinstall pydantic-monty==1.4.0"
        ) from error
