"""Run by ``measure.py --reference`` in an environment that has `ppol` 0.1.1: its figures and times for the same input.

    python measure_reference.py prints|speed|chamfer [DIALOGUES.json]

Takes {name: [[{role, content}, …], …]} and prints JSON. ``prints``: the fingerprints of every file. ``speed``: dialogues a
second over all files, and seconds of its forest for one fingerprint. ``chamfer``: seconds and peak MiB of its coverage of
10,000 against 10,000 points. Imports and a first call are not in the times.
"""

import contextlib
import io
import json
import re
import sys
import time
from pathlib import Path
from typing import Any


def prints(files: dict[str, list[Any]]) -> dict[str, Any]:
    from ppol.fingerprinting import BehavioralFingerprintExtractor

    extract = BehavioralFingerprintExtractor().compute_fingerprint
    return {name: [extract(talk).to_dict() for talk in dialogues] for name, dialogues in files.items()}


def speed(files: dict[str, list[Any]]) -> dict[str, float]:
    import numpy as np
    from ppol.discriminator import BehavioralDiscriminator
    from ppol.fingerprinting import BehavioralFingerprint, BehavioralFingerprintExtractor

    extractor = BehavioralFingerprintExtractor()
    dialogues = [talk for talks in files.values() for talk in talks]
    for talk in dialogues[:20]:
        extractor.compute_fingerprint(talk)
    began = time.perf_counter()
    for talk in dialogues:
        extractor.compute_fingerprint(talk)
    rate = len(dialogues) / (time.perf_counter() - began)
    names = extractor.feature_names() if callable(extractor.feature_names) else list(extractor.feature_names)
    sides = [
        [BehavioralFingerprint(dict(zip(names, row, strict=True))) for row in points]
        for points in np.random.default_rng(0).gamma(2.0, size=(2, 200, 19))
    ]
    forest = BehavioralDiscriminator()
    with contextlib.redirect_stdout(io.StringIO()):
        forest.train(*sides, verbose=False)
    forest.predict_human_probability(sides[0][0])
    began = time.perf_counter()
    for one in sides[0][:20]:
        forest.predict_human_probability(one)
    return {"extraction": rate, "forest": (time.perf_counter() - began) / 20}


def chamfer() -> dict[str, float]:
    import numpy as np
    from ppol.evaluation import chamfer_coverage

    people, personas = (np.random.default_rng(seed).gamma(2.0, size=(10_000, 19)) for seed in (1, 2))
    chamfer_coverage(personas[:9], people[:9], 10.0)
    began = time.perf_counter()
    chamfer_coverage(personas, people, 10.0)
    seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "mib": int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0]) / 1024,
    }


if __name__ == "__main__":
    files = json.loads(Path(sys.argv[2]).read_text()) if len(sys.argv) > 2 else {}
    found = {"prints": lambda: prints(files), "speed": lambda: speed(files), "chamfer": chamfer}[
        sys.argv[1]
    ]()
    print("\n" + json.dumps(found))
