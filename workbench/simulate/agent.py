"""A Python function as the agent under test: it is given the conversation and returns the reply."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import re
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from workbench.errors import WorkbenchError
from workbench.llm.client import LLMError

Messages = list[dict[str, str]]
Function = Callable[[Messages], str | Awaitable[str]]
SECONDS = 600.0  # that one reply may take


class Agent:
    """A function, sync or async, from ``[{"role", "content"}, …]`` to the reply's text, and what it is called.

    The messages begin with the agent's own greeting (role assistant) and end with what the user said last; there is
    no system prompt. A sync function runs in a thread of its own, ``at_once`` of them together.
    """

    def __init__(self, function: Function, name: str | None = None, at_once: int = 30) -> None:
        if not callable(function):
            raise WorkbenchError(
                f"The agent is a {type(function).__name__}; give a function of the messages."
            )
        self.function = function
        own = getattr(function, "__qualname__", type(function).__qualname__)
        self.name = name or f"{getattr(function, '__module__', '__main__')}:{own}"
        self._room = asyncio.Semaphore(at_once)

    async def reply(self, messages: Messages) -> str:
        """Ask for the next reply.

        Raises
        ------
        LLMError
            Of kind ``content``, with the reason: the function raised, took too long or returned no text.
        """
        given = [dict(m) for m in messages]  # what it does to them is its own affair
        async with self._room:
            try:
                call = inspect.unwrap(self.function)
                is_async = inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(
                    getattr(call, "__call__", None)  # noqa: B004
                )
                work = self.function(given) if is_async else _in_thread(self.function, given)
                answer: Any = await asyncio.wait_for(work, SECONDS)  # type: ignore[arg-type]
                if inspect.isawaitable(answer):  # a plain function that hands on a coroutine
                    answer = await asyncio.wait_for(answer, SECONDS)
            except TimeoutError:
                raise LLMError("content", f"the agent {self.name} gave no reply in {SECONDS:.0f} s") from None
            except Exception as error:
                raise LLMError("content", f"the agent {self.name} raised {_told(error)}") from None
        if not isinstance(answer, str):
            raise LLMError(
                "content", f"the agent {self.name} returned a {type(answer).__name__}, not a reply's text"
            )
        return answer.encode("utf-8", "replace").decode("utf-8")


def load_agent(name: str, at_once: int = 30) -> Agent:
    """Import an agent by ``module:function``, the current folder included.

    Raises
    ------
    WorkbenchError
        The module cannot be imported, or has no such function.
    """
    module, _, function = name.partition(":")
    if not re.fullmatch(r"[\w.]+", module) or not re.fullmatch(r"[\w.]+", function):
        raise WorkbenchError(f"The agent '{name}' is not written as module:function, such as my_agent:reply.")
    if module == "__main__" or "<" in name:
        raise WorkbenchError(f"The agent {name} lives in a notebook: give the function itself, agent=….")
    if os.getcwd() not in sys.path and "" not in sys.path:  # noqa: PTH109
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:
        raise WorkbenchError(
            f"The agent's module '{module}' cannot be imported ({_told(error)}); start the command in its folder."
        ) from None
    for part in function.split("."):
        found = getattr(found, part, None)
    if found is None:
        raise WorkbenchError(f"The module '{module}' has no function '{function}'.")
    return Agent(found, name, at_once)


def _in_thread(function: Function, messages: Messages) -> asyncio.Future[Any]:
    """Call in a daemon thread: one that never returns keeps neither the run nor the process from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def settle(value: Any, error: Exception | None) -> None:
        if not future.done():  # it may have been given up
            future.set_exception(error) if error else future.set_result(value)

    def work() -> None:
        value, error = None, None
        try:
            value = function(messages)
        except Exception as raised:
            error = raised
        except SystemExit as raised:
            error = RuntimeError(f"SystemExit({raised.code})")
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=work, daemon=True, name="agent").start()
    return future


def _told(error: Exception) -> str:
    """Say what was raised, without the values of key-like environment variables and whatever looks like a key."""
    text = f"{type(error).__name__}: {error}"
    for name, value in os.environ.items():
        if len(value) > 7 and re.search(r"key|token|secret|password", name, re.IGNORECASE):
            text = text.replace(value, "[key]")
    return re.sub(r"\b(?:sk|pk|key)-[\w-]{12,}|(?<=Bearer )\S+", "[key]", text)[:300]
