"""What the command line shows while it works: progress, candidates, estimates."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.evolve.progress import Progress
    from workbench.evolve.settings import Settings


def print_estimate(settings: Settings, seeds: int, train: int) -> None:
    """Print what a run will take; ``train`` is how many train tasks there are in all."""
    from workbench.evolve.estimate import episodes, estimate

    parts = episodes(settings, train=train)
    print(
        f"Estimate for {seeds} search{'es' if seeds > 1 else ''}, by what rehearsal episodes took; real models vary:"
    )
    for name, count in parts.items():
        print(f"  {count * seeds:>8,} episodes  {name}")
    table = estimate(settings, sum(parts.values()))
    for row in table.iter_rows(named=True):
        money = f"${row['cost'] * seeds:,.2f}" if row["cost"] is not None else "unknown price"
        tokens = f"{row['tokens_in'] * seeds / 1e6:9.1f}M in {row['tokens_out'] * seeds / 1e6:7.2f}M out"
        print(
            f"  {row['requests'] * seeds:>8,} requests  {tokens}  {row['role']:<10} {row['model']:<22} {money}"
        )
    known = "" if table["cost"].null_count() == 0 else ", known prices only"
    print(f"  in all{known}: ${table['cost'].sum() * seeds:,.2f}")


def candidate_line(c: dict[str, Any]) -> str:
    """Write a candidate in one line."""
    head = f"{c['candidate_id']}  from {c['parent'] or '-':<4}  "
    if c["status"] != "accepted":
        return f"{head}rejected: {c['reason']}"
    star = "  ★ new best" if c["new_best"] else ""
    valid = f"  validation {c['validation_score']:.3f}" if c["validation_score"] is not None else ""
    faults = f"  {c['n_failed']} failed, {c['n_faults']} faulty" if c["n_failed"] or c["n_faults"] else ""
    return (
        f"{head}N {c['n_personas']:<2}  fitness {c['fitness']:.3f}  HL {c['human_likeness']:.3f}  "
        f"coverage {c['coverage']:.3f}{valid}{faults}{star}"
    )


_LAST_SHOWN = [0.0]


def show_progress(progress: Progress) -> None:
    """Rewrite one line of a terminal; in a log, a line every ten seconds."""
    now, terminal = time.monotonic(), sys.stderr.isatty()
    if now - _LAST_SHOWN[0] < (0.1 if terminal else 10):
        return
    _LAST_SHOWN[0] = now
    print(
        f"\r\033[K{progress}" if terminal else str(progress),
        end="" if terminal else "\n",
        file=sys.stderr,
        flush=True,
    )


def fresh_line() -> None:
    """Clear the line of progress before something else is printed."""
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
