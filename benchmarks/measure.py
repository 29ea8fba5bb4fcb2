"""How fast the measures are, against plain implementations in the same process: ratios of one run on one machine.

    python benchmarks/measure.py [--large]

Extraction: dialogues a second of `fingerprint` against a loop over turns with `re` (the same marker lists, the same
figures, checked). Chamfer: coverage of 10,000 against 10,000 points against one distance matrix in memory, with the peak
memory of each in a process of its own; ``--large`` does 100,000 × 100,000. Forest: P(human) of fingerprints one by one
and at once. Beside it stand published figures of `ppol` 0.1.1, for orientation only: they come from another machine.

Texts: WORKBENCH_TRACES where set (200 tau-bench airline dialogues, 50 times over, each made distinct), else made up.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from workbench.measure import FEATURES
from workbench.measure.coverage import Cloud
from workbench.measure.discriminator import Discriminator
from workbench.measure.fingerprint import IDENTIFIER, fingerprint
from workbench.measure.lexicon import APOSTROPHES, lexicon
from workbench.traces import read_traces

PUBLISHED = {"extraction": 330.0, "chamfer": 2.5, "chamfer_mib": 850.0, "one": 0.036}
"""Of ppol 0.1.1 on two cores, elsewhere: dialogues a second, seconds, MiB, seconds a fingerprint."""
NEEDED = {"extraction": 50.0, "chamfer": 8.0, "memory": 250.0}
TIMES = 50


def dialogues() -> pl.DataFrame:
    """Return 10,000 dialogues, no two alike."""
    folder = os.environ.get("WORKBENCH_TRACES", "")
    if folder:
        turns = read_traces(
            Path(folder, "simulated", "airline_base_taubench_gpt-4o-agent.jsonl.gz")
        ).collect()
    else:
        rng = random.Random(0)
        words = [
            "i",
            "would",
            "like",
            "to",
            "return",
            "the",
            "lamp",
            "please",
            "thanks",
            "ok",
            "my",
            "order",
            "#W1234567",
            "not",
            "sure",
            "which",
            "one",
            "maybe",
        ]
        rows = [
            (f"d{d}", t, "user", " ".join(rng.choices(words, k=rng.randint(1, 35))))
            for d in range(200)
            for t in range(7)
        ]
        turns = pl.DataFrame(rows, schema=["dialogue_id", "turn", "role", "content"], orient="row")
    turns = turns.select("dialogue_id", "turn", "role", "content")
    copies = [
        turns.with_columns(pl.col("dialogue_id") + f"#{i}", pl.col("content") + f" {i}") for i in range(TIMES)
    ]
    return pl.concat(copies)


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
        texts = [re.sub(r"\s", " ", re.sub(APOSTROPHES, "'", text.lower())) for text in said]
        for feature, (pattern, unless) in patterns.items():
            hits = sum(bool(pattern.search(unless.sub(" ¦ ", text) if unless else text)) for text in texts)
            row[feature] = hits / n
        found[name] = row
    return found


def extraction() -> tuple[float, float]:
    """Dialogues a second of `fingerprint` (best of five) and of the plain loop, on the same text."""
    turns = dialogues()
    count = turns["dialogue_id"].n_unique()
    ours = min(timed(lambda: fingerprint(turns)) for _ in range(5))
    part = turns.filter(pl.col("dialogue_id").str.ends_with("#7"))
    began = time.perf_counter()
    expected = plain(part)
    theirs = time.perf_counter() - began
    for row in fingerprint(part).iter_rows(named=True):
        wrong = [f for f in FEATURES if abs(row[f] - expected[row["dialogue_id"]][f]) > 1e-9]
        assert not wrong, f"{row['dialogue_id']}: {wrong}"
    return count / ours, len(expected) / theirs


def timed(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def cloud(n: int, seed: int) -> pl.DataFrame:
    return pl.DataFrame(
        np.random.default_rng(seed).gamma(2.0, size=(n, 19)), schema=list(FEATURES), orient="row"
    )


def chamfer(kind: str, n: int) -> dict[str, float]:
    """Score n against n points in this process: seconds, and memory beyond what importing and the points take."""
    people, personas = cloud(n, 1), cloud(n, 2)
    Cloud(people.head(9)).coverage(personas.head(9))  # imports
    before = peak()
    if kind == "ours":
        seconds = timed(lambda: Cloud(people).coverage(personas))
    else:
        from scipy.spatial.distance import cdist

        def whole() -> None:
            h, f = people.to_numpy(), personas.to_numpy()
            distances = cdist(h, f)
            error = distances.min(axis=1).mean() + distances.min(axis=0).mean()
            max(0.0, 1 - min(1.0, error / (2 * cdist(h, h).sum() / (n * (n - 1)))))

        seconds = timed(whole)
    return {"seconds": seconds, "mib": peak(), "more_mib": peak() - before}


def peak() -> float:
    """Peak resident memory of this process in MiB (Linux's own count: ``getrusage`` starts at the parent's)."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.findall(r"VmHWM:\s+(\d+)", status.read_text())[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def apart(kind: str, n: int) -> dict[str, float]:
    """Run :func:`chamfer` in a process of its own."""
    call = [sys.executable, __file__, "--one", kind, str(n)]
    return dict(json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout))


