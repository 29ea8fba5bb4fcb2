"""The map keeps every conversation, its positions are steady, and what is brushed comes back to Python."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.evolve.run import Run
from workbench.evolve.search import Search
from workbench.llm import loop
from workbench.measure import FEATURES
from workbench.show import cloud, embedding
from workbench.show.mapping import PersonaMap
from workbench.show.samples import SMALL


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def view(run: Run) -> PersonaMap:
    """The map of the small run."""
    return wb.show.map(run)


def test_every_finished_conversation_and_every_person_is_a_point(run: Run, view: PersonaMap) -> None:
    finished = run.episodes.filter(
        pl.col("error").is_null(), pl.col("condition").is_in(cloud.LAYERS)
    ).collect()
    assert len(view.points) == len(finished) + len(run.humans)
    assert view.points["dialogue_id"].is_unique().all()
    search = view.points.filter(layer="search")
    assert search["generation"].min() == 0
    assert search["policy"].null_count() == 0
    assert search["axes"].list.len().max() > 0


def test_a_damaged_file_is_told_and_the_rest_is_mapped(run: Run, view: PersonaMap, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "damaged")
    file = tmp_path / "damaged" / "candidates" / "0001" / "episodes.parquet"
    file.write_bytes(file.read_bytes()[:-40])
    damaged = wb.show.map(wb.open_run(tmp_path / "damaged"))
    assert "0001/episodes.parquet is cut off" in damaged.controls.top
    assert 0 < len(damaged.points) < len(view.points)
    assert "Damaged" not in view.controls.top


def test_a_brush_selects_rows_that_come_back_as_a_frame(view: PersonaMap) -> None:
    rows = np.array([3, 5, 80], dtype=np.uint32)
    view._brushed(None, {"brush": True}, [rows.tobytes()])
    assert view.selection.equals(view.points[[3, 5, 80]])
    assert "3 selected" in view.side.body
    view._brushed(None, {"brush": True}, [b""])
    assert view.selection.is_empty()
    assert "Nothing is selected" in view.side.body


def test_python_can_select_and_the_map_shows_it(view: PersonaMap) -> None:
    view.select((view.points["layer"] == "base").to_numpy())
    assert set(view.selection["layer"]) == {"base"}
    shown = np.frombuffer(view.canvas.drawn_selection, dtype=np.uint32)
    assert shown.tolist() == np.flatnonzero(view.rows).tolist()


def test_a_click_on_a_person_shows_the_nearest_personas_and_back(view: PersonaMap) -> None:
    view._brushed(None, {"pick": 0})
    assert "Nearest personas" in view.side.body
    persona = view.canvas.near[0]
    assert view.points["layer"][persona] != "humans"
    distance = np.linalg.norm(view.vectors - view.vectors[0], axis=1)
    assert distance[persona] == distance[~view.people].min()
    view.side._receive(None, {"go": f"pick:{persona}"})
    assert "Nearest people" in view.side.body
    view._brushed(None, {"pick": 10**6})
    assert "There is no point" in view.side.note


def test_positions_stay_when_the_generation_changes(view: PersonaMap) -> None:
    before = view.canvas.xy
    view.controls._receive(None, {"go": "until", "fields": {"until": "1", "only": False}})
    assert (view.canvas.since, view.canvas.until) == (0, 1)
    view.controls._receive(None, {"go": "until", "fields": {"until": "2", "only": True}})
    assert (view.canvas.since, view.canvas.until) == (2, 2)
    assert view.canvas.xy == before


@pytest.mark.parametrize("color", ["layer", "likeness", "success", "fault", "task", "axis"])
def test_every_coloring_has_a_color_for_every_point(view: PersonaMap, color: str) -> None:
    view.controls._receive(None, {"go": "color", "fields": {"color": color}})
    assert view.controls.note == ""
    values = np.frombuffer(view.canvas.color, dtype=np.uint8)
    assert len(values) == len(view.points)
    assert values.max() < len(view.canvas.palette)


def test_texts_are_mapped_by_the_rehearsal_embedding_and_say_so(view: PersonaMap, cache: Path) -> None:
    for what in ("policies", "turns"):
        view.controls._receive(None, {"go": "what", "fields": {"what": what, "layout": "pca"}})
        assert view.controls.note == ""
        assert "a stand-in" in view.controls.top
    assert len(list((cache / "embeddings").glob("*.npy"))) == 2


def test_an_embeddings_endpoint_that_does_not_answer_is_one_sentence(
    view: PersonaMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    view.model, view.base_url = "some-model", "http://127.0.0.1:9/v1"
    view.controls._receive(None, {"go": "what", "fields": {"what": "policies", "layout": "pca"}})
    assert "127.0.0.1:9" in view.controls.note
    assert "Traceback" not in view.controls.note


def test_a_text_has_one_vector_however_often_it_comes() -> None:
    texts = ["I want a refund", "", "I want a refund", "hello"]
    vectors = loop.run(embedding.embed(texts))
    assert vectors.shape == (4, 256)
    assert (vectors[0] == vectors[2]).all()
    assert not vectors[1].any()
    assert (loop.run(embedding.embed(texts)) == vectors).all()


def test_the_plane_of_pca_is_that_of_the_fitted_rows() -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(200, 5)) * [9, 4, 1, 1, 1]
    fit = np.arange(200) < 100
    flat = embedding.pca(data, fit)
    assert abs(np.corrcoef(flat[:, 0], data[:, 0])[0, 1]) > 0.95
    assert (embedding.pca(data[:150], fit[:150]) == flat[:150]).all()


def test_umap_tells_how_far_it_is_and_is_computed_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = np.random.default_rng(0).normal(size=(80, 19))
    fit, told = np.arange(80) < 60, list[str]()
    flat = loop.run(embedding.umap(data, fit, say=told.append))
    assert flat.shape == (80, 2)
    assert np.isfinite(flat).all()
    assert any("step" in line and "left" in line for line in told)
    monkeypatch.setattr(embedding.sys, "executable", "/nowhere")
    assert (loop.run(embedding.umap(data, fit)) == flat).all()
    with pytest.raises(FileNotFoundError):
        loop.run(embedding.umap(data + 1, fit))


def test_umap_arrives_in_the_background_while_pca_stays(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def umap(vectors: np.ndarray, fit: np.ndarray, say: Callable[[str], None]) -> np.ndarray:
        say("step 5 of 500, 3 s left")
        begun.set()
        await go.wait()
        return embedding.pca(vectors, fit) * 2

    monkeypatch.setattr(embedding, "umap", umap)
    ask = {"go": "layout", "fields": {"what": "fingerprints", "layout": "umap"}}

    async def drive() -> None:
        view = wb.show.map(run)
        before = view.canvas.extent
        view.controls._receive(None, ask)
        await begun.wait()
        assert "3 s left" in view.controls.top
        assert '<option value="umap" selected>' in view.controls.top
        assert view.canvas.extent == before
        view.controls._receive(None, {"go": "halt"})
        assert '<option value="pca" selected>' in view.controls.top
        view.controls._receive(None, ask)
        go.set()
        while view.said:
            await asyncio.sleep(0.01)
        assert view.layout_name == "umap"
        assert view.canvas.extent == pytest.approx([2 * v for v in before], rel=1e-4)

    asyncio.run(drive())


def test_where_peoples_words_are_at_hand_they_are_on_the_map(
    view: PersonaMap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORKBENCH_TRACES", raising=False)
    ask = {"go": "what", "fields": {"what": "turns", "layout": "pca"}}
    view.controls._receive(None, ask)
    assert "people&#x27;s words are not shipped" in view.controls.top
    placed = np.frombuffer(view.canvas.xy, dtype=np.float32)[::2] < 1e8
    assert (placed == ~view.people).all()
    person = view.points["dialogue_id"][0]
    turns = [{"role": "user", "content": "hi, cancel it"}, {"role": "assistant", "content": "done"}]
    (tmp_path / "human").mkdir()
    (tmp_path / "human" / f"{view.run.settings.domain}.jsonl").write_text(
        json.dumps({"id": person, "task_id": "1", "messages": turns}) + "\n"
    )
    monkeypatch.setenv("WORKBENCH_TRACES", str(tmp_path))
    view.controls._receive(None, ask)
    assert "not shipped" not in view.controls.top
    assert np.frombuffer(view.canvas.xy, dtype=np.float32)[0] < 1e8
    view._pick(0)
    view.side._receive(None, {"go": f"open:{person}"})
    assert "hi, cancel it" in view.side.body


def test_what_tells_a_selection_apart_is_found() -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(400, 19))
    inside = np.arange(400) < 60
    data[inside, 4] += 3
    found = cloud.telling(data, inside, FEATURES)
    assert found[0][0] == FEATURES[4]
    assert found[0][1] > 1.5


def test_people_with_someone_as_near_as_people_are_to_each_other_are_covered() -> None:
    crowd = np.zeros((40, 19))
    crowd[:, 0] = [1000 * (i // 2) + i % 2 for i in range(40)]  # pairs, far from one another
    both = np.vstack([crowd, crowd[:10:2]])
    people = np.arange(len(both)) < 40
    assert cloud.share_covered(both, people, ~people) == 0.25
    assert cloud.share_covered(both, people, people) is None


def test_at_most_ten_thousand_marks_are_drawn_with_every_layer_among_them() -> None:
    layers = np.repeat([0, 1, 5], [100, 900, 49_000])
    rows = cloud.drawn(layers)
    assert len(rows) <= 10_000
    assert set(layers[rows]) == {0, 1, 5}
    assert (cloud.drawn(layers) == rows).all()


def test_a_run_without_conversations_still_maps_its_people(tmp_path: Path) -> None:
    with Search(tmp_path / "run", SMALL) as search:
        view = wb.show.map(search.run)
        assert set(view.points["layer"]) == {"humans"}


def test_hostile_names_stay_text(view: PersonaMap) -> None:
    view.points = view.points.with_columns(
        dialogue_id=pl.lit("<img src=x onerror=f()>"), task_id=pl.lit("<script>")
    )
    view.select([len(view.points) - 1])
    view._pick(len(view.points) - 1)
    view.controls._receive(None, {"go": "color", "fields": {"color": "task"}})
    for page in (view.side.body, view.controls.top):
        assert "<img" not in page
        assert "<script" not in page


def test_the_short_name_is_the_same_view() -> None:
    assert wb.show.map is wb.show.persona_map


def test_an_unknown_layout_is_refused(view: PersonaMap) -> None:
    with pytest.raises(WorkbenchError, match="no layout tsne"):
        view._change("tsne", "fingerprints")
