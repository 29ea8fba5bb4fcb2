"""Which variants of a product fit a customer's words, for the rehearsal agent."""

from __future__ import annotations

import re

from workbench.llm.rehearsal.hearing import Json, has, plain, says

UP = r"\b(?:bigger|larger|longer|higher|brighter|taller|heavier|greater|\d+ (?:\w+ )?more|more \d+)\b"
DOWN = r"\b(?:smaller|shorter|lower|less (?!exp|than)|\d+ \w+ less|fewer|dimmer|easier)"
TOP = r"\b(?:biggest|largest|longest|highest|maxim\w+|brightest|tallest|hardest|most (?!exp))"
LOW = r"\b(?:smallest|shortest|lowest(?! price)|minim\w+|fewest|least (?!exp)|easiest|dimmest)"
CHEAP = r"\b(?:cheapest|least expensive|lowest[- ]price\w*|less expensive|cheaper)\b"
DEAR = r"\b(?:most expensive|priciest|more expensive|costliest|pricier)\b"
SCALES = ["xs s m l xl xxl", "small medium large", "low medium high", "beginner intermediate expert"]


def fitting(goals: list[str], item: Json, product: Json, owned: list[Json]) -> list[Json] | None:
    """Variants in stock that fit what was said, only the best of them; None when nothing was said.

    Parameters
    ----------
    goals
        What the customer said is wanted instead, in plain words; a later word on an option overrides an earlier one.
    item, product
        The order item to be exchanged and its product, as the tools describe them.
    owned
        The customer's items of this product: "the same as the one I have" may mean one of them.
    """
    text, old = " ".join(goals), item["options"]
    stock = [v for v in product["variants"].values() if v["available"]]
    values = {k: sorted({v["options"][k] for v in product["variants"].values()}) for k in old}
    heads = {k: plain(k).split()[-1][:5] for k in old}
    ids = [i for i in re.findall(r"\b\d{10}\b", text) if i in product["variants"]]
    if has(r"\b(?:as|that|than|type|one) (?:\w+ ){0,3}i (?:\w+ )?(?:received|ordered|have|got|bought)", text):
        ids += [i["item_id"] for i in owned if i["item_id"] != item["item_id"]]
    want: dict[str, set[str]] = {}
    liked: list[tuple[str, str]] = []
    for goal in goals:
        aside = r"(?:instead of|rather than|\bover|\bthan|\bfrom|not care about|regardless of) [^,.;]*"
        hard, _, soft = re.sub(aside, " ", goal).partition("prefer")
        for key, options in values.items():
            named = {v for v in options if says(hard, key, v)}
            close = {v for v in named if has(rf"\b{re.escape(plain(v))}\W+(?:\w+ )?{heads[key]}", hard)}
            want |= {key: close or named} if named else {}
            liked += [
                (key, v) for v in sorted(options, key=lambda v: soft.find(plain(v)[:4])) if says(soft, key, v)
            ]
    again = has(r"\bsame (?:item|thing|product|specs?|exact|model)|new pair|identical", text)
    if ids or (again and not want):
        return [v for v in stock if v["item_id"] == (ids or [item["item_id"]])[-1]]
    for key in old:
        if has(rf"same (?:\w+ )?(?:and )?{heads[key]}", text):
            want.setdefault(key, {old[key]})
    fit = [v for v in stock if all(v["options"][k] in allowed for k, allowed in want.items())]
    fit = _scaled(fit, text, values, old, want)
    price = 1 if has(CHEAP, text) else -1 if has(DEAR, text) else 0
    if not (want or liked or price):
        return None

    def grade(v: Json) -> tuple[float, ...]:
        pleases = sum(2.0**-n for n, (k, x) in enumerate(liked) if v["options"][k] == x)
        return (
            price * v["price"],
            -pleases,
            -sum(v["options"][k] == x for k, x in old.items() if k not in want),
        )

    fit = [v for v in fit if v["item_id"] != item["item_id"]]
    best = min(map(grade, fit), default=())
    return [v for v in fit if grade(v) == best]


def _scaled(fit: list[Json], text: str, values: Json, old: Json, want: Json) -> list[Json]:
    """Narrow to the next step up or down, or the far end, of the option that "bigger" or "fewest" speaks of."""
    scales = [k for k in values if k not in want and all(_rank(v) is not None for v in values[k])]
    usual = "size|capacity|length|height|range|piece"
    scales.sort(key=lambda k: (not any(w[:5] in text for w in plain(k).split()), not has(usual, k)))
    for pattern, sign, far in ((UP, 1, 1), (DOWN, -1, 1), (TOP, 1, -1), (LOW, -1, -1)):
        if not scales or not has(pattern, text):
            continue
        key, origin = scales[0], _rank(old[scales[0]]) or 0.0
        by = re.search(r"(\d+) (?:\w+ )?(?:more|less|fewer)|(?:more|less|fewer) (\d+)", text)
        steps = {v["item_id"]: ((_rank(v["options"][key]) or 0.0) - origin) * sign for v in fit}
        ahead = [s for s in steps.values() if s > 0 and (not by or s == float(by[1] or by[2]))]
        best = min((s * far for s in ahead), default=0.0) * far
        fit = [v for v in fit if ahead and steps[v["item_id"]] == best]
        want[key] = {v["options"][key] for v in fit}
        break
    return fit


def _rank(value: str) -> float | None:
    low = plain(value)
    number = re.match(r"[\d.]+", low)
    scale = next((s.split() for s in SCALES if low in s.split()), None)
    return float(scale.index(low)) if scale else float(number[0]) if number else None
