"""How fast the measures are, against plain code and against the reference implementation: ratios of one run on one machine.

    python benchmarks/measure.py [--large] [--reference PYTHON]

Extraction: dialogues a second of `fingerprint` against a loop over turns with `re` (the same marker lists, the same
figures, checked). Chamfer: coverage of 10,000 against 10,000 points against one distance matrix in memory, each in a process of
its own, with its peak memory; ``--large`` does 100,000 × 100,000. Forest: P(human) of fingerprints one by one and at once.
With ``--reference PYTHON``, an interpreter in whose environment `ppol` 0.1.1 is installed does the same in turns with ours, and
its features are compared with ours file by file (WORKBENCH_TRACES is needed). Rounds alternate, so that both suffer
alike from whatever else the machine does; a figure is the median of the rounds, a ratio the median of the ratios within a round,
with the least and the greatest in brackets.

Texts: every file of WORKBENCH_TRACES where set, five times over, each made distinct; else made up.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from humans_vs_base import rows
from numpy.typing import NDArray

from workbench.measure import FEATURES
from workbench.measure.coverage import Cloud
from workbench.measure.discriminator import Discriminator
from workbench.measure.fingerprint import IDENTIFIER, fingerprint
from workbench.measure.lexicon import APOSTROPHES, lexicon
from workbench.traces import read_traces

ROUNDS, TIMES = 5, 5
COUNTED = (
    *("words_per_turn", "short_utterance_rate", "verbosity_cv", "repetition_rate", "front_loading_ratio"),
    *("identifiers_per_turn", "opening_length"),
)
CORRELATED = ("politeness_rate", "formality_rate", "acknowledgment_rate", "uncertainty_rate", "pushback_rate")
BOUND = "greatest r of pushback on airline that leaves out dialogues where the user says 'you asked for'"


def texts() -> dict[str, pl.DataFrame]:
    """Return dialogues, file by file."""
    folder = Path(os.environ.get("WORKBENCH_TRACES") or "/nowhere")
    files = {
        path.name.split(".jsonl")[0]: read_traces(path).collect()
        for path in sorted([*folder.glob("human/*.jsonl"), *folder.glob("simulated/*.jsonl.gz")])
    }
    if files:
        return files
    rng = random.Random(0)
    words = (__doc__ or "").split()
    said = [
        (f"d{d}", t, "user", " ".join(rng.choices(words, k=rng.randint(1, 35))))
        for d in range(2000)
        for t in range(7)
    ]
    return {"made up": pl.DataFrame(said, schema=["dialogue_id", "turn", "role", "content"], orient="row")}


def plain(turns: pl.DataFrame) -> dict[str, dict[str, float]]:
    """Extract fingerprints turn by turn, as one would write it first."""
    patterns = {}
    for name, markers in lexicon().items():
        union = "|".join(f"(?:{marker.pattern})" for marker in markers.markers)
        unless = "|".join(rf"\b(?:{marker.unless})\b" for marker in markers.markers if marker.unless)
        whole = rf"^\s*(?:{union})[.!,]*\s*$" if markers.whole else union
        patterns[name] = (re.compile(whole), re.compile(unless) if unless else None)
    found = {}
    for (name,), part in turns.filter(role="user").partition_by("dialogue_id", as_dict=True).items():
        said = [text for text in part["content"].to_list() if text]
        tokens = [re.findall(r"\w+", text.lower()) for text in said]
        trigrams = [list(zip(t, t[1:], t[2:], strict=False)) for t in tokens]
        often = {key for key, n in Counter(key for t in trigrams for key in t).items() if n > 3}
        lengths, n = [len(t) for t in tokens], len(said)
        mean = sum(lengths) / n
        row = {
            "words_per_turn": mean,
            "short_utterance_rate": sum(x <= 3 for x in lengths) / n,
            "verbosity_cv": float(np.std(lengths)) / mean if n > 1 and mean else 0.0,
            "repetition_rate": sum(any(key in often for key in t) for t in trigrams) / n,
            "front_loading_ratio": 1.0
            if n == 1
            else sum(lengths[:2]) / sum(lengths)
            if sum(lengths)
            else 0.0,
            "identifiers_per_turn": sum(len(re.findall(IDENTIFIER, text)) for text in said) / n,
            "opening_length": float(lengths[0]),
        }
        texts = [re.sub(r"\s+", " ", re.sub(APOSTROPHES, "'", text.lower())) for text in said]
        for feature, (pattern, unless) in patterns.items():
            hits = sum(bool(pattern.search(unless.sub(" ¦ ", text) if unless else text)) for text in texts)
            row[feature] = hits / n
        found[name] = row
    return found


def timed(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def cloud(n: int, seed: int) -> pl.DataFrame:
    return pl.DataFrame(
        np.random.default_rng(seed).gamma(2.0, size=(n, 19)), schema=list(FEATURES), orient="row"
    )


def chamfer(kind: str, n: int) -> dict[str, float]:
    """Score n against n points in this process: seconds for d_ref and for the score, and the peak memory."""
    people, personas = cloud(n, 1), cloud(n, 2)
    Cloud(people.head(9)).coverage(personas.head(9))  # imports
    if kind == "ours":
        began = time.perf_counter()
        target = Cloud(people)
        middle = time.perf_counter()
        target.coverage(personas)
    else:
        from scipy.spatial.distance import cdist

        h, f = people.to_numpy(), personas.to_numpy()
        began = time.perf_counter()
        d_ref = cdist(h, h).sum() / (n * (n - 1))
        middle = time.perf_counter()
        distances = cdist(h, f)
        max(0.0, 1 - min(1.0, (distances.min(axis=1).mean() + distances.min(axis=0).mean()) / (2 * d_ref)))
    return {"d_ref": middle - began, "seconds": time.perf_counter() - middle, "mib": peak()}


def peak() -> float:
    """Peak resident memory of this process in MiB, as Linux counts it."""
    return int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0]) / 1024


def call(*command: str) -> Any:
    """Run a process of its own and read the JSON on its last line."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(
            f"{' '.join(command[:3])} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"
        )
    return json.loads(done.stdout.strip().splitlines()[-1])


