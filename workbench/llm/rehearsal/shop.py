"""What the rehearsal agent decides in a shop: which items, which variants, which payment, what to ask or propose."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from workbench.llm.rehearsal.hearing import Call, Json, Listener, Talk, Wish, has, mentions, plain, says
from workbench.llm.rehearsal.variants import CHEAP, DEAR, fitting

PLACES = {"nyc": "new york", "big apple": "new york", "la": "los angeles", "dc": "washington"}
MANY = r"\b(?:all|every\w*|both|each|entire|whole)\b|\b[2-5] (?=\w+s\b)(?!days|hours)"
PAY = r"gift ?card|\bgc\b|paypal|(?:credit|debit) card|visa|master ?card|amex|original|same card|other card|\b[a-z_]+_\d{4,}\b"
LISTING = r"how many|options|available|in stock|do you have|cheapest|online|are there"
PENDING, ARRIVED = (
    r"\bpending\b|just (?:ordered|placed)|not (?:yet )?(?:received|shipped)",
    r"\breceived|delivered|arrived",
)


@dataclass
class Plan:
    """What to do next: look-ups first, then questions, else the proposed actions; notes are said either way."""

    fetch: list[Call] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    actions: list[Call] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    back: float = 0.0

    def propose(self, name: str, arguments: Json, line: str, back: float = 0.0) -> None:
        """Add an action with the line that describes it and the money it gives back."""
        if (name, arguments) not in self.actions:
            self.actions.append((name, arguments))
            self.lines.append(line)
            self.back += back


def _price(records: Any) -> float:
    return round(sum(record["price"] for record in records), 2)


def _looks(record: Json) -> str:
    return f"{', '.join(record['options'].values())}, ${record['price']:.2f}"


def _label(item: Json) -> str:
    return f"{item['name']} ({_looks(item)})"


def way(talk: Talk, method: str) -> str:
    """A payment method in words."""
    record = talk.user["payment_methods"].get(method, {})
    name = f"your {record.get('source', method)}".replace("_", " ")
    return f"{name} ending in {record['last_four']}" if "last_four" in record else name


class Shop:
    """One plan in the making: all that a customer still wants, as far as it is clear."""

    def __init__(self, talk: Talk) -> None:
        self.talk, self.plan = talk, Plan()
        heard = Listener(talk)
        self.swaps: dict[str, list[tuple[Json, Json]]] = {}
        self.gone: dict[str, list[Json]] = {}
        for wish in sorted(heard.wishes, key=lambda w: w.kind != "address"):
            if wish.kind == "address":
                self._move(wish)
            else:
                for order, item in self._items(wish):
                    self._sort(wish, order, item)
        for order_id, items in self.gone.items():
            self._return(order_id, items)
        for order_id, rows in self.swaps.items():
            self._exchange(order_id, rows)
        self.plan.notes += [note for clause in heard.questions if (note := self._answer(clause))]

    def ask(self, question: str) -> None:
        """Add a question, once."""
        self.plan.questions += [question] if question not in self.plan.questions else []

    def _items(self, wish: Wish) -> list[tuple[Json, Json]]:
        """The order items a wish is about; asks or explains where that is not plain."""
        talk, text = self.talk, " ".join([wish.pre, *wish.goal])
        known = [talk.orders[o] for o in wish.orders if o in talk.orders]
        if wish.orders and not known:
            self.ask(
                f"Unfortunately I can't find order {wish.orders[-1]}. Could you double check the number?"
            )
            return []
        if not (wish.names or wish.orders or has(MANY, text) or has(r"\borders?\b", text)):
            self.ask(
                f"Which items, or which order, would you like to {wish.kind.replace('undo', 'cancel or return')}?"
            )
            return []
        fits = {"return": ["delivered"], "cancel": ["pending"]}.get(wish.kind, ["pending", "delivered"])
        pairs = [(o, i) for o in known or talk.orders.values() for i in o["items"]]
        pairs = [
            p
            for p in pairs
            if p[1]["name"] not in wish.spare and p[1]["name"] in (wish.names or [p[1]["name"]])
        ]
        found = [p for p in pairs if p[0]["status"] in fits]
        if not found:
            states = ", ".join(dict.fromkeys(f"{o['order_id']} is {o['status']}" for o, _ in pairs))
            states = states or "I see no such item in your orders"
            self.plan.notes.append(f"Unfortunately it is not possible to {wish.kind} that: {states}.")
        for pattern, status in ((PENDING, "pending"), (ARRIVED, "delivered")):
            if has(pattern, wish.pre):
                found = [p for p in found if p[0]["status"] == status] or found
        if not wish.names:
            orders = list({o["order_id"]: o for o, _ in found}.values())
            if len(orders) < 2 or known or has(MANY, text) or "orders" in text:
                return found
            lines = [
                f"{o['order_id']}: {', '.join(i['name'] for i in o['items'])} ({o['status']})" for o in orders
            ]
            self._choices(lines, "Which order do you mean?")
            return []
        scores = [sum(says(wish.pre, *option) for option in i["options"].items()) for _, i in found]
        scores = [n + 9 * (i["item_id"] in wish.pre) for n, (_, i) in zip(scores, found, strict=True)]
        found = [p for p, score in zip(found, scores, strict=True) if score == max(scores)]
        for pattern, pick in ((DEAR, max), (CHEAP, min)):
            if wish.kind == "return" and found and has(pattern, wish.pre):
                found = [pick(found, key=lambda p: p[1]["price"])]
        plural = any(has(rf"{plain(n).split()[-1]}s\b", wish.pre) for n in wish.names)
        if len({(o["order_id"], i["item_id"]) for o, i in found}) < 2 or plural or has(MANY, wish.pre):
            return found if plural or has(MANY, wish.pre) else found[:1]
        which = f"Which one of the {found[0][1]['name']} items do you mean?"
        if talk.asked(which, wish.at) > 1:
            return found[:1]
        self._choices(
            [f"{i['item_id']}: {_label(i)} in {o['status']} order {o['order_id']}" for o, i in found], which
        )
        return []

    def _choices(self, lines: list[str], question: str, lead: str = "I see these") -> None:
        listed = "\n".join(f"- {line}" for line in lines[:6])
        self.ask(f"{lead}:\n{listed}\n{question}")

    def _sort(self, wish: Wish, order: Json, item: Json) -> None:
        if wish.kind == "change":
            product = self.talk.products.get(item["product_id"])
            if product is None:
                self.plan.fetch.append(("get_product_details", {"product_id": item["product_id"]}))
            elif new := self._choose(wish, item, product):
                self.swaps.setdefault(order["order_id"], []).append((item, new))
        elif order["status"] == "pending":
            self._cancel(wish, order)
        else:
            self.gone.setdefault(order["order_id"], []).append(item)

    def _choose(self, wish: Wish, item: Json, product: Json) -> Json | None:
        """The variant to exchange an item for; None while it has to be asked for."""
        stock = [v for v in product["variants"].values() if v["available"]]
        owned = [i for o in self.talk.orders.values() for i in o["items"] if i["name"] == item["name"]]
        best = fitting(wish.goal, item, product, owned)
        several, name = f"Several options fit for the {item['name']}", item["name"]
        if best and (len(best) == 1 or self.talk.asked(several, wish.at)):
            return min(best, key=lambda v: float(v["price"]))
        same = {v["item_id"]: sum(v["options"][k] == x for k, x in item["options"].items()) for v in stock}
        lead = several if best else f"For the {name} we have"
        if best == []:
            lead = f"Unfortunately that is not available for the {name}, but we have"
        if self.talk.asked(lead, wish.at) < 2:
            near = best or sorted(stock, key=lambda v: -same[v["item_id"]])
            self._choices(
                [f"{v['item_id']}: {_looks(v)}" for v in near], "Which option would you like instead?", lead
            )
        return None

    def _method(self, order: Json, kind: str, due: float) -> str:
        """The payment method for an order: what the customer named, else asked for once, else the original."""
        talk = self.talk
        methods: dict[str, Json] = talk.user["payment_methods"]
        original = order["payment_history"][0]["payment_method_id"]
        valid = [
            m for m, d in methods.items() if kind == "change" or m == original or d["source"] == "gift_card"
        ]
        enough = [m for m in valid if methods[m].get("balance", due) >= due]
        for at, text, _ in reversed(talk.turns):
            for m in (
                re.finditer(PAY, re.sub(r"\bif\b[^.;,]*", "", text.lower())) if at > talk.settled else ()
            ):
                word = m[0].replace(" ", "")
                source = {"giftcard": "gift_card", "gc": "gift_card", "paypal": "paypal"}.get(
                    word, "credit_card"
                )
                hit = [
                    k
                    for k, d in methods.items()
                    if k == word or (d["source"] == source and not word[-1].isdigit())
                ]
                if source == "credit_card" and word[-4:] != "card":
                    hit = [k for k in hit if k == word or word[:4] == methods[k]["brand"][:4]]
                hit = [k for k in hit if (k == original) != ("other" in word)] or hit
                hit = [original] if word in ("original", "samecard") else hit
                if good := [k for k in hit if k in enough]:
                    return good[0]
                if hit and hit[0] in methods:
                    why = (
                        "does not have enough balance"
                        if hit[0] in valid
                        else "is not possible for this refund"
                    )
                    self.plan.notes.append(f"Unfortunately {way(talk, hit[0])} {why}.")
        if len(enough) > 1 and not talk.asked("payment method would", talk.settled):
            self.ask(
                f"You have {', '.join(way(talk, k) for k in enough)}. Which payment method would you like to use?"
            )
        return original if original in enough else (enough or [original])[0]

    def _return(self, order_id: str, items: list[Json]) -> None:
        method, total = self._method(self.talk.orders[order_id], "return", 0.0), _price(items)
        ids = [item["item_id"] for item in items]
        arguments = {"order_id": order_id, "item_ids": ids, "payment_method_id": method}
        line = f"return {', '.join(map(_label, items))} from order {order_id}"
        line += f", with ${total:.2f} refunded to {way(self.talk, method)}"
        self.plan.propose("return_delivered_order_items", arguments, line, total)

    def _exchange(self, order_id: str, rows: list[tuple[Json, Json]]) -> None:
        order, due = (
            self.talk.orders[order_id],
            round(_price(new for _, new in rows) - _price(old for old, _ in rows), 2),
        )
        method = self._method(order, "change", due)
        name = (
            "exchange_delivered_order_items"
            if order["status"] == "delivered"
            else "modify_pending_order_items"
        )
        arguments = {"order_id": order_id, "item_ids": [old["item_id"] for old, _ in rows]}
        arguments |= {"new_item_ids": [new["item_id"] for _, new in rows], "payment_method_id": method}
        what = "; ".join(f"{_label(old)} for one with {_looks(new)}" for old, new in rows)
        paid = f"${abs(due):.2f} {'charged' if due > 0 else 'refunded'} to {way(self.talk, method)}"
        self.plan.propose(name, arguments, f"in order {order_id}, exchange {what}; {paid}", -due)
        if not self.plan.questions and not self.talk.asked("full list", self.talk.settled):
            self.ask(
                "I have noted that. Is this the full list of changes, with all the details you care about?"
            )

    def _cancel(self, wish: Wish, order: Json) -> None:
        listed, key = ", ".join(i["name"] for i in order["items"]), order["order_id"]
        if wish.names and {i["name"] for i in order["items"]} - set(wish.names):
            only = f"only the whole order {key} ({listed})"
            self.plan.notes.append(f"Unfortunately it is not possible to cancel a single item, {only}.")
        given = has(r"mistake|accident|no longer|n'?t need|need it", self.talk.recent)
        if not given and not self.talk.asked("reason", wish.at):
            self.ask("May I ask the reason, is it no longer needed or was it ordered by mistake?")
        reason = "ordered by mistake" if has(r"mistake|accident", self.talk.recent) else "no longer needed"
        total = round(sum(p["amount"] for p in order["payment_history"]), 2)
        method = way(self.talk, order["payment_history"][0]["payment_method_id"])
        line = f"cancel order {key} ({listed}; {reason}), with ${total:.2f} refunded to {method}"
        self.plan.propose("cancel_pending_order", {"order_id": key, "reason": reason}, line, total)

    def _move(self, wish: Wish) -> None:
        talk, text = self.talk, " ".join([wish.pre, *wish.goal])
        held = [o for o in talk.orders.values() if "pending" in o["status"]]
        orders = [o for o in held if o["order_id"] in wish.orders[:1]]
        orders = orders or [o for o in held if any(i["name"] in wish.names for i in o["items"])]
        orders = orders or (held if has(r"\borders?\b|shipping|\bit\b", text) else [])
        user = talk.user["address"]
        current = [o["address"] for o in orders[:1]] or [user]
        target = self._address(text, current) or self._address(talk.recent, current)
        if target is None:
            self.ask("What is the full new address with street, city, state and zip code?")
            return
        fields = {k: target.get(k) or "" for k in ("address1", "address2", "city", "state", "country", "zip")}
        spot = ", ".join(value for value in fields.values() if value)
        for key in [o["order_id"] for o in orders if o["address"] != target]:
            self.plan.propose(
                "modify_pending_order_address", {"order_id": key, **fields}, f"ship order {key} to {spot}"
            )
        profile = has(r"(?:user|default|profile|account) address", text) and not has(
            r"to (?:\w+ ){0,2}default", text
        )
        if (profile or not orders) and user != target:
            arguments = {"user_id": talk.user_id, **fields}
            self.plan.propose("modify_user_address", arguments, f"set your default address to {spot}")

    def _address(self, text: str, current: list[Json]) -> Json | None:
        """The address a customer means: written out, another order's, a known place, or the profile's."""
        for word, place in PLACES.items():
            text = re.sub(rf"\b{word}\b", place, text)
        user, orders = self.talk.user["address"], self.talk.orders
        known: list[Json] = [user, *(o["address"] for o in orders.values())]
        street, unit, city = r"(\d+ [\w .]+?), ", r"(?:((?:suite|apt|unit)[\w .]*), )?", r"([a-z .]+?)"
        typed = re.search(street + unit + city + r"(?:, ([a-z ]+?))?,? (\d{5})\b", text)
        if typed and not any(a["zip"] == typed[5] and a["address1"].lower() == typed[1] for a in known):
            state = typed[4] or next((a["state"] for a in known if a["city"].lower() == typed[3]), "")
            lines = {
                "address1": typed[1].title(),
                "address2": (typed[2] or "").title(),
                "city": typed[3].title(),
            }
            return {**lines, "state": state.upper(), "country": "USA", "zip": typed[5]}
        named = [orders[o.upper()]["address"] for o in re.findall(r"#w\d{7}", text) if o.upper() in orders]
        places = [a for a in known if has(rf"\b(?:{a['city'].lower()}|{a['zip']})\b", text)]
        home = [user] if has(r"default|profile|my (?:home|user|account) address", text) else []
        other = known if has(r"other order|new (?:home|house)|look it up|in my orders", text) else []
        return next((a for a in [*named, *places, *home, *other] if a not in current), None)

    def _answer(self, clause: str) -> str:
        """Answer a question from the records; the empty string when there is nothing to say."""
        talk, fetch = self.talk, self.plan.fetch
        hits = mentions(clause, tuple(sorted(talk.types)))
        if has(LISTING, clause) and (hits or not talk.types):
            if not talk.types:
                fetch.append(("list_all_product_types", {}))
                return ""
            key = talk.types[hits[0][2][0]]
            if key not in talk.products:
                fetch.append(("get_product_details", {"product_id": key}))
                return ""
            stock = [v for v in talk.products[key]["variants"].values() if v["available"]]
            first = "; ".join(_looks(v) for v in sorted(stock, key=lambda v: float(v["price"]))[:3])
            return f"There are {len(stock)} {hits[0][2][0]} options available right now, the cheapest being {first}."
        if "balance" in clause:
            cards = [(k, d["balance"]) for k, d in talk.user["payment_methods"].items() if "balance" in d]
            return " ".join(f"The balance of {way(talk, k)} is ${balance:.2f}." for k, balance in cards)
        said = {n for *_, hit in mentions(clause, talk.names) for n in hit}
        orders = [o for o in talk.orders.values() if o["order_id"].lower() in clause or o["status"] in clause]
        orders = orders or [o for o in talk.orders.values() if said & {i["name"] for i in o["items"]}]
        if "tracking" in clause:
            sent = [(o["order_id"], f) for o in orders or talk.orders.values() for f in o["fulfillments"]]
            return (
                "Tracking numbers: "
                + "; ".join(f"{', '.join(f['tracking_id'])} for {o}" for o, f in sent)
                + "."
            )
        return " ".join(map(_summary, orders[:3]))


def _summary(order: Json) -> str:
    place = ", ".join(filter(None, order["address"].values()))
    items = "; ".join(map(_label, order["items"]))
    return f"Order {order['order_id']} is {order['status']} and goes to {place}: {items}, ${_price(order['items']):.2f} in all."
