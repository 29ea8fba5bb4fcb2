"""The sandbox itself: its workers, its walls, and how it starts and ends. Nothing here is mocked."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from workbench.llm import loop
from workbench.simulate.isolation import sandbox_level, worker_in_bubblewrap
from workbench.simulate.program import ProgramRejected, run_program
from workbench.simulate.sandbox import WORKERS, Limits, close_pool, session

PROGRAM = """\
DIVERSITY_AXES = []
def generate_personas_detailed(c, axes, n):
    x = complete('s', 'u')
    return [{'persona_id': str(i), 'description': x, 'axis_placement': {}, 'reasoning': '', 'expanded_instruction': c}
            for i in range(n)]
"""


async def answer(system: str, user: str) -> str:
    return "fine"


async def hang(system: str, user: str) -> str:
    await asyncio.sleep(3600)
    return "too late"


def offspring(pid: int | str = "self") -> list[int]:
    """All processes below one, by the kernel's own list."""
    found = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *offspring(child)]
    return found


def lives(pid: int) -> bool:
    """Whether a process is there and not merely waiting to be reaped."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False


def workers() -> set[int]:
    return {pid for pid in offspring() if lives(pid)}


def gone(pids: set[int]) -> bool:
    """Whether these processes end; the kernel gets a moment for it."""
    for _ in range(100):
        if not any(lives(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


async def feed(code: str, limits: Limits | None = None) -> object:
    async with session(limits or Limits()) as program:
        return await program.feed(code, stage="while it loads", host={})


def test_the_level_says_what_really_holds_a_program() -> None:
    script, reason = worker_in_bubblewrap()
    if shutil.which("bwrap") is None:
        assert sandbox_level().startswith("language only: bubblewrap is not installed")
    elif script is None:
        assert sandbox_level() == f"language only: {reason}"
        assert reason
    else:
        assert sandbox_level() == "language + bubblewrap"


def test_a_worker_in_bubblewrap_has_no_network_no_files_of_ours_and_none_of_our_descriptors() -> None:
    if sandbox_level() != "language + bubblewrap":
        assert "bubblewrap" in sandbox_level()
        return
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)

    async def look() -> tuple[list[str], list[str], dict[str, bool], str]:
        async with session(Limits()) as program:
            await program.feed("1", stage="", host={})
            worker = offspring(program.raw.worker_pid)[-1]
            proc = Path(f"/proc/{worker}")
            apart = {
                ns: (proc / "ns" / ns).readlink() != Path(f"/proc/self/ns/{ns}").readlink()
                for ns in ("net", "mnt", "pid", "ipc", "uts", "user")
            }
            root = sorted(p.name for p in (proc / "root").iterdir())
            return (
                root,
                sorted(p.name for p in (proc / "fd").iterdir()),
                apart,
                (proc / "environ").read_text(),
            )

    root, descriptors, apart, environment = asyncio.run(look())
    os.close(reading)
    os.close(writing)
    assert set(root) <= {"lib", "lib64", "usr", "monty"}
    assert descriptors == ["0", "1", "2"]
    assert all(apart.values()), apart
    assert set(environment.strip("\0").split("\0")) <= {"", "PWD=/"}


def test_a_program_reaches_no_canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = tmp_path / "canary.txt"
    canary.write_text("tweet-file")
    monkeypatch.setenv("CANARY", "tweet-variable")
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.1)
    port = server.getsockname()[1]
    attempts = [
        f"open({str(canary)!r}).read()",
        f"from pathlib import Path\nPath({str(canary)!r}).read_text()",
        f"open({str(tmp_path / 'new')!r}, 'w').write('x')",
        f"from pathlib import Path\nPath({str(tmp_path / 'new')!r}).write_text('x')",
        f"import os\nos.remove({str(canary)!r})",
        f"import os\nos.listdir({str(tmp_path)!r})",
        "import os\nos.environ['CANARY']",
        "import os\nos.getenv('CANARY')",
        "import os\nos.system('true')",
        f"import socket\nsocket.create_connection(('127.0.0.1', {port}))",
        f"import urllib.request\nurllib.request.urlopen('http://127.0.0.1:{port}')",
        "import subprocess\nsubprocess.run(['true'])",
        "import ctypes",
        "import importlib",
        "import sys\nsys.modules",
        "import workbench",
        "__import__('os')",
        "__builtins__",
        "(lambda: 0).__code__",
        "[].__class__.__mro__",
        "''.__class__.__subclasses__()",
        "compile('1', 'f', 'exec')",
    ]
    for code in attempts:
        with pytest.raises(ProgramRejected) as caught:
            asyncio.run(feed(code))
        assert caught.value.kind in ("forbidden", "runtime"), code
        assert "tweet" not in caught.value.reason
    with pytest.raises(TimeoutError):
        server.accept()
    server.close()
    assert [p.name for p in tmp_path.iterdir()] == ["canary.txt"]
    assert canary.read_text() == "tweet-file"


def test_eval_and_exec_stay_inside() -> None:
    assert asyncio.run(feed("eval('1 + 1')")) == 2
    with pytest.raises(ProgramRejected, match="Permission denied"):
        asyncio.run(feed("exec(\"open('/etc/passwd')\")"))


def test_a_session_knows_nothing_of_the_one_before_it_even_after_a_limit_was_hit() -> None:
    async def two() -> None:
        with pytest.raises(ProgramRejected, match="computed for more than"):
            await feed("left = 1\nwhile True:\n    pass", Limits(seconds=0.1))
        with pytest.raises(ProgramRejected, match="name 'left' is not defined"):
            await feed("left")

    asyncio.run(two())


def test_workers_end_with_asyncio_run_again_and_again() -> None:
    before = workers()
    for _ in range(3):
        assert len(asyncio.run(run_program(PROGRAM, "c", 2, answer))) == 2
        assert gone(workers() - before)


def test_a_loop_that_lives_on_can_close_its_workers_and_start_new_ones() -> None:
    async def closing() -> None:
        for _ in range(2):
            await run_program(PROGRAM, "c", 2, answer)
            mine = workers() - before
            assert mine
            await close_pool()
            assert gone(mine)
        await close_pool()

    before = workers()
    asyncio.run(closing())


def test_programs_run_from_within_a_running_loop_as_in_a_notebook() -> None:
    async def cell() -> None:
        assert len(await run_program(PROGRAM, "c", 2, answer)) == 2
        assert len(loop.run(run_program(PROGRAM, "c", 2, answer))) == 2  # blocks this loop, runs on its own
        assert len(await loop.arun(run_program(PROGRAM, "c", 2, answer))) == 2

    asyncio.run(cell())


def test_an_interpreter_that_ends_with_workers_open_ends_quietly_and_leaves_nothing(tmp_path: Path) -> None:
    script = f"""
