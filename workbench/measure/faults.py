"""Faults of a simulated user, from transcript and scenario alone: each with the turn that shows it."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl

from workbench.measure.fingerprint import ordered
from workbench.measure.lexicon import lexicon, normalize
from workbench.measure.points import needs

FILE = Path(__file__).with_name("faults.toml")
FAULTS = ("empty_turn", "role_swap", "invented_identifier", "claimed_action", "repeated_turn", "goal_undelivered",
          "stopped_early")  # fmt: skip
"""Names of the faults, in the order that decides between two shown by one turn."""
COLUMNS = (*FAULTS, "goal_pieces", "goal_delivered", "fault")

_STOPS = ("stop", "out_of_scope")
_NEAR = 0.75  # how alike two identifiers are when one is taken for a slip of the other
_SHARE = 0.2  # share of a piece's words that must come up for it to count as delivered
_CUT = "…"  # ends a message that its source shortened: what it named is not known

_IDENTIFIER = re.compile(
    r"#\w{4,}|[\w.+-]+@[\w-]+\.[\w.]+|\b[a-z]+_[a-z_]+_\d{3,}\b|\b(?=[A-Z0-9]*\d)(?=[A-Z0-9]*[A-Z])[A-Z0-9]{6,}\b|\b\d{7,}\b"
)
_QUESTION = (
    r"(?:would you like|do you want|do you wish|shall i|should i|may i|can i|ready) (?:me )?(?:to )?(?:proceed|go ahead)"
    r"|please confirm|do you confirm|confirm (?:if|that|whether) you|\(yes/no\)|reply .?yes"
)
_CONSENT = r"^\W*$|\b(?:yes|yep|yeah|sure|ok|okay|proceed|go ahead|please do|confirm|confirmed|perfect)\b"
_DECLINE = r"\b(?:no|not|don't|won't|can't|myself|instead|cancel that|never ?mind)\b"

_TABLES = tomllib.loads(FILE.read_text(encoding="utf-8"))["goal"]
_ACTS, COMMON = (frozenset(_TABLES[name].split()) for name in ("acts", "common"))
_ASIDE = re.compile(rf"\W*(?:{'|'.join(_TABLES['asides'])})", re.IGNORECASE)
_CALL = re.compile(
    r"reason[ _]for[ _]call:(.*?)(?=\n\s*(?:known|unknown|task)[ _]in\w+:|$)", re.IGNORECASE | re.DOTALL
)
_CONDITION = re.compile(r"\b(?:if|unless|otherwise|because|since|so that|but|as long as)\b", re.IGNORECASE)
_ENDINGS = r"^(.{3,}?)(?:ations|ation|ings|ing|edly|ed|ies|es|s|ly|e|y)$"


def faults(turns: pl.DataFrame | pl.LazyFrame, about: pl.DataFrame | None = None) -> pl.DataFrame:
    """Find what users did to spoil their own task, by rules and without a language model.

    Rules miss much that a reader sees; they are set so that real people and sound simulators seldom trip one
    (``benchmarks/panel.py`` prints the rates). A fault that cannot be judged - no scenario, no ending, an agent
    whose words are not there - is null, as is one that did not happen.

    Parameters
    ----------
    turns
        One row a message: dialogue_id, turn, role, content.
    about
        dialogue_id, ``scenario`` (what the user was told, as text) and optionally ``ended_by`` (``stop``,
        ``transfer``, ``out_of_scope`` where the user ended it); None judges what needs neither.

    Returns
    -------
    DataFrame
        One row a dialogue, sorted: dialogue_id; for each of :data:`FAULTS` the turn that shows it first; how many
        pieces of information the scenario asks to deliver (``goal_pieces``) and how many came up
        (``goal_delivered``); ``fault``, the name of the earliest.

    Raises
    ------
    WorkbenchError
        The turns are refused by ``fingerprint``, or the scenarios lack dialogue_id.
    """
    frame = ordered(turns).with_columns(pl.col("content").fill_null(""))
    told = pl.DataFrame(schema=dict.fromkeys(("dialogue_id", "scenario", "ended_by"), pl.String))
    if about is not None:
        needs(about.columns, ["dialogue_id"], "scenarios", "give each the name of its dialogue")
        told = pl.concat([told, about], how="diagonal_relaxed").select(told.columns)
    facts = frame.select("dialogue_id").unique().join(told, on="dialogue_id", how="left").sort("dialogue_id")
    said = frame.filter(role="user")
    last = said.group_by("dialogue_id").agg(last=pl.col("turn").max(), said=pl.len())
    found = facts.join(last, on="dialogue_id", how="left")
    for part in (
        _empty(frame),
        _spoken(said),
        _repeated(said),
        _invented(frame, facts),
        _goal(frame, facts),
        _left(frame),
    ):
        found = found.join(part, on="dialogue_id", how="left")
    missed = pl.col("goal_delivered") < pl.col("goal_pieces")
    stopped = pl.col("ended_by").is_in(_STOPS)
    found = found.with_columns(
        goal_undelivered=pl.when((pl.col("goal_pieces") > 0) & (pl.col("goal_delivered") == 0)).then("last"),
        stopped_early=pl.when(stopped & (missed | pl.col("unanswered") | (pl.col("said") <= 1))).then("last"),
    ).sort("dialogue_id")
    # earliest turn wins; in one turn, the order of FAULTS
    rank = [pl.col(name).cast(pl.Int64) * len(FAULTS) + i for i, name in enumerate(FAULTS)]
    first = pl.min_horizontal(rank)
    names = pl.coalesce(
        pl.when(first == order).then(pl.lit(name)) for name, order in zip(FAULTS, rank, strict=True)
    )
    return found.with_columns(fault=names).select(
        "dialogue_id",
        *(pl.col(name).cast(pl.Int32) for name in (*FAULTS, "goal_pieces", "goal_delivered")),
        "fault",
    )


def _empty(frame: pl.DataFrame) -> pl.DataFrame:
    """Find the first user message without a word or sign; turn 0 where the user never spoke."""
    blank = (pl.col("role") == "user") & (pl.col("content").str.strip_chars() == "")
    silent = ~(pl.col("role") == "user").any()
    return frame.group_by("dialogue_id").agg(
        empty_turn=pl.when(silent).then(0).otherwise(pl.col("turn").filter(blank).min())
    )


def _spoken(said: pl.DataFrame) -> pl.DataFrame:
    """Find the first turns that hold a marker of ``faults.toml``."""
    text = normalize(pl.col("content"))
    classes = {name: markers.matches(text) for name, markers in lexicon(FILE).items()}
    return said.group_by("dialogue_id").agg(
        **{name: pl.col("turn").filter(hit).min() for name, hit in classes.items()}
    )


def _repeated(said: pl.DataFrame) -> pl.DataFrame:
    """Find the third occurrence of one message of four words or more, or a shorter one said five times running."""
    plain = pl.col("content").str.to_lowercase().str.extract_all(r"\w+")
    words = said.with_columns(key=plain.list.join(" "), words=plain.list.len()).filter(pl.col("words") > 0)
    nth = pl.int_range(pl.len()).over("dialogue_id", "key")
    long = words.filter((nth == 2) & (pl.col("words") > 3))
    run = pl.all_horizontal(pl.col("key") == pl.col("key").shift(i).over("dialogue_id") for i in range(1, 5))
    hits = pl.concat([long, words.filter(run)])
    return hits.group_by("dialogue_id").agg(repeated_turn=pl.col("turn").min())


def _left(frame: pl.DataFrame) -> pl.DataFrame:
    """Tell which users left while the agent waited for their consent, as if giving it ended the matter."""
    role, text = pl.col("role"), normalize(pl.col("content"))
    asked = text.filter((role == "assistant") & (pl.col("content") != "")).last().str.tail(400)
    final = pl.when(role.last() == "user").then(text.last()).otherwise(pl.lit(""))
    answer = final.str.contains(_CONSENT) & ~final.str.contains(_DECLINE)
    left = (asked.str.contains(_QUESTION) & answer).fill_null(False)
    return frame.group_by("dialogue_id").agg(unanswered=left)


def _goal(frame: pl.DataFrame, facts: pl.DataFrame) -> pl.DataFrame:
    """Count the pieces of information of each scenario, and those that came up from either side."""
    known = facts.filter(pl.col("scenario").is_not_null())
    rows = [
        (scenario, i, sorted(words))
        for scenario in known["scenario"].unique().sort()
        for i, words in enumerate(pieces(scenario))
    ]
    schema: dict[str, Any] = {"scenario": pl.String, "piece": pl.Int64, "stem": pl.List(pl.String)}
    wanted = pl.DataFrame(rows, schema=schema, orient="row").explode("stem")
    wanted = known.join(wanted, on="scenario").select("dialogue_id", "piece", "stem")
    heard = (
        frame.join(known, on="dialogue_id", how="semi")
        .filter(pl.col("role").is_in(["user", "assistant"]))
        .select("dialogue_id", _stems(pl.col("content")).alias("stem"))
        .explode("stem")
        .unique()
        .with_columns(heard=True)
    )
    share = wanted.join(heard, on=["dialogue_id", "stem"], how="left").group_by("dialogue_id", "piece")
    delivered = share.agg(share=pl.col("heard").count() / pl.len())
    counts = delivered.group_by("dialogue_id").agg(
        goal_pieces=pl.len(), goal_delivered=((pl.col("share") >= _SHARE) & (pl.col("share") > 0)).sum()
    )
    return known.select("dialogue_id").join(counts, on="dialogue_id", how="left").fill_null(0)


def _stems(content: pl.Expr) -> pl.Expr:
    """Take a text's words, without quotes around them and without common endings."""
    words = content.str.to_lowercase().str.replace_all("’", "'").str.extract_all(r"[a-z0-9_']+")
    return words.list.eval(pl.element().str.strip_chars("'_").str.replace(_ENDINGS, "${1}"))


