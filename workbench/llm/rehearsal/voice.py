"""How the rehearsal user talks: a persona policy read into strengths of habits, and a message dressed in them."""

import re
import tomllib
from collections.abc import Callable
from functools import cache, lru_cache
from importlib import resources
from random import Random
from typing import Any

WORDS: dict[str, Any] = tomllib.loads(resources.files(__package__).joinpath("words.toml").read_text("utf-8"))
HABITS: dict[str, dict[str, Any]] = {
    name: {"base": 0.0, "says": [], "swaps": [], **habit} for name, habit in WORDS["habits"].items()
}
Style = dict[str, float]


@cache
def pattern(words: str) -> re.Pattern[str]:
    """Return the compiled pattern of a table's entry; case does not matter."""
    return re.compile(words, re.I)


def swap(text: str, pairs: list[list[str]]) -> str:
    """Put, for each pair in order, the second in the place of the first."""
    for found, new in pairs:
        text = pattern(found).sub(new, text)
    return text


def _vote(clause: str, habit: dict[str, Any]) -> tuple[bool, float] | None:
    """Return whether a clause wants a habit, and how much; None when it does not speak of it."""
    called = pattern(habit["calls"]).search(clause)
    cue = called or pattern(habit.get("opposite", "(?!)")).search(clause)
    if not cue:
        return None
    turned = pattern(WORDS["clauses"]["negation"]).search(clause[max(0, cue.start() - 60) : cue.start()])
    turned = turned or pattern(WORDS["clauses"]["negated_after"]).search(clause, cue.end())
    amount = next((float(a) for a, words in WORDS["amounts"].items() if pattern(words).search(clause)), 0.6)
    if bool(called) != bool(turned):
        return True, amount
    return False, 1.0 if re.search(r"never|always|\bno\b", clause) else max(amount, 0.8)


@lru_cache(maxsize=512)
def read(policy: str) -> Style:
    """Return each habit's strength, 0 to 1: the clauses' votes, averaged and drawn towards a user without a policy."""
    style = {}
    clauses = pattern(WORDS["clauses"]["ends"]).split(policy[:4000].lower())
    for name, habit in HABITS.items():
        weight, total = 0.4, 0.4 * habit["base"]
        for wanted, amount in filter(None, (_vote(clause, habit) for clause in clauses)):
            sure = 3.0 if amount >= 1 else 1.0
            weight, total = weight + sure, total + sure * (amount if wanted else habit["base"] * (1 - amount))
        style[name] = total / weight
    return style


def extras(text: str, style: Style, rng: Random, most: int, asks: Callable[[str], bool]) -> str:
    """Add what habits put before or after a message, ``most`` additions at most."""
    drawn = [h for name, h in HABITS.items() if h["says"] and rng.random() < style[name] * 0.5]
    drawn = [habit for habit in drawn if "when" not in habit or asks(habit["when"])]
    for habit in rng.sample(drawn, min(most, len(drawn))):
        saying = rng.choice(habit["says"])
        if not saying.endswith((".", "?", "!")) and not re.match(r"I\b|[A-Z]\w* [A-Z]|#|\w*\d", text):
            text = text[:1].lower() + text[1:]  # 'um,' or 'I think' leans on the sentence
        text = f"{text} {saying}" if habit.get("after") else f"{saying} {text}"
    return text


def surface(text: str, style: Style, rng: Random) -> str:
    """Apply wording, spelling, case and punctuation; tokens with digits stay whole."""
    for name, habit in HABITS.items():
        text = swap(text, habit["swaps"]) if rng.random() < style[name] else text
    if rng.random() < style["lower"]:
        text = " ".join(w if re.search(r"[\d@_#]", w) else w.lower() for w in text.split(" "))
    return text
