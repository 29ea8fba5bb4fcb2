"""What the client says of an endpoint: where it is, what went wrong, which key is missing; never the key."""

from __future__ import annotations

import os

from workbench.errors import WorkbenchError
from workbench.llm.roles import Endpoint


def key_of(endpoint: Endpoint) -> str:
    """Read an endpoint's key from its environment variable; WorkbenchError when OpenAI's own is not set."""
    found = os.environ.get(endpoint.api_key_env, "").strip()
    if not found and endpoint.base_url is None:
        raise WorkbenchError(
            f"The model {endpoint.model} needs a key: set the environment variable {endpoint.api_key_env}, "
            "name another endpoint with --base-url, or leave --model out to use the offline rehearsal models."
        )
    return found or "none"  # local servers take any key


def where(endpoint: Endpoint) -> str:
    """Name the place where an endpoint answers."""
    if endpoint.offline:
        return "the rehearsal endpoint (in this process)"
    return endpoint.base_url or "OpenAI"


def sentence(endpoint: Endpoint, error: Exception) -> str:
    """Say what went wrong in one sentence, without the key."""
    import aiohttp
    import httpx2
    import openai

    refused = isinstance(error.__cause__, httpx2.ConnectTimeout) and isinstance(
        error.__cause__.__cause__, ConnectionError | aiohttp.ClientOSError | aiohttp.ServerDisconnectedError
    )  # the aiohttp transport calls these a timeout
    if isinstance(error, openai.APITimeoutError) and not refused:
        return f"{where(endpoint)} did not answer in time; is it overloaded?"
    if isinstance(error, openai.APIConnectionError):
        return f"{where(endpoint)} cannot be reached; is the server running and the address right?"
    if isinstance(error, openai.AuthenticationError):
        return (
            f"{where(endpoint)} refused the key in {endpoint.api_key_env}; set that variable to a valid key."
        )
    text = str(getattr(error, "message", error)).replace(
        os.environ.get(endpoint.api_key_env) or "\0", "[key]"
    )
    return f"{where(endpoint)} failed for model {endpoint.model}: {text[:300]}"


def distance(a: str, b: str) -> float:
    """Return how unlike two names of models are."""
    from difflib import SequenceMatcher

    return -SequenceMatcher(None, a, b).ratio()
