"""Every client that a test makes is closed at its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from workbench.llm import loop
from workbench.llm.client import Client


@pytest.fixture(autouse=True)
def closed_clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    made: list[Client] = []
    prepare = Client.__post_init__

    def noted(self: Client) -> None:
        prepare(self)
        made.append(self)

    monkeypatch.setattr(Client, "__post_init__", noted)
    yield
    for client in made:
        loop.run(client.aclose())
