"""The commands, one module a group; what they share: models, endpoints that answer, the comparison."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.evolve.run import Run
    from workbench.llm.roles import Endpoint


class Add(Protocol):
    """Adds a command, named as its function, to the command line."""

    def __call__(
        self, command: Callable[[argparse.Namespace], None], text: str, epilog: str = ""
    ) -> argparse.ArgumentParser:
        """Return the command's own parser, for its arguments."""


def add_models(sub: argparse.ArgumentParser) -> None:
    """Add ``--model`` and ``--base-url``."""
    sub.add_argument(
        "--model", default="rehearsal", help="model of every role; default: the offline rehearsal models"
    )
    sub.add_argument("--base-url", help="any OpenAI-compatible endpoint, such as http://127.0.0.1:11434/v1")


async def answers(roles: Mapping[str, Endpoint], which: Sequence[str]) -> list[str]:
    """Ask the endpoints of some roles whether they answer; return a line for each role."""
    from workbench.llm.client import Client

    async with aclosing(Client(roles)) as client:
        return await client.check(which)


def print_table(runs: Sequence[Run]) -> None:
    """Print the comparison of conditions, of one run or over seeds."""
    from workbench.show.tables import conditions_text, seeds_text

    print(conditions_text(runs[0]) if len(runs) == 1 else seeds_text(runs))


def read_text(path: Path) -> str:
    """Return a file as text.

    Raises
    ------
    WorkbenchError
        When it is missing or no text.
    """
    try:
        return path.read_text()
    except FileNotFoundError:
        raise WorkbenchError(f"There is no file {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise WorkbenchError(f"{path} cannot be read as text: {error}.") from None
