"""Vectors of texts from any embeddings API, the rehearsal's included, and vectors laid out on a plane; both cached."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from workbench.errors import WorkbenchError
from workbench.evolve.progress import duration
from workbench.llm import loop
from workbench.llm.client import Client, LLMError
from workbench.llm.roles import Endpoint, endpoints

MODEL = "rehearsal-embedding"
BATCH = 128  # texts a request
FIT = 4_000  # points that a layout is fitted on at most: above 4,096 UMAP compiles a second time, and takes far longer
Say = Callable[[str], None]


def cache_folder() -> Path:
    """Return where vectors and layouts are kept: WORKBENCH_CACHE, else a folder in the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("WORKBENCH_CACHE") or Path(home) / "workbench")


async def embed(
    texts: Sequence[str], model: str = MODEL, base_url: str | None = None, say: Say = lambda _: None
) -> np.ndarray:
    """Return one vector a text, from an OpenAI-compatible embeddings endpoint.

    Each text is sent once; what was answered before is taken from the cache.

    Parameters
    ----------
    texts
        Empty ones get a vector of zeros and are not sent.
    model, base_url
        The default is the rehearsal's: hashed words, a stand-in. The key comes from OPENAI_API_KEY.
    say
        Called with a sentence as the work goes on.

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
    path = _kept("embeddings", json.dumps([model, base_url, wanted]).encode())
    if path.exists():
        vectors: np.ndarray = np.load(path, allow_pickle=False)
    else:
        vectors = await loop.arun(_ask(Endpoint(model=model, base_url=base_url), wanted, say))
        _keep(path, vectors)
    at = {text: i for i, text in enumerate(wanted, 1)}
    padded = np.vstack([np.zeros((1, vectors.shape[1]), dtype=np.float32), vectors])
    return padded[[at.get(text, 0) for text in texts]]


async def _ask(endpoint: Endpoint, texts: Sequence[str], say: Say) -> np.ndarray:
    client = Client(endpoints(), patience=0, max_retries=1)
    rows: list[list[float]] = []
    began = time.monotonic()
    try:
        for first in range(0, len(texts), BATCH):
            rows += await client.embeddings(endpoint, texts[first : first + BATCH])
            left = (time.monotonic() - began) * (len(texts) / len(rows) - 1)
            say(f"{len(rows):,} of {len(texts):,} texts sent to {endpoint.model}, {duration(left)} left")
    except LLMError as error:
        raise WorkbenchError(f"{error.reason}.") from None
    finally:
        await client.aclose()
    if len({len(row) for row in rows}) != 1:
        raise WorkbenchError(f"The model {endpoint.model} gave vectors of different lengths.")
    return np.array(rows, dtype=np.float32)


def standardized(features: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """Scale columns by the mean and standard deviation of the rows in ``fit``; a constant column stays 0."""
    mean, std = features[fit].mean(axis=0), features[fit].std(axis=0)
    return (features - mean) / np.where(std > 1e-9, std, 1.0)


def pca(vectors: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """Lay points out by the first two principal components of the rows in ``fit``; the same each time."""
    some = vectors[_sample(fit)].astype(np.float64)
    center = some.mean(axis=0)
    axes = np.linalg.eigh((some - center).T @ (some - center))[1][:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    flat = (vectors - center) @ axes
    return np.pad(flat, ((0, 0), (0, 2 - flat.shape[1]))).astype(np.float32)


async def umap(vectors: np.ndarray, fit: np.ndarray, seed: int = 0, say: Say = lambda _: None) -> np.ndarray:
    """Lay points out by UMAP: fitted once on the rows in ``fit``, all others placed into that map.

    Kept in the cache by content, so that a map is the same whenever it is opened. Runs in a process of its own: the
    caller stays free, its memory small, and cancelling ends it.

    Raises
    ------
    WorkbenchError
        When that process fails.
    """
    rows = _sample(fit)
    about = json.dumps([seed, version("umap-learn"), version("numpy"), list(vectors.shape)]).encode()
    data = np.ascontiguousarray(vectors, dtype=np.float32)
    path = _kept("maps", about + data.tobytes() + rows.astype(np.int64).tobytes())
    if path.exists():
        return np.load(path, allow_pickle=False)
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder) / name) for name in ("data.npy", "rows.npy", "flat.npy")]
        np.save(files[0], data, allow_pickle=False)
        np.save(files[1], rows, allow_pickle=False)
        command = [sys.executable, "-m", "workbench.show.embedding", *files, str(seed)]
        pipe = asyncio.subprocess.PIPE
        work = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
        try:
            told = asyncio.ensure_future(work.stderr.read())  # type: ignore[union-attr]
            async for line in work.stdout:  # type: ignore[union-attr]
                say(line.decode().strip())
            if await work.wait():
                reason = (await told).decode().strip().split("\n")[-1]
                raise WorkbenchError(f"UMAP failed: {reason}.")
        finally:
            if work.returncode is None:
                work.kill()
                await work.wait()
        flat = np.load(files[2], allow_pickle=False)
    _keep(path, flat)
    return flat


def _umap(data_file: str, rows_file: str, flat_file: str, seed: str) -> None:
    """Do the work of :func:`umap` in a process of its own; print what is done and what is left."""
    import warnings

    data, rows = np.load(data_file, allow_pickle=False), np.load(rows_file, allow_pickle=False)
    print("UMAP: finding neighbors; compiles first, 10 to 30 s", flush=True)
    warnings.simplefilter("ignore")
    import umap as library
    from umap import layouts

    doing = "laying out"

    def followed(epochs: range, **_: object) -> Iterator[int]:
        for n in epochs:
            if n == 1:  # the first step compiles
                began = time.monotonic()
            elif n % 10 == 5:
                left = (time.monotonic() - began) / (n - 1) * (len(epochs) - n)
                print(f"UMAP: {doing}, step {n} of {len(epochs)}, {duration(left)} left", flush=True)
            yield n

    layouts.tqdm = followed  # the only place where it says how far it is
    near = max(2, min(15, len(rows) - 1))
    model = library.UMAP(n_neighbors=near, random_state=int(seed), n_jobs=1).fit(data[rows])
    flat = np.zeros((len(data), 2), dtype=np.float32)
    flat[rows] = model.embedding_
    rest = np.setdiff1d(np.arange(len(data)), rows)
    if len(rest):
        doing = f"placing {len(rest):,} later conversations"
        print(f"UMAP: {doing}; compiles first, 5 to 30 s", flush=True)
        flat[rest] = model.transform(data[rest])
    np.save(flat_file, flat, allow_pickle=False)


def _sample(fit: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero(fit)
    if len(rows) <= FIT:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, FIT, replace=False))


def _kept(kind: str, content: bytes) -> Path:
    return cache_folder() / kind / f"{hashlib.sha256(content).hexdigest()}.npy"


def _keep(path: Path, array: np.ndarray) -> None:
    """Write an array to the cache in one step; a cache that cannot be written is no error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part.npy")
        np.save(part, array, allow_pickle=False)
        part.replace(path)
    except OSError:
        return


if __name__ == "__main__":
    _umap(*sys.argv[1:])
