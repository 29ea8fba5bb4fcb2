"""The rehearsal agent: rule-based customer service that knows what the request tells it and nothing else.

Each call rereads the conversation (`hearing`) and plans anew (`shop`); a "yes" agrees to the plan proposed before it.
"""

from __future__ import annotations

import json
import re

from workbench.llm.rehearsal.hearing import ASK, HOLD, WORDS, Call, Json, Talk, clauses, has, say
from workbench.llm.rehearsal.shop import Plan, Shop


def _identify(talk: Talk, offered: set[str], seed: int) -> Call | str:
    """The next look-up by which the customer may be found, or what to ask for when none is left."""
    said, cues = " ".join(text for _, text, _ in talk.turns), WORDS["identity"]
    ids = re.findall(cues["user_id"], said.lower())
    tries: list[Call] = [("get_user_details", {"user_id": i}) for i in ids]
    tried, ask = any(c[1].startswith(("find_user", "get_user")) for c in talk.calls), "your user ID"
    if "find_user_id_by_email" in offered:
        names = [p for cue in cues["names"] for p in re.findall(cue.replace("{w}", cues["word"]), said)]
        people = [(p, z) for z in re.findall(cues["zip"], said)[::-1] for p in dict.fromkeys(names)]
        tries += [("find_user_id_by_email", {"email": e}) for e in re.findall(cues["email"], said.lower())]
        for (first, last), code in people[:12]:
            person = {"first_name": first.title(), "last_name": last.title(), "zip": code}
            tries.append(("find_user_id_by_name_zip", person))
        ask = "your full name and zip code" + (", or your user ID" if talk.asked("zip code") > 1 else "")
        ask = ask if tried or talk.asked("email") else f"your email address, or {ask}"
    question = f"{say('lost' if tried else 'found', seed)} {say('may', seed, what=ask)}"
    return next((call for call in tries if call not in talk.done), question)


def _plan(talk: Talk) -> Plan:
    """What the shop decides; of flights, cancellations that the policy allows, other changes go to a human."""
    if "reservations" not in talk.user:
        return Shop(talk).plan
    plan, text, kinds = Plan(), talk.recent, {kind for kind, _ in clauses(talk.recent)} & {"cancel", "change"}
    booked = [r for r in talk.records["reservation_id"].values() if r["status"] != "cancelled" and kinds]
    named = [r for r in booked if r["reservation_id"].lower() in text]
    named = named or (booked if len(booked) < 2 or has("all", text) else [])
    if booked and not named:
        trips = [f"{r['reservation_id']}: {r['origin']} to {r['destination']}" for r in booked]
        plan.questions.append(say("reservation", lines="\n- ".join(trips)))
    for r in named:
        key, covered = r["reservation_id"], r["insurance"] == "yes" and has("excuse", text)
        if "cancel" not in kinds:
            plan.fetch.append(("transfer_to_human_agents", {"summary": f"A change of {key} is wanted."}))
        elif covered or r["cabin"] == "business" or r["created_at"][:10] in talk.policy:
            plan.propose(("cancel_reservation", {"reservation_id": key}), key=key)
        else:
            plan.notes.append(say("kept", key=key))
    return plan


def _next(talk: Talk, offered: set[str], seed: int) -> Call | str:
    """The next look-up, or what to say."""
    at, text, _ = talk.turns[-1] if talk.turns else (-1, "", "")
    if any(c[1].startswith("transfer") for c in talk.calls):
        return HOLD
    wanted: list[Call] = [("get_user_details", {"user_id": talk.user_id})] if talk.user_id else []
    for kind in ("order", "reservation"):
        wanted += [(f"get_{kind}_details", {f"{kind}_id": key}) for key in talk.user.get(f"{kind}s", ())]
    unread = [call for call in wanted if call[0] in offered and call not in talk.done]
    lost = len(talk.turns) > 25 or sum(c[0] > at for c in talk.calls) > 16
    lost = lost or bool(talk.user_id and not unread and len(talk.user) < 2)
    if lost or (has("human", text.lower()) and not has("no", text.lower())):
        return "transfer_to_human_agents", {"summary": f"The customer needs a human agent: {text[:200]}"}
    if not talk.user_id:
        return _identify(talk, offered, seed)
    plan = Plan(unread) if unread else _plan(talk)
    return next((call for call in plan.fetch if call not in talk.done), _speak(talk, plan, at, seed))


def _speak(talk: Talk, plan: Plan, at: int, seed: int) -> str:
    """What was done, what has to be said, then one question, the proposal, or an offer of more help."""
    told, writes = " ".join(said for _, said in talk.says), talk.written(at)
    parts = [say("failed", seed, why=c[3]) for c in writes if c[3].startswith("Error")]
    parts += [say("done", seed)] if len(parts) < len(writes) else []
    parts += [note for note in dict.fromkeys(plan.notes) if note not in told]
    parts += plan.notes[-1:] if not (parts or plan.questions or plan.lines) else []
    if plan.questions:
        parts.append(plan.questions[0])
    elif plan.lines:
        lines = "; ".join(f"({n}) {line}" for n, line in enumerate(plan.lines, 1))
        total = f"{'get back' if plan.back > 0 else 'pay'} ${abs(plan.back):.2f}"
        parts.append(say("propose", seed, lines=lines, total=total))
    else:
        parts.append(say("else" if parts or talk.written(0) else "open", seed))
    return " ".join(parts)


def _agreed(messages: list[Json], talk: Talk) -> Call | None:
    """The next action of a proposal that the customer's last turn agreed to, if it did and one is left."""
    at, text, asked = talk.turns[-1] if talk.turns else (-1, "", "")
    done = [c[1:3] for c in talk.written(at)]
    if ASK not in asked or (not done and (not has("yes", text.lower()) or has("no", text.lower()))):
        return None
    proposed = _plan(Talk(messages[: max(i for i, _ in talk.says if i < at)])).actions
    stale = not done and _plan(talk).actions != proposed
    return None if stale else next((action for action in proposed if action not in done), None)


def reply(messages: list[Json], tools: list[Json], seed: int = 0) -> Json:
    """Answer as the agent: a message with ``content``, or with one entry in ``tool_calls``.

    Parameters
    ----------
    messages, tools, seed
        The OpenAI messages so far, the ``tools`` field of the request, and what chooses among wordings.
    """
    offered = {tool["function"]["name"] for tool in tools}
    talk = Talk(messages)
    step = _agreed(messages, talk) or _next(talk, offered, seed)
    if isinstance(step, str) or step[0] not in offered:
        return {"role": "assistant", "content": step if isinstance(step, str) else say("unable", seed)}
    function = {"name": step[0], "arguments": json.dumps(step[1])}
    calls = [{"id": f"call_{len(messages)}", "type": "function", "function": function}]
    return {"role": "assistant", "content": None, "tool_calls": calls}
