"""Every random choice comes from the run's seed: named, independent streams by hashing."""

from __future__ import annotations

import hashlib


def derive(*parts: object) -> int:
    """Return a 31-bit seed that depends on every part and on nothing else.

    ``derive(run_seed, candidate, task, persona, turn)`` is the seed of one request; two different
    paths of parts never share a stream by accident, because each part is written out with its length.
    """
    text = "".join(f"{len(str(p))}:{p};" for p in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
