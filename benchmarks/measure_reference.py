"""Run by ``measure.py --reference`` in an environment that has `ppol` 0.1.1: its figures and times for the same input.

Takes a JSON file {name: [[{role, content}, …], …]} and prints JSON: fingerprints of every file, dialogues a second on the
first, seconds of its forest for one fingerprint, seconds and peak MiB of its coverage of 10,000 against 10,000 points.
"""

import contextlib
import io
import json
import re
import sys
import time
from pathlib import Path


def main() -> None:
    import numpy as np
    from ppol.discriminator import BehavioralDiscriminator
    from ppol.fingerprinting import BehavioralFingerprint, BehavioralFingerprintExtractor

    files = json.loads(Path(sys.argv[1]).read_text())
    extractor = BehavioralFingerprintExtractor()
    found = {}
    for name, dialogues in files.items():
        began = time.perf_counter()
        found[name] = [extractor.compute_fingerprint(talk).to_dict() for talk in dialogues]
        found[f"{name} per second"] = len(dialogues) / (time.perf_counter() - began)
    names = extractor.feature_names() if callable(extractor.feature_names) else list(extractor.feature_names)
    rng = np.random.default_rng(0)
    prints = [
        [BehavioralFingerprint(dict(zip(names, row, strict=True))) for row in rng.gamma(2.0, size=(200, 19))]
        for _ in (0, 1)
    ]
    forest = BehavioralDiscriminator()
    with contextlib.redirect_stdout(io.StringIO()):
        forest.train(prints[0], prints[1], verbose=False)
    began = time.perf_counter()
    for one in prints[0][:20]:
        forest.predict_human_probability(one)
    found["forest"] = (time.perf_counter() - began) / 20
    from ppol.evaluation import chamfer_coverage

    people, personas = (np.random.default_rng(seed).gamma(2.0, size=(10_000, 19)) for seed in (1, 2))
    began = time.perf_counter()
    chamfer_coverage(personas, people, 10.0)
    found["chamfer"] = time.perf_counter() - began
    found["chamfer_mib"] = int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0]) / 1024
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    main()