@lru_cache(maxsize=4096)
def pieces(scenario: str) -> tuple[frozenset[str], ...]:
    """Split what a scenario asks for into pieces: the stems of what is to be acted on, clause by clause.

    A piece is a clause that names an act (return, cancel, upgrade, …) and at least one thing; clauses about
    manners, conditions and identity are none, nor is a single common word. Many scenarios have no piece that a rule can find.
    """
    call = _CALL.search(scenario)
    found = []
    for clause in re.split(r"(?<=[.;!?])\s+|\n+", call[1] if call else scenario):
        main = _CONDITION.split(clause)[0]
        words = {
            re.sub(_ENDINGS, r"\1", word)
            for word in (w.strip("'_") for w in re.findall(r"[a-z0-9_']+", main.lower().replace("’", "'")))
            if word not in COMMON and len(word) > 1
        }
        things = words - _ACTS
        telling = len(things) > 1 or any(map(str.isdigit, "".join(things)))
        if words & _ACTS and telling and not _ASIDE.match(main):
            found.append(frozenset(things))
    return tuple(found)


def _invented(frame: pl.DataFrame, facts: pl.DataFrame) -> pl.DataFrame:
    """Find the first user turn with an identifier that neither the scenario nor anybody before had named.

    A slip (much the same as a known one) is none. Where an earlier message was cut, or the agent's side is missing,
    nothing can be said about later turns.
    """
    named = (pl.col("role") == "user") & pl.col("content").str.contains(r"\d|@")
    known = dict(facts.drop_nulls("scenario").select("dialogue_id", "scenario").iter_rows())
    suspects = frame.filter(named.any().over("dialogue_id"), pl.col("dialogue_id").is_in(list(known)))
    rows = [
        (name, _first_invented(part.select("turn", "role", "content").iter_rows(), known[name]))
        for (name,), part in suspects.partition_by("dialogue_id", as_dict=True).items()
    ]
    kinds = {"dialogue_id": pl.String, "invented_identifier": pl.Int64}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def _first_invented(messages: Iterable[tuple[int, str, str]], scenario: str) -> int | None:
    known, spoken, heard = scenario.lower(), False, False
    for turn, role, content in messages:
        if role == "user":
            if spoken and not heard:  # the agent's side is not in this transcript
                return None
            spoken = True
            if any(not _is_known(found, known) for found in _IDENTIFIER.findall(content)):
                return turn
        else:
            heard = heard or spoken
            if content.rstrip().endswith(_CUT):
                return None
        known += "\n" + content.lower()
    return None


def _is_known(identifier: str, known: str) -> bool:
    plain = identifier.lower().lstrip("#").rstrip(".")
    if plain in known or (plain.isdigit() and plain in re.sub(r"[\s().-]", "", known)):
        return True
    near = difflib.get_close_matches(plain, set(re.findall(r"[\w@.+-]{5,}", known)), n=1, cutoff=_NEAR)
    return bool(near)
