"""Which model plays which role: endpoints, roles, prices, and the TOML file that names them."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError

ROLES = ("user", "agent", "generator", "mutation", "reflection", "judge")
REHEARSAL = "rehearsal"


@dataclass(frozen=True)
class Endpoint:
    """A model and where it answers.

    ``base_url`` None means OpenAI's own address, or, for a model named ``rehearsal…``, the offline
    rehearsal endpoint inside this process. The key is read from the environment variable that
    ``api_key_env`` names, when a request is made, and is kept nowhere else. ``usd_per_million_tokens``
    is the price of input and output, over the table's; ``timeout`` the seconds that an answer may take.
    """

    model: str
    base_url: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    temperature: float | None = None
    max_tokens: int | None = None
    usd_per_million_tokens: tuple[float, float] | None = None
    timeout: float | None = None

    @property
    def offline(self) -> bool:
        """Whether the rehearsal models inside this process answer."""
        return self.base_url is None and self.model.startswith(REHEARSAL)

    @property
    def limit_name(self) -> str:
        """What the endpoint calls ``max_tokens``: OpenAI's reasoning models refuse that name, other servers know no other."""
        own = self.base_url is None or "api.openai.com" in self.base_url
        return "max_completion_tokens" if own else "max_tokens"

    @property
    def rehearsed(self) -> bool:
        """Whether a stand-in answers, in this process or served on loopback."""
        return self.model.startswith(REHEARSAL)

    @property
    def place(self) -> str:
        """Where it answers, for people to read."""
        return "the rehearsal endpoint (in this process)" if self.offline else self.base_url or "OpenAI"

    def key(self) -> str:
        """Read the key from its environment variable; WorkbenchError when OpenAI's own is not set."""
        found = os.environ.get(self.api_key_env, "").strip()
        if not found and self.base_url is None:
            raise WorkbenchError(
                f"The model {self.model} needs a key: set the environment variable {self.api_key_env}, "
                "name another endpoint with --base-url, or leave --model out to use the offline rehearsal models."
            )
        return found or "none"  # local servers take any key


def endpoints(
    model: str = REHEARSAL,
    base_url: str | None = None,
    *,
    roles_file: str | Path | None = None,
    tables: Mapping[str, Any] | None = None,
    temperature: float | None = None,
) -> dict[str, Endpoint]:
    """Name an endpoint for every role.

    Parameters
    ----------
    model, base_url
        What every role uses unless the file says otherwise. ``rehearsal`` stands for the six
        rehearsal models.
    temperature
        Sent with every request; None leaves it to the endpoint.
    roles_file
        TOML with a table for each role, and ``[default]`` for the others; keys are the fields of
        :class:`Endpoint`.
    tables
        The same as data that :func:`check_tables` has seen.

    Raises
    ------
    WorkbenchError
        When the file is missing or not TOML, or names an unknown role or setting.
    """
    base: dict[str, Any] = {"model": model, "base_url": base_url, "temperature": temperature}
    tables = _read(Path(roles_file)) if roles_file else tables or {}
    base |= tables.get("default", {})
    found = {}
    for role in ROLES:
        settings = base | tables.get(role, {})
        if settings["model"] == REHEARSAL:
            settings["model"] = f"{REHEARSAL}-{role}"
        found[role] = _endpoint(settings)
    return found


def as_settings(roles: Mapping[str, Endpoint]) -> dict[str, dict[str, Any]]:
    """Return the endpoints as plain data for ``run.json``; a key is never part of it."""
    return {role: {k: v for k, v in asdict(e).items() if v is not None} for role, e in roles.items()}


def from_settings(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Endpoint]:
    """Rebuild endpoints from what ``as_settings`` returned."""
    return {role: _endpoint(found) for role, found in settings.items()}


def _endpoint(settings: Mapping[str, Any]) -> Endpoint:
    rate = settings.get("usd_per_million_tokens")
    if rate is not None:
        numbers = isinstance(rate, list | tuple) and all(isinstance(x, int | float) and x >= 0 for x in rate)
        if not numbers or len(rate) != 2:
            raise WorkbenchError(
                f"usd_per_million_tokens of {settings['model']} is {rate}; it must be two numbers of 0 or more, "
                "for input and output."
            )
        rate = (float(rate[0]), float(rate[1]))
    return Endpoint(**dict(settings) | {"usd_per_million_tokens": rate})


def price(endpoint: Endpoint) -> tuple[float, float] | None:
    """Return US dollars per million tokens in and out: the endpoint's own, else the table's, else None."""
    if endpoint.usd_per_million_tokens:
        return endpoint.usd_per_million_tokens
    if endpoint.rehearsed:
        return 0.0, 0.0
    known, model = _prices(), endpoint.model
    name = model if model in known else next((k for k in known if model.startswith(k + "-20")), "")
    return (known[name][0], known[name][1]) if name else None


def cost_of(endpoint: Endpoint, tokens_in: int, tokens_out: int) -> float | None:
    """Return what so many tokens cost in US dollars; None where no price is known."""
    rate = price(endpoint)
    return None if rate is None else (tokens_in * rate[0] + tokens_out * rate[1]) / 1e6


@cache
def _prices() -> dict[str, list[float]]:
    return tomllib.loads((Path(__file__).parent / "prices.toml").read_text())["usd_per_million_tokens"]


def _read(path: Path) -> dict[str, Any]:
    try:
        tables = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise WorkbenchError(f"The roles file {path} cannot be read: {error}.") from None
    except tomllib.TOMLDecodeError as error:
        raise WorkbenchError(f"The roles file {path} is not TOML: {error}.") from None
    check_tables(tables, f"The roles file {path}")
    return tables


def check_tables(tables: Mapping[str, Any], where: str) -> None:
    """Refuse tables of endpoints, one a role, that name an unknown role or setting.

    Raises
    ------
    WorkbenchError
        A sentence that begins with ``where``.
    """
    known = {f.name for f in fields(Endpoint)}
    for role, table in tables.items():
        if role not in (*ROLES, "default"):
            raise WorkbenchError(
                f"{where} names the role '{role}'; the roles are default, {', '.join(ROLES)}."
            )
        if not isinstance(table, dict) or (extra := set(table) - known):
            wrong = ", ".join(sorted(extra)) if isinstance(table, dict) else repr(table)
            raise WorkbenchError(
                f"{where} sets {wrong} under [{role}]; the settings are {', '.join(sorted(known))}."
            )
        for name in ("model", "base_url", "api_key_env"):
            if not isinstance(value := table.get(name, ""), str):
                raise WorkbenchError(f"{where} sets {name} to {value!r}; it must be text in quotes.")
        if (url := table.get("base_url")) is not None and not re.match(r"https?://[^/]", url):
            raise WorkbenchError(f"{where} sets base_url to '{url}'; it must begin with http:// or https://.")
        if isinstance(limit := table.get("max_tokens", 1), float):
            raise WorkbenchError(f"{where} sets max_tokens to {limit}; it must be a whole number.")
        for name in ("temperature", "max_tokens", "timeout"):
            if isinstance(value := table.get(name, 0), bool) or not isinstance(value, int | float):
                raise WorkbenchError(f"{where} sets {name} to {value!r}; it must be a number.")
