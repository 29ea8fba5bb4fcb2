"""What the rehearsal agent decides about flights: what the policy allows, and what it has to refuse."""

from __future__ import annotations

import re

from workbench.llm.rehearsal.hearing import Json, Talk, clauses, has
from workbench.llm.rehearsal.shop import Plan, way

CABINS = ["basic_economy", "economy", "business"]


def airline(talk: Talk) -> Plan:
    """Cancellations, cabins and bags by the rules of the policy; other changes go to a human agent."""
    plan, text = Plan(), talk.recent
    booked = [r for r in talk.records["reservation_id"].values() if r["status"] != "cancelled"]
    named = [r for r in booked if r["reservation_id"].lower() in text]
    named = named or (booked if len(booked) < 2 or has(r"\ball\b", text) else [])
    kinds = {kind for sentence in re.split(r"(?<=[.!?;])\s+|\n+", text) for kind, _ in clauses(sentence)}
    bags = re.search(
        r"\badd\w* (?:\w+ ){0,2}?(\d+|an?|one|another) (?:\w+ ){0,2}(?:bag|suitcase|luggage)", text
    )
    cabin = re.search(r"(?:to|in|into) (?:a |an )?(business|basic economy|economy)", text)
    if not kinds & {"cancel", "change", "undo"}:
        if has(r"compensat|voucher|certificate", text):
            plan.notes.append("Unfortunately I cannot offer compensation in this case.")
    elif not named:
        lines = [
            f"- {r['reservation_id']}: {r['origin']} to {r['destination']}, {r['flights'][0]['date']}"
            for r in booked
        ]
        plan.questions.append("\n".join(["I see these:", *lines, "Which reservation do you mean?"]))
    for r in named if kinds & {"cancel", "change", "undo"} else []:
        key, owned = r["reservation_id"], talk.user["payment_methods"]
        cards = [m for m, d in owned.items() if d["source"] != "certificate"]
        paid = next(
            (p["payment_id"] for p in r["payment_history"] if p["payment_id"] in cards), (cards or [""])[0]
        )
        paid = next((m for m in cards if m in text or owned[m].get("last_four", m) in text), paid)
        if "cancel" in kinds:
            _refund(talk, r, plan)
        elif bags:
            level = ["regular", "silver", "gold"].index(talk.user["membership"])
            total = r["total_baggages"] + (int(bags[1]) if bags[1].isdigit() else 1)
            extra = max(
                r["nonfree_baggages"], total - len(r["passengers"]) * (level + CABINS.index(r["cabin"]))
            )
            arguments = {
                "reservation_id": key,
                "total_baggages": total,
                "nonfree_baggages": extra,
                "payment_id": paid,
            }
            line = f"bring reservation {key} to {total} bags, {extra} of them paid, with {way(talk, paid)}"
            plan.propose("update_reservation_baggages", arguments, line)
        elif cabin and cabin[1].replace(" ", "_") != r["cabin"]:
            flights = [{"flight_number": f["flight_number"], "date": f["date"]} for f in r["flights"]]
            arguments = {
                "reservation_id": key,
                "cabin": cabin[1].replace(" ", "_"),
                "flights": flights,
                "payment_id": paid,
            }
            line = (
                f"move reservation {key} to {cabin[1]}, the price difference going through {way(talk, paid)}"
            )
            plan.propose("update_reservation_flights", arguments, line)
        elif r["cabin"] == CABINS[0]:
            plan.notes.append(
                f"Unfortunately the flights of {key} cannot be changed, as it is basic economy."
            )
        else:
            plan.fetch.append(
                ("transfer_to_human_agents", {"summary": f"Wants to change reservation {key}."})
            )
    return plan


def _refund(talk: Talk, reservation: Json, plan: Plan) -> None:
    key, today = reservation["reservation_id"], re.search(r"time is (\d{4}-\d\d-\d\d)", talk.policy)
    covered = has(r"health|sick|\bill\b|weather|medical|injur|emergency", talk.recent)
    if not covered and not has(
        r"because|change of plan|no longer|reason", talk.recent + " ".join(s for _, s in talk.says)
    ):
        plan.questions.append("May I ask the reason for the cancellation?")
    fresh = bool(today) and reservation["created_at"][:10] >= (today or [""])[1]
    if fresh or reservation["cabin"] == "business" or (reservation["insurance"] == "yes" and covered):
        total = sum(p["amount"] for p in reservation["payment_history"])
        line = f"cancel reservation {key}, with ${total} refunded to the original payment methods"
        plan.propose("cancel_reservation", {"reservation_id": key}, line, total)
    else:
        why = (
            "it is no business fare, was not booked within the last day, and no insurance covers this reason"
        )
        plan.notes.append(f"Unfortunately reservation {key} cannot be cancelled: {why}.")
