"""How the rehearsal user talks: a persona policy read into strengths, and a plain message dressed in them."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib import resources
from random import Random

WORDS = tomllib.loads(resources.files(__package__).joinpath("words.toml").read_text("utf-8"))
_HABITS = {
    name: (
        habit["base"],
        *(re.compile("|".join(habit.get(side, ["(?!)"]))) for side in ("calls", "opposite")),
    )
    for name, habit in WORDS["habits"].items()
}
_SAYS = {name: habit["says"] for name, habit in WORDS["habits"].items() if "says" in habit}
_AMOUNTS = [(re.compile(words), float(amount)) for amount, words in WORDS["amounts"].items()]
_DEGREES = [(re.compile(words), float(factor)) for factor, words in WORDS["degrees"].items()]
_NOT, _SCOPE, _OUT = (re.compile(WORDS["negation"][name]) for name in ("before", "ends", "after"))
_COUNT = re.compile(r"(?:to|-|–|or|than|under|most|about|around|within) ?(\w+) words")
Style = dict[str, float]


def _vote(clause: str, calls: re.Pattern[str], opposite: re.Pattern[str]) -> tuple[bool, float] | None:
    """Return whether a clause wants a habit, and how much; None when it does not speak of it."""
    wanted, cue = True, calls.search(clause)
    if cue is None:
        wanted, cue = False, opposite.search(clause)
    if cue is None:
        return None
    before = [m for m in _NOT.finditer(clause, 0, cue.start()) if cue.start() - m.end() < 60]
    negated = bool(before) and not _SCOPE.search(clause, before[-1].end(), cue.start())
    negated = negated or bool(_OUT.search(clause, cue.end()))
    amount = next((a for words, a in _AMOUNTS if words.search(clause)), 0.6)
    for words, factor in _DEGREES:
        amount = min(1.0, amount * factor) if words.search(clause) else amount
    if wanted == negated:  # less of it is asked for: firmly, unless it says otherwise
        amount = 1.0 if re.search(r"never|always|\bno\b", clause) else max(amount, 0.8)
    return wanted != negated, amount


@lru_cache(maxsize=512)
def read(policy: str) -> Style:
    """Return how strong each habit is, 0 to 1, and ``words``, the message length a policy asks for (0: none).

    Every clause that names a habit votes for a strength. The votes are averaged and drawn towards what
    a user does without a policy, so weak or conflicting texts give mild habits.
    """
    clauses = re.split(
        r"[.;:!?\n]+(?:\s|$)|,? (?:but|while|though|although|yet|whereas|unless)\b", policy.lower()
    )
    style = {}
    for name, (base, calls, opposite) in _HABITS.items():
        votes = [vote for clause in clauses if (vote := _vote(clause, calls, opposite))]
        weight = sum(3.0 if amount >= 1 else 1.0 for _, amount in votes)
        wanted = sum((3.0 if a >= 1 else 1.0) * (a if want else base * (1 - a)) for want, a in votes)
        style[name] = (wanted + 0.4 * base) / (weight + 0.4)
    numbers = WORDS["numbers"]
    counts = [int(numbers.get(w, w)) for w in _COUNT.findall(policy.lower()) if w.isdigit() or w in numbers]
    style["words"] = sum(counts) / len(counts) if counts else 0.0
    if 0 < style["words"] <= 20:  # asking for few words is asking for terseness
        style["terse"] += (1 - style["terse"]) * (0.25 if style["words"] > 10 else 0.4)
    return style


def extras(text: str, style: Style, rng: Random, cramped: bool) -> str:
    """Add what a habit puts before or after a message; a cramped message takes at most one addition."""
    drawn = [name for name in _SAYS if rng.random() < style[name] * 0.5]
    rng.shuffle(drawn)
    for name in drawn[: 1 if cramped else 3]:
        saying = rng.choice(_SAYS[name])
        if saying.endswith((".", "?", "!")):
            after = name not in ("frustrated", "certain", "pushback") or (
                name != "certain" and rng.random() < 0.4
            )
            text = f"{text} {saying}" if after else f"{saying} {text}"
        else:  # 'um,' or 'I think' leans on the sentence
            keep = re.match(r"I\b|[A-Z]\w* [A-Z]|#|\w*\d", text)
            text = f"{saying} {text if keep else text[:1].lower() + text[1:]}"
    return text


def surface(text: str, style: Style, rng: Random, facts: frozenset[str]) -> str:
    """Apply wording, spelling, case and punctuation; tokens with digits and words of the facts stay whole."""
    if rng.random() < style["formal"]:
        text = _swap(text, WORDS["formal"])
    if rng.random() < style["slang"]:
        text = _swap(text, {old: new for old, new in WORDS["slang"].items() if rng.random() < 0.7})
    if rng.random() < style["exclaim"]:
        text = re.sub(r"\.(?=\s|$)", "!", text)
    if style["typo"] > 0:
        chance = 0.12 * style["typo"]
        text = re.sub(
            r"\b[a-z]{4,}\b", lambda m: m[0] if m[0][:6] in facts else _mistype(m[0], chance, rng), text
        )
    if rng.random() < style["lower"]:
        text = " ".join(w if re.search(r"[\d@_#]", w) else w.lower() for w in text.split(" "))
    if rng.random() < style["bare_end"]:
        text = re.sub(r"[.!,]+(?=\s|$)", "", text)
    return text


def _swap(text: str, pairs: dict[str, str]) -> str:
    for old, new in pairs.items():
        text = re.sub(
            rf"(?<![\w'@.]){re.escape(old)}(?![\w'@])", new, text, flags=re.I if old.islower() else 0
        )
    return text


def _mistype(word: str, chance: float, rng: Random) -> str:
    """Lose, swap or double one letter inside a word."""
    if rng.random() > chance:
        return word
    at = rng.randrange(1, len(word) - 1)
    lost, doubled = word[:at] + word[at + 1 :], word[: at + 1] + word[at:]
    return rng.choice([lost, word[:at] + word[at + 1] + word[at] + word[at + 2 :], doubled])