def rounds(files: Mapping[str, pl.DataFrame], theirs: Callable[..., Any] | None) -> pl.DataFrame:
    """Time everything in turns: one row a round, a column a figure."""
    columns = ("dialogue_id", "turn", "role", "content")
    once = pl.concat(
        [
            turns.select(columns).with_columns(pl.col("dialogue_id") + f" {name}")
            for name, turns in files.items()
        ]
    )
    many = pl.concat(
        [
            once.with_columns(pl.col("dialogue_id") + f"#{i}", pl.col("content") + f" {i}")
            for i in range(TIMES)
        ]
    )
    count, some = (
        many["dialogue_id"].n_unique(),
        once.filter(pl.col("dialogue_id").is_in(once["dialogue_id"].unique().sort()[::10].implode())),
    )
    expected = plain(some)
    for row in fingerprint(some).iter_rows(named=True):
        wrong = [f for f in FEATURES if abs(row[f] - expected[row["dialogue_id"]][f]) > 1e-9]
        assert not wrong, f"{row['dialogue_id']}: {wrong}"
    judge, probe = Discriminator.fit(cloud(200, 1), cloud(200, 2)), cloud(200, 3)
    found = []
    for _ in range(ROUNDS):
        row = {
            "extraction": count / timed(lambda: fingerprint(many)),
            "plain extraction": len(expected) / timed(lambda: plain(some)),
        }
        for kind in ("", "plain "):
            row |= {
                kind + key: value
                for key, value in call(sys.executable, __file__, "--one", kind or "ours", "10000").items()
            }
        row["forest"] = timed(lambda: [judge.likeness(probe[i]) for i in range(20)]) / 20
        row["batch"] = timed(lambda: judge.likeness(probe)) / 200
        if theirs:
            speed = theirs("speed") | theirs("chamfer")
            row |= {f"ppol {key}": value for key, value in speed.items()} | {"ppol batch": speed["forest"]}
        found.append(row)
    return pl.DataFrame(found)


def table(found: pl.DataFrame) -> dict[str, float]:
    """Print medians and ratios; return the median ratios to ppol."""
    shown = (
        ("extraction", "extraction, dialogues/s", 1), ("seconds", "coverage 10k x 10k, s", 1),
        ("mib", "  peak memory of the process, MiB", 1), ("d_ref", "  plus d_ref (once a cloud), s", 1),
        ("forest", "P(human), one at a time, ms", 1000), ("batch", "P(human), 200 at once, ms each", 1000),
    )  # fmt: skip
    print(f"{'':36}{'workbench':>12}{'plain code':>12}{'ppol':>12}{'x plain':>22}{'x ppol':>22}")
    ratios = {}
    for key, title, unit in shown:
        cells, times = [], []
        for side in ("", "plain ", "ppol "):
            known = side + key in found.columns
            cells.append(number(unit * found[side + key].median()) if known else "")
            if side and known:
                each = (
                    found[key] / found[side + key] if key == "extraction" else found[side + key] / found[key]
                )
                ratios[side + key] = float(each.median())
                times.append(f"{number(each.median())} [{number(each.min())}, {number(each.max())}]")
            elif side:
                times.append("")
        print(f"{title:36}{cells[0]:>12}{cells[1]:>12}{cells[2]:>12}{times[0]:>22}{times[1]:>22}")
    return ratios