import asyncio
from pathlib import Path
from workbench.simulate.program import run_program
from workbench.simulate.isolation import worker_in_bubblewrap
async def answer(system, user): return "fine"
loop = asyncio.new_event_loop()
print(len(loop.run_until_complete(run_program({PROGRAM!r}, "c", 2, answer))))
print(*[f.read_text() for f in Path("/proc/self/task").glob("*/children")])
print(worker_in_bubblewrap()[0] or "")
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    count, children, wrapper = ended.stdout.split("\n")[:3]
    assert count == "2"
    assert children.split()
    assert gone({int(pid) for pid in children.split()})
    assert not (wrapper and Path(wrapper).exists())


def test_a_short_script_with_many_workers_ends_without_an_abort(tmp_path: Path) -> None:
    script = f"""
import asyncio
from workbench.simulate.program import run_program
async def answer(system, user):
    await asyncio.sleep(0.2)
    return "fine"
async def main(): await asyncio.gather(*(run_program({PROGRAM!r}, "c", 2, answer) for i in range(32)))
asyncio.run(main())
"""
    for path in (
        os.environ["PATH"],
        *[str(tmp_path)] * 5,
    ):  # where no bubblewrap is found, aborts were frequent
        ended = subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, "PATH": path}, timeout=60, check=False
        )
        assert ended.returncode == 0


