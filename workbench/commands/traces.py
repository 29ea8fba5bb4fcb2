"""Commands about traces: what a file holds, its fingerprints, a reference of one's own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from workbench.commands import Add
from workbench.disk import replacing
from workbench.errors import WorkbenchError

FORMATS = """formats, told apart by content, plain or gzipped (docs/formats):
  chat JSONL · tau-usi · tau-bench trajectories · τ²-bench results (a file or a folder) · inspect logs ·
  ppol trajectories · SDialog dialogues · RealUserSim records"""
USER = "the speaker who is the user, for SDialog dialogues that do not tell"


def register(add: Add) -> None:
    """Add the commands of this module to the command line."""
    sub = add(
        traces, "Say what trace files hold: what is read, what is left out and why, whose turns.", FORMATS
    )
    sub.add_argument("files", nargs="+", metavar="FILE")
    sub.add_argument("--user", metavar="NAME", help=USER)

    sub = add(fingerprint, "Compute the 19 features of every dialogue in trace files.", FORMATS)
    sub.add_argument("files", nargs="+", metavar="FILE")
    sub.add_argument("--user", metavar="NAME", help=USER)
    sub.add_argument("-o", "--output", metavar="OUT", help=".parquet or .csv; without it, print means")

    sub = add(
        reference,
        "Build a reference of your own, of any domain, from traces of people and of simulators.",
        "Then: workbench evolve --reference DIR. The folder holds fingerprints, no words.\n\n" + FORMATS,
    )
    sub.add_argument("--human", nargs="+", required=True, metavar="FILE", help="traces of real people")
    sub.add_argument("--simulated", nargs="+", required=True, metavar="FILE", help="traces of simulators")
    sub.add_argument(
        "--tasks",
        metavar="FILE.jsonl",
        help="split as these scenarios of yours do; default: by a hash of the task",
    )
    sub.add_argument("--domain", metavar="NAME", help="keep this domain only, where the files hold several")
    sub.add_argument("--user", metavar="NAME", help=USER)
    sub.add_argument("-o", "--output", required=True, metavar="DIR", help="folder of the reference")


def traces(args: argparse.Namespace) -> None:
    """Print the mapping report of each file."""
    from workbench.traces import report

    for file in args.files:
        print(report(file, user=args.user))


def fingerprint(args: argparse.Namespace) -> None:
    """Fingerprint trace files."""
    import polars as pl

    from workbench.measure import FEATURES
    from workbench.measure.own import prints_of
    from workbench.traces import Report

    if args.output and not args.output.endswith((".parquet", ".csv")):
        raise WorkbenchError(f"-o {args.output} must end in .parquet or .csv.")
    frames = []
    for file in args.files:
        tally = Report(file)
        prints = prints_of(file, user=args.user, tally=tally)
        frames.append(prints.drop("spoke").with_columns(file=pl.lit(Path(file).name)))
        if silent := len(prints.filter(~pl.col("spoke"))):
            print(
                f"{file}: {silent} dialogues have no user turn: their fingerprints are zeros", file=sys.stderr
            )
        for why, count in tally.dropped.most_common():
            print(f"{file}: {count} dialogues dropped: {why}", file=sys.stderr)
    table = pl.concat(frames, how="vertical_relaxed")
    if args.output:
        try:
            with replacing(Path(args.output)) as part:
                (table.write_parquet if args.output.endswith(".parquet") else table.write_csv)(part)
        except OSError as error:
            raise WorkbenchError(f"{args.output} cannot be written: {error.strerror or error}.") from None
        print(f"{len(table)} dialogues from {len(args.files)} files → {args.output}")
        return
    print(f"{'mean of':<28}" + "".join(f"{Path(f).name[:26]:>28}" for f in args.files))
    for feature in FEATURES:
        print(f"{feature:<28}" + "".join(f"{frame[feature].to_numpy().mean():>28.3f}" for frame in frames))


def reference(args: argparse.Namespace) -> None:
    """Build a reference of one's own."""
    from workbench.measure.own import build, write
    from workbench.simulate import tau2
    from workbench.simulate.scenarios import read_scenarios

    official = {
        domain: {t.task_id: part for part in ("train", "test") for t in tau2.split(domain, part)}
        for domain in tau2.DOMAINS
    }
    if args.tasks:
        scenarios = read_scenarios(args.tasks)
        official[scenarios[0].domain] = {task.task_id: task.split for task in scenarios}
    made, reports = build(args.human, args.simulated, domain=args.domain, user=args.user, official=official)
    print("\n".join(map(str, reports)))
    for what, frame in (("people", made.humans), ("simulators", made.simulators)):
        parts = {part: frame.filter(split=part) for part in ("train", "test")}
        said = " and ".join(
            f"{len(f)} {part} dialogues of {f['tau2_task_id'].n_unique()} tasks" for part, f in parts.items()
        )
        left = len(frame) - sum(map(len, parts.values()))
        print(f"{what:<11}{said}" + (f"; {left} on neither side" if left else ""))
    found = made.held_out()
    print(
        f"held out   ROC-AUC {found['auc']:.3f} (95 % interval {found['auc_low']:.3f} to {found['auc_high']:.3f}), "
        f"balanced accuracy {found['balanced_accuracy']:.3f}"
    )
    files = write(made, args.output)
    print(f"{len(files)} files in {args.output}/. Next: workbench evolve --reference {args.output} …")
