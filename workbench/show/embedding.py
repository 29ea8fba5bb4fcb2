"""Vectors of texts from any embeddings API, the rehearsal's included, and vectors laid out on a plane; both cached."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from workbench.errors import WorkbenchError
from workbench.llm import loop
from workbench.llm.client import Client, LLMError
from workbench.llm.roles import Endpoint, endpoints

MODEL = "rehearsal-embedding"
BATCH = 128  # texts a request
FIT = 4_000  # points that UMAP is fitted on at most: above 4,096 it compiles a second time, and takes far longer


def cache_folder() -> Path:
    """Return where vectors and layouts are kept: WORKBENCH_CACHE, else a folder in the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("WORKBENCH_CACHE") or Path(home) / "workbench")


def embed(texts: Sequence[str], model: str = MODEL, base_url: str | None = None) -> np.ndarray:
    """Return one vector a text, from an OpenAI-compatible embeddings endpoint.

    Each text is sent once; what was answered before is taken from the cache.

    Parameters
    ----------
    texts
        Empty ones get a vector of zeros and are not sent.
    model, base_url
        The default is the rehearsal's: hashed words, a stand-in. The key comes from OPENAI_API_KEY.

    Returns
    -------
    ndarray
        Shape (texts, dimensions), float32.

    Raises
    ------
    WorkbenchError
        When the endpoint fails, or answers with something else than a vector for each text.
    """
    wanted = list(dict.fromkeys(t for t in texts if t.strip()))
    if not wanted:
        return np.zeros((len(texts), 1), dtype=np.float32)
    endpoint = Endpoint(model=model, base_url=base_url)
    key = hashlib.sha256(json.dumps([model, base_url, wanted]).encode()).hexdigest()
    path = cache_folder() / "embeddings" / f"{key}.npy"
    vectors = np.load(path, allow_pickle=False) if path.exists() else None
    if vectors is None:
        vectors = loop.run(_ask(endpoint, wanted))
        _keep(path, vectors)
    at = {text: i for i, text in enumerate(wanted)}
    out = np.zeros((len(texts), vectors.shape[1]), dtype=np.float32)
    for i, text in enumerate(texts):
        if text in at:
            out[i] = vectors[at[text]]
    return out


async def _ask(endpoint: Endpoint, texts: Sequence[str]) -> np.ndarray:
    client = Client(endpoints(), patience=0, max_retries=1)
    rows: list[list[float]] = []
    try:
        for first in range(0, len(texts), BATCH):
            part = list(texts[first : first + BATCH])
            body = {"model": endpoint.model, "input": part, "encoding_format": "float"}
            answer = await client._post(endpoint, "/embeddings", body)
            found = sorted(answer.get("data") or [], key=lambda d: d["index"])
            rows += [d["embedding"] for d in found]
    except LLMError as error:
        raise WorkbenchError(f"{error.reason}.") from None
    except (KeyError, TypeError):
        rows = []
    finally:
        await client.aclose()
    if len(rows) != len(texts) or len({len(r) for r in rows}) != 1:
        raise WorkbenchError(
            f"The model {endpoint.model} gave no vector for each text; is it an embedding model?"
        )
    return np.array(rows, dtype=np.float32)


def standardized(features: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """Scale columns by the mean and standard deviation of the rows in ``fit``; a constant column stays 0."""
    mean, std = features[fit].mean(axis=0), features[fit].std(axis=0)
    return (features - mean) / np.where(std > 1e-9, std, 1.0)


def pca(vectors: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """Lay points out by the first two principal components of the rows in ``fit``; the same each time."""
    center = vectors[fit].mean(axis=0)
    _, _, axes = np.linalg.svd(vectors[fit] - center, full_matrices=False)
    axes = axes[:2] * np.sign(axes[:2][np.arange(len(axes[:2])), np.abs(axes[:2]).argmax(axis=1)])[:, None]
    flat = (vectors - center) @ axes.T
    return np.pad(flat, ((0, 0), (0, 2 - flat.shape[1]))).astype(np.float32)


def umap(vectors: np.ndarray, fit: np.ndarray, seed: int = 0) -> np.ndarray:
    """Lay points out by UMAP: fitted once on the rows in ``fit``, all others placed into that map.

    Kept in the cache by content, so that a map is the same whenever it is opened.
    """
    rows = _sample(fit, FIT)
    about = json.dumps([seed, version("umap-learn"), version("numpy"), list(vectors.shape)]).encode()
    data = np.ascontiguousarray(vectors, dtype=np.float32)
    key = hashlib.sha256(about + data.tobytes() + rows.astype(np.int64).tobytes()).hexdigest()
    path = cache_folder() / "maps" / f"{key}.npy"
    if path.exists():
        return np.load(path, allow_pickle=False)
    import umap as library

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        near = max(2, min(15, len(rows) - 1))
        model = library.UMAP(n_neighbors=near, random_state=seed, n_jobs=1).fit(data[rows])
        flat = np.zeros((len(data), 2), dtype=np.float32)
        flat[rows] = model.embedding_
        rest = np.setdiff1d(np.arange(len(data)), rows)
        if len(rest):
            flat[rest] = model.transform(data[rest])
    _keep(path, flat)
    return flat


def _sample(fit: np.ndarray, most: int) -> np.ndarray:
    rows = np.flatnonzero(fit)
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, most, replace=False))


def _keep(path: Path, array: np.ndarray) -> None:
    """Write an array to the cache in one step; a cache that cannot be written is no error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part.npy")
        np.save(part, array, allow_pickle=False)
        part.replace(path)
    except OSError:
        return