def number(value: Any) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def bound(files: Mapping[str, pl.DataFrame], theirs: NDArray[np.float64]) -> float:
    """Return the greatest r with ``theirs`` of any rate that is 0 in the dialogues where the user says "you asked for".

    Those dialogues and the ones where ``theirs`` is 0 can only share one value; all others can agree fully.
    """
    said = pl.concat(
        [
            turns.group_by("dialogue_id")
            .agg(((pl.col("role") == "user") & pl.col("content").str.contains("(?i)you asked for")).any())
            .sort("dialogue_id")
            for name, turns in files.items()
            if "airline" in name
        ]
    )["role"].to_numpy()
    alike = theirs[said | (theirs == 0)]
    return float(np.sqrt(1 - alike.var() * len(alike) / (theirs.var() * len(theirs))))


def agreement(
    files: Mapping[str, pl.DataFrame], ours: Mapping[str, pl.DataFrame], theirs: Mapping[str, pl.DataFrame]
) -> bool:
    """Print how the features of both compare, and what a forest makes of each; tell whether what is needed holds."""
    kinds = {"airline": [name for name in ours if "airline" in name], "all": list(ours)}
    pairs = {
        kind: [pl.concat([side[name].select(FEATURES) for name in names]) for side in (ours, theirs)]
        for kind, names in kinds.items()
    }
    print(f"\n{'feature':30}{'largest gap':>14}{'r, airline':>12}{'r, all':>8}")
    good = True
    for feature in FEATURES:
        gap = float((pairs["all"][0][feature] - pairs["all"][1][feature]).abs().max())  # type: ignore[arg-type]
        r = {
            kind: float(np.corrcoef(*(side[feature].to_numpy() for side in pair))[0, 1])
            for kind, pair in pairs.items()
        }
        print(f"{feature:30}{gap:14.2e}{r['airline']:12.3f}{r['all']:8.3f}")
        good &= (feature not in COUNTED or gap <= 1e-9) and (feature not in CORRELATED or r["airline"] >= 0.9)
    print(f"\n{BOUND}: {bound(files, pairs['airline'][1]['pushback_rate'].to_numpy()):.3f}")
    print(f"\n{'held-out ROC-AUC':42}{'ours':>8}{'theirs':>8}{'gap':>8}")
    folder = Path(os.environ["WORKBENCH_TRACES"])
    aucs = [[row.auc for row in rows(folder, 2, side)] for side in (ours, theirs)]
    names = [row.file for row in rows(folder, 2, ours)]
    for name, a, b in [*zip(names, *aucs, strict=True), ("mean", *np.mean(aucs, axis=1))]:
        print(f"{name:42}{a:8.3f}{b:8.3f}{a - b:+8.3f}")
    gaps = np.abs(np.subtract(*aucs))
    return bool(good and np.mean(aucs[0]) >= 0.97 and gaps.max() <= 0.015)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--large", action="store_true", help="also coverage of 100,000 against 100,000 (about half a minute)"
    )
    parser.add_argument("--reference", metavar="PYTHON", help="an interpreter that has ppol 0.1.1")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(chamfer(given.one[0], int(given.one[1]))))
        return 0
    files, met = texts(), True
    if given.reference and not os.environ.get("WORKBENCH_TRACES"):
        sys.exit("--reference needs WORKBENCH_TRACES: the folder with human/, simulated/ and tau2/")
    with tempfile.TemporaryDirectory() as place:
        talks = {
            name: [
                part.select("role", "content").to_dicts()
                for part in turns.sort("dialogue_id", "turn").partition_by("dialogue_id", maintain_order=True)
            ]
            for name, turns in files.items()
        }
        Path(place, "talks.json").write_text(json.dumps(talks))
        script = str(Path(__file__).with_name("measure_reference.py"))

        def theirs(what: str) -> Any:
            return call(given.reference, script, what, f"{place}/talks.json")

        ratios = table(rounds(files, theirs if given.reference else None))
        if given.reference:
            ours = {name: fingerprint(turns) for name, turns in files.items()}
            about = {
                name: turns.unique("dialogue_id").select("dialogue_id", "tau2_task_id")
                for name, turns in files.items()
            }
            prints = {
                name: ours[name].select("dialogue_id").with_columns(pl.DataFrame(talks).select(FEATURES))
                for name, talks in theirs("prints").items()
            }
            ours, prints = (
                {name: side[name].join(about[name], on="dialogue_id").sort("dialogue_id") for name in files}
                for side in (ours, prints)
            )
            met = (
                agreement(files, ours, prints)
                and ratios["ppol extraction"] >= 50
                and ratios["ppol seconds"] >= 8
            )
    if given.large:
        large = call(sys.executable, __file__, "--one", "ours", "100000")
        print(
            f"coverage 100k x 100k: {large['seconds']:.0f} s, plus d_ref {large['d_ref']:.0f} s, peak {large['mib']:.0f} MiB"
        )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
