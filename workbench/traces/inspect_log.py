"""Logs of inspect_ai (``.eval`` or JSON), read through its own reader, a sample at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.traces.dialogue import About, Dialogue, Json, played

NAME = "inspect log"
WHOSE = {
    "user": "who speaks as the user; in a tau2 log the simulated customer",
    "assistant": "the model under test",
}


def samples(path: Path) -> Iterator[Json]:
    """Yield a log's samples, each with what the log says of the whole.

    Raises
    ------
    WorkbenchError
        The file is no log that inspect_ai can read.
    """
    from inspect_ai.log import read_eval_log, read_eval_log_samples

    try:
        spec = read_eval_log(str(path), header_only=True).eval
        for sample in read_eval_log_samples(
            str(path), all_samples_required=False, resolve_attachments=True, exclude_fields={"events"}
        ):
            yield {"inspect_sample": sample, "spec": spec}
    except Exception as error:  # also pydantic's, zipfile's, zlib's; its reader asserts that parts are there
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise WorkbenchError(f"{path} cannot be read as an inspect log: {said}") from None


def fits(record: Json) -> bool:
    """Tell by what :func:`samples` yields."""
    return "inspect_sample" in record


def read(record: Json, about: About) -> Dialogue:
    """Read a sample; a score is its reward (C is 1, I is 0), the epoch its trial."""
    sample, spec = record["inspect_sample"], record["spec"]
    named = re.search(r"tau2_(\w+)", spec.task)
    messages = [m.model_dump() for m in sample.messages]
    if named:
        prompt = "".join(message.text for message in sample.messages[:1])
        scenario = re.search(r"<scenario>\s*(.*?)\s*</scenario>", prompt, re.DOTALL)
        messages = _customer_first(messages, sample.store)
    user = (spec.model_roles or {}).get("user")
    values = [score.value for score in (sample.scores or {}).values()]
    return played(
        {"messages": messages, "task_id": str(sample.id)},
        "messages",
        f"inspect {spec.task}",
        about,
        _reward(values[0]) if values else None,
        sample.epoch,
        domain=named[1] if named else None,
        scenario=scenario[1] if named and scenario else None,
        user_model=getattr(user, "model", user),
    )


def _customer_first(messages: list[Json], store: Json) -> list[Json]:
    """Turn a tau2 sample round: it is kept as the user simulator saw it, with itself as the assistant.

    Its store holds the whole conversation, tool calls included, where the log is complete. What comes before the
    customer's first words is its prompt.
    """
    trail = next((v for k, v in store.items() if k.endswith(":trajectory") and v), None)
    if trail is not None:
        return [m if m["role"] == "tool" else m | {"role": t["role"]} for t in trail if (m := t["message"])]
    first = next((i for i, m in enumerate(messages) if m["role"] == "assistant"), len(messages))
    other = {"assistant": "user", "user": "assistant"}
    return [m | {"role": other[m["role"]]} for m in messages[first:] if m["role"] in other]


def _reward(value: Any) -> float | None:
    if isinstance(value, str):
        return {"C": 1.0, "I": 0.0, "P": 0.5}.get(value)
    return float(value) if isinstance(value, int | float) else None
