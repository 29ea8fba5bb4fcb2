"""How fast the measures are, against plain implementations in the same process: ratios of one run on one machine.

    python benchmarks/measure.py [--large] [--reference PYTHON]

Extraction: dialogues a second of `fingerprint` against a loop over turns with `re` (the same marker lists, the same
figures, checked). Chamfer: coverage of 10,000 against 10,000 points against one distance matrix in memory, with the peak
memory of each in a process of its own; ``--large`` does 100,000 × 100,000. Forest: P(human) of fingerprints one by one
and at once. With ``--reference PYTHON``, an interpreter in whose environment `ppol` 0.1.1 is installed is timed on the same
input, and its features are compared with ours file by file (WORKBENCH_TRACES is needed); without it published figures of
that package stand beside ours, for orientation only: they come from another machine.

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
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from workbench.measure import FEATURES
from workbench.measure.coverage import Cloud
from workbench.measure.discriminator import Discriminator
from workbench.measure.fingerprint import IDENTIFIER, fingerprint
from workbench.measure.held_out import report, scored
from workbench.measure.lexicon import APOSTROPHES, lexicon
from workbench.traces import read_traces

PUBLISHED = {"extraction": 330.0, "chamfer": 2.5, "mib": 850.0, "one": 0.036}
TIMES = 50
COUNTED = (
    *("words_per_turn", "short_utterance_rate", "verbosity_cv", "repetition_rate", "front_loading_ratio"),
    *("identifiers_per_turn", "opening_length"),
)
CORRELATED = ("politeness_rate", "formality_rate", "acknowledgment_rate", "uncertainty_rate", "pushback_rate")


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
        texts = [re.sub(r"\s+", " ", re.sub(APOSTROPHES, "'", text.lower())) for text in said]
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
    """Peak resident memory of this process in MiB (Linux's own count: ``getrusage`` starts at the parent's)."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.findall(r"VmHWM:\s+(\d+)", status.read_text())[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def apart(kind: str, n: int) -> dict[str, float]:
    """Run :func:`chamfer` in a process of its own."""
    call = [sys.executable, __file__, "--one", kind, str(n)]
    return dict(json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout))


