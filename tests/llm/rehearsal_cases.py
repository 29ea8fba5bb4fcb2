"""Made-up scenarios in the manner of the benchmark, and an agent that follows a script, for the rehearsal's tests."""

from __future__ import annotations

from typing import Any

from workbench.llm.rehearsal import user

GUIDELINES = "# User Simulation Guidelines\nYou are playing the role of a customer.\n"
_ERRANDS = [
    ("You want to return the blender and the wall clock from a recent order. You want the refund on your gift card.",
     "You are Nora Quist in zip code 40512.", "You do not remember your email address.", "You are calm."),
    ("You received your order #W7350021 and wish to exchange the rain coat for the same one in size M. If there is no "
     "such coat in blue, you'd take green.", "You are Tom Abara in zip code 11873.",
     "You do not remember your email address", "."),
    ("You want to cancel the pending order with the tent because you ordered it by mistake. If cancelling is not possible, "
     "return the tent instead.", "Your name is Ida Lund and your email is ida.lund55@example.com.", None, "You are busy."),
    ("You want to know how many kinds of lamp the store has right now. You also want to change the lamp in your pending "
     "order to the cheapest one.", "You are Raul Mendes, and you live in Tulsa, 74103.",
     "You do not remember your email address", "You are friendly."),
    ("You want to change the address of your pending order to 88 Birch Lane, Salem, 97301. If the agent asks for "
     "confirmation, only change the address of the order with the printer.", "You are ella_brandt_4471 in zip code 55021.",
     "You don't have an email.", "You are a private person."),
    ("You just got a phone case that is too small. You want to exchange it for a bigger one, and the charger to a white "
     "one (prefer long cable over short). If the agent asks why, say the case does not fit.",
     "You are Omar Haddad and your email is omar.haddad9@example.com", None, "You are organized."),
    ("You want to return everything in order #W1200458 except the kettle. Lastly, you want to know the total refund.",
     "Your name is Lin Wu and your zip code is 60611.", "You do not know your email.", "You are in a rush."),
    ("You are unhappy with the headphones you received and want to return them. You prefer the refund on your credit card. "
     "If that is not possible, you are angry, then ask for a human agent.", "You are Petra Novak in zip code 30303.",
     "You do not remember your email address", "You are direct."),
]  # fmt: skip
SCRIPT = [
    "Hi! How can I help you today?",
    "I'd be glad to help. Could you please provide your email address, or your full name and zip code?",
    "Thank you. Could you please give me the full name and zip code once more?",
    "Thank you, I found your account. Could you please provide the order ID?",
    "You have these orders:\n- #W1111111: Blender, Tent (delivered)\n- #W2222222: Lamp, Printer (pending)\nWhich order is it?",
    "Which payment method would you like to use?",
    "I will make the change that you asked for in order #W2222222. Do you confirm (yes/no)?",
    "That has been processed. Is there anything else I can help you with?",
    "All done. Is there anything else I can help you with today?",
    "Done. Is there anything else?",
    "You're welcome. Have a good day!",
]


def scenario(number: int) -> str:
    """The scenario's text, indented as the benchmark does."""
    reason, known, unknown, manner = _ERRANDS[number]
    parts = [
        ("Reason for call", reason),
        ("Known info", known),
        ("Unknown info", unknown),
        ("Task instructions", manner),
    ]
    fields = "".join(f"\t{name}:\n\t\t{text}\n" for name, text in parts if text)
    return f"Instructions:\n\tDomain: retail\n{fields}"


def system(number: int, policy: str = "") -> str:
    """The user simulator's system message."""
    prompt = f"{GUIDELINES}\n<scenario>\n{scenario(number)}</scenario>"
    return f"{prompt}\n\n{policy}" if policy else prompt


def talk(number: int, policy: str = "", seed: int = 0, script: list[str] | None = None) -> list[str]:
    """The customer's messages against the script, as the wire sends them."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": system(number, policy)}]
    said = []
    for turn, line in enumerate(SCRIPT if script is None else script):
        messages.append({"role": "user", "content": line})
        said.append(user.reply(messages, 1000 * seed + turn))
        if "###" in said[-1]:
            break
        messages.append({"role": "assistant", "content": said[-1]})
    return said


def everyone(policy: str = "", seeds: int = 4) -> list[list[str]]:
    """All scenarios with several seeds, without stop tokens and empty turns."""
    talks = [talk(number, policy, seed) for number in range(len(_ERRANDS)) for seed in range(seeds)]
    bare = [[turn.split("###")[0].strip() for turn in said] for said in talks]
    return [[turn for turn in said if turn] for said in bare]


COUNT = len(_ERRANDS)
