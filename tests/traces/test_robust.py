"""Whatever stands in a file, it is read or told in a sentence; and a large one is read in little memory."""

from __future__ import annotations

import json
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.traces import FORMATS, batches, read_traces, report

FIXTURES = Path(__file__).parent / "fixtures"
FILES = sorted(p for p in FIXTURES.glob("*.json*"))
ODD = st.sampled_from(
    [None, True, -1, 2.5, "", "text", "###STOP###", [], {}, [None], [[]], {"a": 1}, "\ud800"]
)
quietly = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def read(path: Path) -> None:
    """Read, and take a sentence for an answer."""
    try:
        frame = read_traces(path).collect()
        assert frame["dialogue_id"].null_count() == 0 and frame["content"].null_count() == 0
        assert set(frame["role"]) <= {"user", "assistant", "tool", "system"}
    except WorkbenchError as error:
        assert "\n" not in str(error) and len(str(error)) < 2000


def spoil(value: Any, rng: random.Random, odd: Any) -> Any:
    """Put something odd in one place of a JSON value."""
    if isinstance(value, dict | list) and value and rng.random() < 0.85:
        key = rng.choice(sorted(value) if isinstance(value, dict) else range(len(value)))
        copy = value.copy()
        copy[key] = spoil(value[key], rng, odd)
        return copy
    return odd


@pytest.mark.parametrize("file", [f for f in FILES if f.suffix == ".json"], ids=lambda f: f.stem)
@given(seed=st.integers(0, 10**6), odd=ODD)
@quietly
def test_a_value_of_the_wrong_kind_anywhere_is_read_or_told(file, seed, odd, tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(spoil(json.loads(file.read_text()), random.Random(seed), odd)))
    read(path)


@given(data=st.binary(max_size=60))
@quietly
def test_any_bytes_are_read_or_told(data, tmp_path):
    (tmp_path / "x").write_bytes(data)
    read(tmp_path / "x")


@given(st.sampled_from(FILES), st.data())
@quietly
def test_a_file_with_a_byte_changed_or_its_end_lost_is_read_or_told(tmp_path, file, data):
    whole = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] = data.draw(st.integers(0, 255))
    (tmp_path / "x").write_bytes(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    read(tmp_path / "x")


def lines(n: int) -> str:
    return "".join(json.dumps(record(i)) + "\n" for i in range(n))


def record(i: int) -> dict[str, Any]:
    messages = [
        {"role": ("assistant", "user")[k % 2], "content": f"{i} {k} " + "word " * 40} for k in range(10)
    ]
    return {"task_id": str(i), "messages": messages}


SHAPES: dict[str, Callable[[int], str]] = {
    "lines": lines,
    "list": lambda n: json.dumps([record(i) for i in range(n)]),
    "simulations": lambda n: json.dumps(
        {"info": {}, "simulations": [record(i) | {"termination_reason": "user_stop"} for i in range(n)]}
    ),
    "keys": lambda n: json.dumps({f"retail_{i}": {"conversation": record(i)["messages"]} for i in range(n)}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_memory_does_not_grow_with_the_file(shape, tmp_path, monkeypatch):
    monkeypatch.setattr("workbench.traces.files.HEAD", 1 << 16)
    monkeypatch.setattr("workbench.traces.json_walk.CHUNK", 1 << 16)
    path = tmp_path / "large.json"
    path.write_text(SHAPES[shape](1500))
    tracemalloc.start()
    try:
        count = sum(part["dialogue_id"].n_unique() for part in batches(path, dialogues=20))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 1500
    assert peak < path.stat().st_size / 4


def test_a_large_file_that_breaks_off_gives_all_that_stood_before(tmp_path):
    path = tmp_path / "large.json"
    path.write_text(SHAPES["list"](3000)[:-500])
    found = report(path)
    assert found.formats == {"chat JSONL": 2999}
    assert "record 3000 is cut off (2999 before it can be read)" in str(found.damage)


@pytest.mark.parametrize("text", ["[3]", "7", '{"a": ', ""])
def test_a_damaged_file_of_a_folder_is_dropped_and_the_others_are_read(tmp_path: Path, text: str) -> None:
    said = {
        "task_id": "1",
        "termination_reason": "user_stop",
        "messages": [{"role": "user", "content": "hi"}],
    }
    (tmp_path / "simulations").mkdir()
    (tmp_path / "results.json").write_text('{"info": {}}')
    (tmp_path / "simulations" / "a.json").write_text(json.dumps(said))
    (tmp_path / "simulations" / "b.json").write_text(text)
    told = report(tmp_path)
    assert (told.formats.total(), told.dropped.total()) == (1, 1)


def test_every_format_has_a_page_a_name_and_says_whose_turns_are_whose():
    index = (Path(__file__).parents[2] / "docs/formats/README.md").read_text()
    assert len({form.NAME for form in FORMATS}) == len(FORMATS)
    for form in FORMATS:
        assert set(form.WHOSE) == {"user", "assistant"}
        assert form.NAME.split()[0].lower() in index.lower()