def reference(python: str) -> dict[str, Any]:
    """Let an interpreter that has ppol work on the traces; see ``measure_reference.py``."""
    folder = Path(os.environ.get("WORKBENCH_TRACES") or sys.exit("--reference needs WORKBENCH_TRACES"))
    files = {"bench": dialogues().filter(pl.col("dialogue_id").str.ends_with("#7"))}
    files |= {file.name.split(".jsonl")[0]: read_traces(file).collect() for file in trace_files(folder)}
    talks = {
        name: [
            part.select("role", "content").to_dicts()
            for part in turns.sort("dialogue_id", "turn").partition_by("dialogue_id", maintain_order=True)
        ]
        for name, turns in files.items()
    }
    with tempfile.TemporaryDirectory() as place:
        Path(place, "talks.json").write_text(json.dumps(talks))
        call = [python, str(Path(__file__).with_name("measure_reference.py")), f"{place}/talks.json"]
        done = subprocess.run(call, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{python} could not run ppol: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    del files["bench"]
    found["ours"] = {name: fingerprint(turns) for name, turns in files.items()}
    found["about"] = {
        name: turns.unique("dialogue_id").select("dialogue_id", "tau2_task_id")
        for name, turns in files.items()
    }
    return found


def trace_files(folder: Path) -> list[Path]:
    return sorted([*folder.glob("human/*.jsonl"), *folder.glob("simulated/*.jsonl.gz")])


def agreement(found: dict[str, Any]) -> bool:
    """Print how the features of both compare, and what a forest makes of each; tell whether what is needed holds."""
    ours, theirs = found["ours"], {name: pl.DataFrame(found[name]).select(FEATURES) for name in found["ours"]}
    everything = [pl.concat([side[name].select(FEATURES) for name in ours]) for side in (ours, theirs)]
    air = [
        pl.concat([side[name].select(FEATURES) for name in ours if "airline" in name])
        for side in (ours, theirs)
    ]
    print(f"\n{'feature':30}{'largest gap':>14}{'r, airline':>12}{'r, all':>8}")
    good = True
    for feature in FEATURES:
        a, b = (side[feature].to_numpy() for side in everything)
        r = [
            float(np.corrcoef(x[feature].to_numpy(), y[feature].to_numpy())[0, 1])
            for x, y in (air, everything)
        ]
        print(f"{feature:30}{np.abs(a - b).max():14.2e}{r[0]:12.3f}{r[1]:8.3f}")
        good &= feature not in COUNTED or bool(np.abs(a - b).max() <= 1e-9)
        good &= feature not in CORRELATED or r[0] >= 0.9
    print(f"\n{'held-out ROC-AUC':42}{'ours':>8}{'theirs':>8}{'gap':>8}")
    folder = Path(os.environ["WORKBENCH_TRACES"])
    aucs = []
    for domain in ("retail", "airline"):
        split = json.loads((folder / "tau2" / f"split_tasks_{domain}.json").read_text(encoding="utf-8"))
        bases = [name for name in ours if name.startswith(f"{domain}_base")]
        for name in bases:
            pair = []
            for side in (ours, theirs):
                tables = {
                    key: side[key]
                    .select(FEATURES)
                    .with_columns(
                        ours[key]
                        .select("dialogue_id")
                        .join(found["about"][key], on="dialogue_id", how="left", maintain_order="left")[
                            "tau2_task_id"
                        ]
                    )
                    for key in (domain, *bases)
                }
                parts = {
                    (key, part): t.filter(pl.col("tau2_task_id").is_in(split[part]))
                    for key, t in tables.items()
                    for part in ("train", "test")
                }
                train = parts[name, "train"]
                if train.is_empty():
                    train = pl.concat([parts[other, "train"] for other in bases if other != name])
                judge = Discriminator.fit(parts[domain, "train"], train)
                pair.append(
                    report(scored(judge, parts[domain, "test"], parts[name, "test"]), resamples=2)["auc"]
                )
            aucs.append(pair)
            print(f"{name:42}{pair[0]:8.3f}{pair[1]:8.3f}{pair[0] - pair[1]:+8.3f}")
    mean = np.mean(aucs, axis=0)
    print(f"{'mean':42}{mean[0]:8.3f}{mean[1]:8.3f}{mean[0] - mean[1]:+8.3f}")
    return bool(good and mean[0] >= 0.97 and max(abs(a - b) for a, b in aucs) <= 0.015)


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
    parser.add_argument("--reference", metavar="PYTHON", help="an interpreter that has ppol 0.1.1")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(chamfer(given.one[0], int(given.one[1]))))
        return 0
    found = reference(given.reference) if given.reference else None
    other = PUBLISHED if found is None else {
        "extraction": found["bench per second"], "chamfer": found["chamfer"], "mib": found["chamfer_mib"], "one": found["forest"]
    }  # fmt: skip
    fast, slow = extraction()
    ours, whole = apart("ours", 10_000), apart("whole", 10_000)
    alone, batch = forest()
    rows = (
        ("extraction, dialogues/s", fast, slow, other["extraction"], fast / slow, fast / other["extraction"]),
        (
            "coverage 10k x 10k, s",
            ours["seconds"],
            whole["seconds"],
            other["chamfer"],
            whole["seconds"] / ours["seconds"],
            other["chamfer"] / ours["seconds"],
        ),
        (
            "  peak memory of the process, MiB",
            ours["mib"],
            whole["mib"],
            other["mib"],
            whole["mib"] / ours["mib"],
            other["mib"] / ours["mib"],
        ),
        (
            "  plus d_ref (once a cloud), s",
            ours["d_ref"],
            whole["d_ref"],
            None,
            whole["d_ref"] / ours["d_ref"],
            None,
        ),
        ("P(human), one at a time, ms", 1000 * alone, None, 1000 * other["one"], None, other["one"] / alone),
        (
            "P(human), 200 at once, ms each",
            1000 * batch,
            None,
            1000 * other["one"],
            None,
            other["one"] / batch,
        ),
    )
    name = "ppol, published" if found is None else "ppol, this run"
    print(f"{'':36}{'workbench':>12}{'plain code':>12}{name:>17}{'x plain':>10}{'x ppol':>10}")
    for title, *values in rows:
        cells = ["" if v is None else f"{v:,.0f}" if v >= 100 else f"{v:.2f}" for v in values]
        print(f"{title:36}{cells[0]:>12}{cells[1]:>12}{cells[2]:>17}{cells[3]:>10}{cells[4]:>10}")
    if given.large:
        large = apart("ours", 100_000)
        print(
            f"coverage 100k x 100k: {large['seconds']:.0f} s, plus d_ref {large['d_ref']:.0f} s, peak {large['mib']:.0f} MiB"
        )
    met = rows[0][-1] >= 50 and rows[1][-1] >= 8 and ours["mib"] < 250
    if found is None:
        print("published figures come from another machine; what is needed is measured with --reference")
        return 0
    return 0 if agreement(found) and met else 1


if __name__ == "__main__":
    sys.exit(main())
