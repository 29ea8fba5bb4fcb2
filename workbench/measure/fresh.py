"""Fresh classifiers: can anything but the frozen forest still tell a population from people? By features and by words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl

from workbench.errors import WorkbenchError
from workbench.measure.points import needs, rows

FOLDS = 5
KINDS = ("forest", "ngram", "embedding")

Embed = Callable[[Sequence[str]], np.ndarray]


def fresh_scores(
    simulated: pl.DataFrame,
    people: pl.DataFrame,
    kind: str = "forest",
    *,
    task: str = "task_id",
    embed: Embed | None = None,
) -> pl.DataFrame:
    """Train a new classifier on people against a population, and score each dialogue while it was held out.

    Cross-validated by task: no task is on both sides of a fold.

    Parameters
    ----------
    simulated, people
        Frames with the 19 features (``forest``) or a column ``text`` with all a user said (the others), and a task.
    kind
        ``forest`` (the paper's, on features), ``ngram`` (logistic regression on words and pairs of words) or
        ``embedding`` (logistic regression on embeddings).
    task
        Name of the task column.
    embed
        What turns texts into vectors; None: latent semantic analysis of character n-grams, fitted on each fold.

    Returns
    -------
    DataFrame
        task, y (1 for people), score; one row a dialogue.

    Raises
    ------
    WorkbenchError
        An unknown kind, a missing column, or fewer than two tasks on a side.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if kind not in KINDS:
        raise WorkbenchError(f"there is no classifier {kind!r}: known are {', '.join(KINDS)}")
    sides = []
    for frame, what in ((people, "people"), (simulated, "simulated dialogues")):
        columns = [task] if kind == "forest" else [task, "text"]
        needs(frame.columns, columns, what, f"needed by the fresh {kind} classifier")
        if frame[task].n_unique() < 2:
            raise WorkbenchError(f"the {what} come from fewer than two tasks: folds go by task")
        sides.append(frame.sort(task, *(c for c in ("dialogue_id",) if c in frame.columns)))
    y = np.repeat([1, 0], [len(side) for side in sides])
    tasks = pl.concat([side[task].cast(pl.String) for side in sides])
    x: Any
    if kind == "forest":
        x = np.vstack([rows(side, "fingerprints") for side in sides])
    else:
        texts = pl.concat([side["text"] for side in sides]).fill_null("").to_list()
        x = np.array(texts, dtype=object) if embed is None or kind == "ngram" else np.asarray(embed(texts))
    folds = min(FOLDS, *(side[task].n_unique() for side in sides))
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=0)
    score = np.full(len(y), np.nan)
    for train, test in splitter.split(x, y, groups=tasks.to_numpy()):
        if len(set(y[train])) == 2 and len(test):
            score[test] = (
                _model(kind, isinstance(x[0], str)).fit(x[train], y[train]).predict_proba(x[test])[:, 1]
            )
    table = pl.DataFrame({"task": tasks, "y": y, "score": score})
    return table.filter(pl.col("score").is_not_nan())


def _model(kind: str, texts: bool) -> Any:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer, StandardScaler

    if kind == "forest":
        return RandomForestClassifier(200, max_depth=12, class_weight="balanced", random_state=7, n_jobs=1)
    line = LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000)
    if kind == "ngram":
        return make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+|[^\w\s]"), line
        )
    if not texts:
        return make_pipeline(StandardScaler(), line)
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, max_features=20_000)
    return make_pipeline(letters, TruncatedSVD(32, random_state=0), Normalizer(), line)


def auc(table: pl.DataFrame, *, resamples: int = 1000, seed: int = 0) -> tuple[float, float, float]:
    """Give the ROC-AUC of a scored table (task, y, score) and its 95 % interval from drawing tasks anew.

    A task's people and simulated users come and go together. NaN where one side is missing.
    """
    if table["y"].n_unique() < 2:
        return (float("nan"),) * 3
    table = table.sort("task", "y", "score")
    y, score = table["y"].to_numpy(), table["score"].to_numpy()
    starts = np.flatnonzero(np.r_[True, table["task"].to_numpy()[1:] != table["task"].to_numpy()[:-1]])
    members = np.split(np.arange(len(y)), starts[1:])
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(resamples):
        drawn = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        if 0 < y[drawn].sum() < len(drawn):
            draws.append(roc_auc(y[drawn], score[drawn]))
    low, high = np.quantile(draws, [0.025, 0.975]) if draws else (np.nan, np.nan)
    return roc_auc(y, score), float(low), float(high)


def roc_auc(y: np.ndarray, score: np.ndarray) -> float:
    """Give the share of (person, simulated user) pairs in which the person scores higher, ties half."""
    from scipy.stats import rankdata

    ones = int(y.sum())
    return float((rankdata(score)[y == 1].sum() - ones * (ones + 1) / 2) / (ones * (len(y) - ones)))
