"""What the rehearsal agent decides in a shop: which items, which variants, which payment, what to ask or propose."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from workbench.llm.rehearsal.hearing import WORDS, Call, Json, Talk, Wish, fitting, has, listen, say, says

TOOLS = WORDS["tools"]  # what is wanted of an order in which state, and the tool for it


@dataclass
class Plan:
    """What to do next: look-ups first, then questions, else the proposed actions; notes are said either way."""

    fetch: list[Call] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    actions: list[Call] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    back: float = 0.0

    def propose(self, action: Call, back: float = 0.0, **values: str) -> None:
        """Add an action with the line that describes it and the money it gives back."""
        self.actions.append(action)
        self.lines.append(say(action[0], **values))
        self.back += back


def _label(item: Json) -> str:
    options = ", ".join(item["options"].values())
    return f"{item.get('name', item['item_id'])} ({options}, ${item['price']:.2f})"


class Shop:
    """One plan in the making: all that a customer still wants, as far as it is clear."""

    def __init__(self, talk: Talk) -> None:
        self.talk, self.plan = talk, Plan()
        jobs: dict[tuple[str, str], list[tuple[Json, Json]]] = {}
        for wish in listen(talk):
            for order, item in self._find(wish):
                if new := self._variant(wish, item) if wish.kind == "change" else item:
                    job = TOOLS[f"{wish.kind} {order['status']}"], order["order_id"]
                    jobs[job] = [*jobs.get(job, ()), (item, new)]
        for (tool, order_id), rows in jobs.items():
            self._propose(tool, talk.orders[order_id], rows)

    def _find(self, wish: Wish) -> list[tuple[Json, Json]]:
        """The order items a wish is about; asks or explains where that is not plain."""
        talk, plan, text = self.talk, self.plan, " ".join([wish.which, *wish.goal])
        if wish.kind == "address":
            return self._move(wish, text)
        known = [talk.orders[o] for o in wish.orders if o in talk.orders]
        if (wish.orders and not known) or not (wish.orders or wish.names or has("whole", text)):
            plan.questions.append(say("no order" if wish.orders else "what", kind=wish.kind))
            return []
        named = set(wish.names or talk.names) - set(wish.spare)
        pairs = [(o, i) for o in known or talk.orders.values() for i in o["items"] if i["name"] in named]
        found = [p for p in pairs if f"{wish.kind} {p[0]['status']}" in TOOLS]
        if not found:
            states = ", ".join(dict.fromkeys(f"{o['order_id']} is {o['status']}" for o, _ in pairs))
            plan.notes.append(say("impossible", kind=wish.kind, states=states or "no such item"))
        if not wish.names or not found:
            return found
        options = [i["options"] | {"id": i["item_id"]} for _, i in found]
        scores = [sum(says(wish.which, *option) for option in o.items()) for o in options]
        found = [p for p, score in zip(found, scores, strict=True) if score == max(scores)]
        extreme = bool(has("cheap", wish.which)) - bool(has("dear", wish.which))
        if wish.kind == "return" and extreme:
            return [min(found, key=lambda p: extreme * p[1]["price"])]
        if has("many", wish.which) or any(n.split()[-1].lower() + "s" in wish.which for n in wish.names):
            return found
        which = f"Which one of the {found[0][1]['name']} items"
        if len({i["item_id"] for _, i in found}) < 2 or talk.asked(which, talk.settled) > 1:
            return found[:1]
        lines = [f"{i['item_id']}: {_label(i)} in {o['status']} order {o['order_id']}" for o, i in found]
        plan.questions.append(say("which", lines="\n- ".join(lines), which=which))
        return []

    def _variant(self, wish: Wish, item: Json) -> Json | None:
        """The variant to exchange an item for; None while it has to be looked up or asked for."""
        product = self.talk.records["product_id"].get(item["product_id"])
        if product is None:
            self.plan.fetch.append(("get_product_details", {"product_id": item["product_id"]}))
        elif best := fitting(wish.goal, item, product):
            return best[-1]
        elif self.talk.asked(lead := say("options" if best is None else "none", name=item["name"])) < 2:
            stock = [f"{v['item_id']}: {_label(v)}" for v in product["variants"].values() if v["available"]]
            self.plan.questions.append(say("choose", lines="\n- ".join(stock), lead=lead))
        return None

    def _method(self, order: Json, due: float, swap: bool) -> str:
        """The payment method for an order: what the customer named, else asked for once, else the original."""
        talk, original = self.talk, order["payment_history"][0]["payment_method_id"]
        owned = talk.user["payment_methods"]
        cues = {m: d["source"] for m, d in owned.items() if d.get("balance", due) >= due}
        allowed = [m for m, cue in cues.items() if swap or m == original or cue == "gift_card"]
        enough = sorted(allowed or [original], key=lambda m: m != original)
        for text in [text.lower() for at, text, _ in reversed(talk.turns) if at > talk.settled]:
            named = [m for m in enough if m in text or has(cues.get(m, "other"), text)]
            if named or "original" in text:
                return (named or enough)[0]
        if len(enough) > 1 and not talk.asked("payment method would", talk.settled):
            self.plan.questions.append(say("payment", ways=", ".join(enough)))
        return enough[0]

    def _propose(self, tool: str, order: Json, rows: list[tuple[Json, Json]]) -> None:
        """Propose what is wanted of one order's items, and what it costs or gives back."""
        talk, arguments = self.talk, {"order_id": order["order_id"]}
        method = order["payment_history"][0]["payment_method_id"]
        swap, items = tool.startswith(("modify", "exchange")), [old for old, _ in rows]
        items = order["items"] if tool.startswith("cancel") else items
        due = round(sum(n["price"] for _, n in rows if swap) - sum(i["price"] for i in items), 2)
        if tool.startswith("cancel"):
            arguments["reason"] = "ordered by mistake" if has("mistake", talk.recent) else "no longer needed"
            if not has("reason", talk.recent) and not talk.asked("reason", talk.settled):
                self.plan.questions.append(say("reason"))
        else:
            arguments["item_ids"] = [old["item_id"] for old in items]
            arguments |= {"new_item_ids": [new["item_id"] for _, new in rows]} if swap else {}
            method = arguments["payment_method_id"] = self._method(order, due, swap)
        what = "; ".join(_label(old) + (f" for {_label(new)}" if swap else "") for old, new in rows)
        money = f"${abs(due):.2f} {'charged' if due > 0 else 'refunded'} to {method}"
        self.plan.propose((tool, arguments), -due, what=what, order=order["order_id"], money=money)

    def _move(self, wish: Wish, text: str) -> list[tuple[Json, Json]]:
        """Propose another address for orders or for the profile."""
        talk, held = self.talk, [o for o in self.talk.orders.values() if "pending" in o["status"]]
        named = [o for o in held if o["order_id"] in wish.orders[:1]]
        named = named or [o for o in held if any(i["name"] in wish.names for i in o["items"])]
        orders = named or (held if has("whole", text) else [])
        current = [o["address"] for o in orders[:1]] or [talk.user["address"]]
        target = self._address(text, current) or self._address(talk.recent, current) or {}
        self.plan.questions += [] if target else [say("where")]
        spot = ", ".join(filter(None, target.values()))
        for key in [o["order_id"] for o in orders if target and o["address"] != target]:
            self.plan.propose((TOOLS["move"], {"order_id": key, **target}), order=key, spot=spot)
        if target and (has("profile", text) or not orders):
            self.plan.propose(("modify_user_address", {"user_id": talk.user_id, **target}), spot=spot)
        return []

    def _address(self, text: str, current: list[Json]) -> Json | None:
        """The address a customer means: a known place, another order's, the profile's, or one written out."""
        known: dict[str, Json] = {"": self.talk.user["address"]}
        known |= {key.lower(): order["address"] for key, order in self.talk.orders.items()}
        places = [a for a in known.values() if re.search(rf"\b(?:{a['city'].lower()}|{a['zip']})\b", text)]
        places += [a for key, a in known.items() if (key in text if key else has("home", text))]
        if not places and (typed := has("typed", text)):
            target = dict(zip(WORDS["address"], (part.title() for part in typed.groups("")), strict=True))
            return {**target, "state": target["state"].upper(), "country": "USA"}
        return next((a for a in places if a not in current), None)