def forest() -> tuple[float, float]:
    """Seconds a fingerprint, scored one by one and 200 at once."""
    judge, probe = Discriminator.fit(cloud(200, 1), cloud(200, 2)), cloud(200, 3)
    alone = timed(lambda: [judge.likeness(probe[i]) for i in range(20)]) / 20
    return alone, timed(lambda: judge.likeness(probe)) / 200


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--large", action="store_true", help="also coverage of 100,000 against 100,000 (a minute or two)"
    )
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(chamfer(given.one[0], int(given.one[1]))))
        return 0
    fast, slow = extraction()
    ours, whole = apart("ours", 10_000), apart("whole", 10_000)
    alone, batch = forest()
    print(f"{'':34}{'workbench':>12}{'plain':>12}{'ratio':>8}{'ppol, published':>18}{'ratio':>8}")
    row = "{:34}{:>12}{:>12}{:>8}{:>18}{:>8}".format
    print(
        row(
            "extraction, dialogues/s",
            f"{fast:,.0f}",
            f"{slow:,.0f}",
            f"{fast / slow:.0f}x",
            f"{PUBLISHED['extraction']:,.0f}",
            f"{fast / PUBLISHED['extraction']:.0f}x",
        )
    )
    print(
        row(
            "coverage 10k x 10k, s",
            f"{ours['seconds']:.2f}",
            f"{whole['seconds']:.2f}",
            f"{whole['seconds'] / ours['seconds']:.1f}x",
            f"{PUBLISHED['chamfer']:.1f}",
            f"{PUBLISHED['chamfer'] / ours['seconds']:.1f}x",
        )
    )
    print(
        row(
            "  peak memory, MiB (process)",
            f"{ours['mib']:.0f}",
            f"{whole['mib']:.0f}",
            f"{whole['mib'] / ours['mib']:.1f}x",
            f"{PUBLISHED['chamfer_mib']:.0f}",
            f"{PUBLISHED['chamfer_mib'] / ours['mib']:.1f}x",
        )
    )
    print(
        row("  of it for the measure, MiB", f"{ours['more_mib']:.0f}", f"{whole['more_mib']:.0f}", "", "", "")
    )
    print(
        row(
            "P(human), one at a time, ms",
            f"{1000 * alone:.1f}",
            "",
            "",
            f"{1000 * PUBLISHED['one']:.0f}",
            f"{PUBLISHED['one'] / alone:.1f}x",
        )
    )
    print(
        row(
            "P(human), 200 at once, ms each",
            f"{1000 * batch:.2f}",
            f"{1000 * alone:.1f}",
            f"{alone / batch:.0f}x",
            "",
            "",
        )
    )
    if given.large:
        large = apart("ours", 100_000)
        print(row("coverage 100k x 100k, s", f"{large['seconds']:.0f}", "", "", "", ""))
        print(row("  peak memory, MiB (process)", f"{large['mib']:.0f}", "", "", "", ""))
    met = fast / PUBLISHED["extraction"] >= NEEDED["extraction"] and ours["mib"] < NEEDED["memory"]
    met = met and whole["seconds"] / ours["seconds"] >= NEEDED["chamfer"]
    print("published figures are from another machine; the ratios to the plain code are of this run")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
