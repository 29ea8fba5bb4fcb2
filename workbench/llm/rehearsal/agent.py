"""The rehearsal agent: rule-based customer service that knows what the request tells it and nothing else.

Nothing is kept between calls. From the messages alone it rereads what the customer said (`hearing`), and turns it
into look-ups, questions or a proposal (`shop`, `airline`). A "yes" agrees to the plan of the messages up to the
proposal, which is simply made again.
"""

from __future__ import annotations

import json
import re

from workbench.llm.rehearsal.airline import airline
from workbench.llm.rehearsal.hearing import ASK, NO, Call, Json, Talk, failed, has
from workbench.llm.rehearsal.shop import Plan, Shop

HOLD = "YOU ARE BEING TRANSFERRED TO A HUMAN AGENT. PLEASE HOLD ON."
YES = r"\b(?:yes|yeah?|yep|yup|sure|ok(?:ay)?|confirm(?:ed)?|go (?:ahead|for it)|proceed|do it|correct|please do|fine|right|agree|works)\b"
HUMAN = r"\b(?:human|representative|supervisor|manager|real person|live agent|transfer me)\b"


def _plan(talk: Talk) -> Plan:
    return airline(talk) if "reservations" in talk.user else Shop(talk).plan


def _identify(talk: Talk, offered: set[str], seed: int) -> Call | str:
    """The next look-up by which the customer may be found, or what to ask for when none is left."""
    said = " ".join(text for _, text, _ in talk.turns)
    ids = re.findall(r"\b[a-z]+_[a-z]+_\d+\b", said.lower())
    tries: list[Call] = [("get_user_details", {"user_id": i}) for i in ids]
    tried = any(c[1].startswith(("find_user", "get_user")) for c in talk.calls)
    ask = "your user ID"
    if "find_user_id_by_email" in offered:
        emails = re.findall(r"[\w.+-]+@[\w-]+(?:\.\w+)+", said)
        word = r"([A-Za-z][A-Za-z'-]+)"
        pairs = re.findall(
            rf"(?:name is|name's|name:|[Ii] am|[Ii]'?m|[Tt]his is|[Ii]t'?s) {word} {word}", said
        )
        pairs += re.findall(
            rf"\b{word},? {word}\W+(?:(?:and|in|from|my|zip|code|zipcode|is|living)\W+)*\d{{5}}", said
        )
        pairs += re.findall(r"\b([A-Z][a-z'-]+) ([A-Z][a-z'-]+)\b", said) + [
            tuple(i.split("_")[:2]) for i in ids
        ]
        pairs = [
            p for p in pairs if not {"and", "is", "in", "about", "the", "my", "not"} & {w.lower() for w in p}
        ]
        zips = re.findall(r"(?<![#\w])\d{5}(?!\w)", said)[::-1]
        people = [{"first_name": a.title(), "last_name": b.title(), "zip": z} for z in zips for a, b in pairs]
        tries = [("find_user_id_by_email", {"email": e.lower()}) for e in emails]
        tries += [("find_user_id_by_name_zip", person) for person in people[:12]]
        ask = "your full name and zip code"
        ask += ", or your user ID" if talk.asked(ask, -1) > 1 else ""
        ask = ask if tried or talk.asked("email", -1) else f"your email address, or {ask}"
    lead = [
        "I'd be glad to look into that.",
        "I can help you with that.",
        "Sure, let me look into this with you.",
    ][seed % 3]
    lead = "I'm sorry, I can't find an account with that." if tried else lead
    may = ["To find your account, may I have", "Could you give me", "To start, could you tell me"][seed % 3]
    return next((t for t in tries if not talk.called(t)), f"{lead} {may} {ask}?")