def test_a_program_that_is_cancelled_while_it_computes_ends_with_its_time_limit() -> None:
    async def cancel() -> float:
        before = time.perf_counter()
        busy = PROGRAM.replace("x = complete('s', 'u')", "while True: pass")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(run_program(busy, "c", 2, answer, limits=Limits(seconds=0.5)), 0.1)
        assert len(await run_program(PROGRAM, "c", 2, answer)) == 2
        return time.perf_counter() - before

    assert asyncio.run(cancel()) < 3


def test_a_program_that_is_cancelled_while_it_waits_gives_its_worker_back() -> None:
    async def cancel_many() -> None:
        for _ in range(WORKERS + 8):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(run_program(PROGRAM, "c", 2, hang), 0.02)
        assert len(await asyncio.wait_for(run_program(PROGRAM, "c", 2, answer), 5)) == 2

    asyncio.run(cancel_many())


def test_a_worker_that_dies_costs_one_more_try_and_then_the_program_is_refused() -> None:
    deaths: list[str] = []
    before = workers()

    async def killing(system: str, user: str) -> str:
        if len(deaths) < most:
            deaths.append(user)
            for pid in workers() - before:
                with suppress(ProcessLookupError):  # killing one may already have ended the next
                    os.kill(pid, 9)
        return "fine"

    most = 1
    assert len(asyncio.run(run_program(PROGRAM, "c", 2, killing))) == 2
    most = 99
    deaths.clear()
    with pytest.raises(ProgramRejected) as caught:
        asyncio.run(run_program(PROGRAM, "c", 2, killing))
    assert (caught.value.kind, len(deaths)) == ("crash", 2)
    assert "line 3: x = complete" in caught.value.reason


def test_a_program_that_the_machine_gave_no_time_to_compute_is_tried_again() -> None:
    """The limit's clock is the wall's; a worker held up beyond it stands for a machine with far too much to do."""
    source = PROGRAM.replace(
        "    x = complete('s', 'u')", "    x = ''\n    for i in range(300_000):\n        i += 1"
    )

    async def held_up() -> int:
        await run_program(PROGRAM, "c", 1, answer)  # starts a worker
        work = asyncio.create_task(run_program(source, "c", 2, answer, limits=Limits(seconds=0.8)))
        await asyncio.sleep(0.1)
        there = workers()
        for pid in there:
            os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(1.2)
        for pid in there:
            os.kill(pid, signal.SIGCONT)
        return len(await work)

    assert asyncio.run(held_up()) == 2


def test_more_programs_than_workers_take_turns() -> None:
    async def many() -> list:
        return await asyncio.gather(*(run_program(PROGRAM, str(i), 1, answer) for i in range(100)))

    before = workers()
    assert [p[0].policy for p in asyncio.run(many())] == [str(i) for i in range(100)]
    assert gone(workers() - before)


@pytest.mark.parametrize(
    ("limits", "code", "kind"),
    [
        (Limits(seconds=0.05), "while True:\n    pass", "time"),
        (Limits(memory_mb=8), "x = 'a' * 9_000_000", "memory"),
        (Limits(recursion=50), "def f(k):\n    return f(k + 1)\nf(0)", "recursion"),
        (Limits(print_chars=10), "print('x' * 11)", "output"),
    ],
)
def test_each_limit_is_the_callers_to_set(limits: Limits, code: str, kind: str) -> None:
    with pytest.raises(ProgramRejected) as caught:
        asyncio.run(feed(code, limits))
    assert caught.value.kind == kind