def _next(talk: Talk, offered: set[str], seed: int) -> Call | str:
    at, text, _ = talk.turns[-1] if talk.turns else (-1, "", "")
    low = text.lower()
    if any(c[1].startswith("transfer") for c in talk.calls):
        return HOLD
    lost = len(talk.turns) > 25 or sum(c[0] > at for c in talk.calls) > 16
    if lost or (has(HUMAN, low) and not NO.match(low)):
        return "transfer_to_human_agents", {"summary": f"The customer needs a human agent: {text[:200]}"}
    if not talk.user_id:
        return _identify(talk, offered, seed)
    wanted: list[Call] = [("get_user_details", {"user_id": talk.user_id})]
    for kind in ("order", "reservation"):
        wanted += [(f"get_{kind}_details", {f"{kind}_id": key}) for key in talk.user.get(kind + "s", ())]
    if open_ := [call for call in wanted if call[0] in offered and not talk.called(call)]:
        return open_[0]
    if not talk.user:
        return "transfer_to_human_agents", {"summary": "The customer's record cannot be read."}
    plan = _plan(talk)
    return next((call for call in plan.fetch if not talk.called(call)), _speak(talk, plan, at, low, seed))


def _speak(talk: Talk, plan: Plan, at: int, low: str, seed: int) -> str:
    told = " ".join(said for _, said in talk.says)
    writes = talk.written(at)
    parts = [
        f"Unfortunately that did not go through ({c[3].removeprefix('Error: ')})."
        for c in writes
        if failed(c[3])
    ]
    if len(parts) < len(writes):
        done = [
            "All done, this has been processed.",
            "That has been completed.",
            "Done, this is now processed.",
        ]
        parts.append(done[seed % 3])
    notes = list(dict.fromkeys(plan.notes))
    repeat = notes[-1:] if not (parts or plan.questions or plan.lines) else []
    parts += [note for note in notes if note not in told] or repeat
    if plan.questions:
        parts.append(plan.questions[0])
    elif plan.lines:
        body, total = plan.lines[0], ""
        if len(plan.lines) > 1:
            body = "; ".join(f"({n}) {line}" for n, line in enumerate(plan.lines, 1))
            total = (
                f" In total you {'get back' if plan.back > 0 else 'pay'} ${abs(plan.back):.2f}."
                if plan.back
                else ""
            )
        lead = ["Here is what I would do", "These are the details", "To sum up"][seed % 3]
        parts.append(f"{lead}: {body}.{total} Shall I go ahead {ASK}?")
    elif parts or talk.written(0) or has(r"that'?s (?:all|it)|nothing", low):
        parts.append(
            ["Is there anything else I can help you with?", "Can I help you with anything else?"][seed % 2]
        )
    else:
        what = (
            "cancel or change a reservation"
            if "reservations" in talk.user
            else "return, exchange or cancel something"
        )
        parts.append(
            f"Could you tell me what you would like to do, for instance {what}, and which one it is about?"
        )
    return " ".join(parts)


def _agreed(messages: list[Json], talk: Talk) -> Call | None:
    """The next action of a proposal that the customer's last turn agreed to, if it did and one is left."""
    at, text, _ = talk.turns[-1]
    low = text.lower()
    proposed = _plan(Talk(messages[: max(i for i, _ in talk.says if i < at)])).actions
    done = [c[1:3] for c in talk.written(at)]
    if not done and (not has(YES, low) or NO.match(low) or _plan(talk).actions != proposed):
        return None
    return next((action for action in proposed if action not in done), None)


def reply(messages: list[Json], tools: list[Json], seed: int = 0) -> Json:
    """Answer as the agent: one message to the customer, or one tool call.

    Parameters
    ----------
    messages
        The OpenAI messages: the policy, the conversation, and the results of earlier calls.
    tools
        The ``tools`` field of the request.
    seed
        Chooses among wordings, nothing else.

    Returns
    -------
    dict
        An OpenAI assistant message, with ``content`` or with one entry in ``tool_calls``.
    """
    offered = {tool["function"]["name"] for tool in tools}
    talk = Talk(messages)
    agreed = _agreed(messages, talk) if talk.turns and ASK in talk.turns[-1][2] else None
    step = agreed or _next(talk, offered, seed)
    if not isinstance(step, str) and step[0] not in offered:
        step = "I'm sorry, I can't look into that here. Is there anything else I can help you with?"
    if isinstance(step, str):
        return {"role": "assistant", "content": step}
    function = {"name": step[0], "arguments": json.dumps(step[1])}
    call = {"id": f"call_{len(messages)}", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}
