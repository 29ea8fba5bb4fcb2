"""Generator programs: what runs, what is refused, and what the refusal says. Everything runs in real workers."""

from __future__ import annotations

import asyncio
import copy
import json
import re
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import WorkbenchError
from workbench.llm.client import LLMError
from workbench.simulate.host import parse_json
from workbench.simulate.program import SUBSET, Limits, Persona, ProgramRejected, read_axes, run_program
from workbench.simulate.sandbox import ADVICE

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "workbench" / "simulate" / "programs"
AXES = ["terse", "skeptical", "frustrated", "ambiguous"]
RECORDS = (
    "[{'persona_id': f'p{i}', 'description': 'd', 'axis_placement': {'terse': i % 2 == 0}, 'reasoning': 'r',"
    " 'expanded_instruction': 'Write little.'} for i in range(n)]"
)
HEAD = """\
DIVERSITY_AXES = [{"behavior": "terse", "definition": "few words", "presence": {"true": "short", "false": "long"}}]
"""


class Model:
    """A scripted model: it answers the prompts of the seed program, of DP and of reference-style programs."""

    def __init__(self, wait: float = 0.0, answer: str | None = None) -> None:
        self.wait, self.answer = wait, answer
        self.prompts: list[tuple[str, str]] = []

    async def __call__(self, system: str, user: str) -> str:
        self.prompts.append((system, user))
        number = len(self.prompts)
        await asyncio.sleep(self.wait)
        if self.answer is not None:
            return self.answer
        wanted = re.search(r"exactly (\d+)", user)
        if not wanted:
            return f"  Policy number {number}.\n"
        place = {axis: i % 2 == 0 for i, axis in enumerate(AXES)}
        member = {
            "description": "a person",
            "reasoning": "because",
            "axis_placement": place,
            "policy": "Be brief.",
        }
        found = [member | {"persona_id": f"person_{i}"} for i in range(int(wanted[1]))]
        if '"members"' in user:
            return "Here you are:\n```json\n" + json.dumps({"members": found}) + "\n```"
        return json.dumps({"personas": found} if '"personas"' in user else found)


def program(body: str, before: str = HEAD) -> str:
    """Write a program whose function has this body."""
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    return f"{before}def generate_personas_detailed(c, axes, n):\n{lines}"


def run(
    source: str, n: int = 3, model: Any = None, context: str = "Return the lamp.", **more: Any
) -> list[Persona]:
    return asyncio.run(run_program(source, context, n, model or Model(), **more))


def refused(source: str, n: int = 3, **more: Any) -> ProgramRejected:
    with pytest.raises(ProgramRejected) as caught:
        run(source, n, **more)
    return caught.value


# Programs that run


@pytest.mark.parametrize("n", [1, 5, 10])
def test_the_seed_program_makes_one_population_call_and_one_expansion_for_each_member(n: int) -> None:
    model = Model()
    personas = run((PROGRAMS / "seed.py").read_text(), n, model, context="Return the lamp {n} {axes}.")
    assert [p.persona_id for p in personas] == [f"p{i:02d}" for i in range(1, n + 1)]
    assert len(model.prompts) == 1 + n
    assert all("Return the lamp {n} {axes}." in user for _, user in model.prompts)
    assert [p.policy for p in personas] == [f"Policy number {i}." for i in range(2, n + 2)]
    assert personas[0].axis_placement == {a: i % 2 == 0 for i, a in enumerate(AXES)}


def test_the_seed_program_hands_every_expansion_the_playbook_of_the_side_it_was_placed_on() -> None:
    source, model = (PROGRAMS / "seed.py").read_text(), Model()
    axes = asyncio.run(read_axes(source))
    run(source, 2, model)
    assert [a["behavior"] for a in axes] == AXES
    for _, user in model.prompts[1:]:
        for i, axis in enumerate(axes):
            side, other = ("true", "false") if i % 2 == 0 else ("false", "true")
            assert axis["presence"][side] in user
            assert axis["presence"][other] not in user


def test_the_seed_program_asks_again_when_the_population_is_no_json_and_then_gives_up() -> None:
    model = Model(answer="I would rather not.")
    rejected = refused((PROGRAMS / "seed.py").read_text(), model=model)
    # the program asks twice; the host repeats each request once, then with the fault told
    asked = [user for _, user in model.prompts]
    assert len(asked) == 6 and asked[0] == asked[1] and asked[3] == asked[4]
    assert "Answer with JSON and nothing else" in asked[2] and "could not be used" in asked[3]
    assert rejected.kind == "runtime"
    assert "no usable population after two attempts" in rejected.reason


def test_an_answer_without_json_is_asked_for_again_before_the_program_hears_of_it() -> None:
    answers = ['{"a": ', '{"a": 1}']
    source = program(f'told = str(parse_json(complete("s", "u")))\nreturn {RECORDS}').replace("'r'", "told")
    prompts: list[str] = []

    async def complete(system: str, user: str) -> str:
        prompts.append(user)
        return answers[len(prompts) - 1]

    found = asyncio.run(run_program(source, "c", 1, complete))
    assert prompts == ["u", "u"] and found[0].reasoning == "{'a': 1}"


def test_the_dp_baseline_writes_all_policies_with_one_call_and_has_no_axes() -> None:
    source, model = (PROGRAMS / "dp.py").read_text(), Model()
    personas = run(source, 10, model)
    assert len(model.prompts) == 1
    assert [p.persona_id for p in personas] == [f"p{i:02d}" for i in range(1, 11)]
    assert {p.policy for p in personas} == {"Be brief."}
    assert asyncio.run(read_axes(source)) == []


REFERENCE_STYLE = '''\
"""Doc."""
from __future__ import annotations

from typing import Any, Dict, List
from {module} import {names}

DIVERSITY_AXES: List[Dict[str, Any]] = [
    {{"behavior": "terse", "definition": "few words", "presence": {{"true": "TERSE-ON", "false": "TERSE-OFF"}}}},
    {{"behavior": "skeptical", "definition": "doubts", "presence": {{"true": "SKEPTICAL-ON", "false": "SKEPTICAL-OFF"}}}},
]
SYSTEM = "You invent people."
POPULATION = """Need exactly {{N}}.
{{axes_description}}
Context: {{task_context}} {{made_up_placeholder}}
[{{{{"persona_id": "x"}}}}]"""
ROLEPLAY = """{{persona_id}} | {{description}} | {{active_traits}} | {{task_context}}"""


def generate_personas_detailed(c: str, axes: List[Dict[str, Any]], n: int) -> List[Dict[str, Any]]:
    population = {first}(
        system_prompt=SYSTEM, prompt_template=POPULATION, task_context=c, axes=axes, n=n, temperature=0.9,
    )
    policies = expand_personas_parallel(
        system_prompt=SYSTEM,
        prompt_template=ROLEPLAY,
        archetypes=[m for m in population if isinstance(m, dict)],
        task_context=c,
        axes=axes,
        max_workers=4,
    )
    return [
        {{
            "persona_id": m.get("persona_id"),
            "description": m.get("description"),
            "axis_placement": dict(m.get("axis_placement") or {{}}),
            "reasoning": m.get("reasoning"),
            "expanded_instruction": policies[i] if i < len(policies) else "",
        }}
        for i, m in enumerate(population)
    ]
'''


@pytest.mark.parametrize(
    "module", ["ppol.evolution._generator_utils", "persona_policies.evolution._generator_utils"]
)
@pytest.mark.parametrize(
    ("names", "first"),
    [
        ("generate_population, expand_personas_parallel", "generate_population"),
        ("(\n    generate_population,  # one call\n    expand_personas_parallel,\n)", "generate_population"),
        ("generate_population as propose, expand_personas_parallel", "propose"),
    ],
)
def test_a_program_of_the_reference_implementation_runs_unchanged(
    module: str, names: str, first: str
) -> None:
    model = Model()
    personas = run(REFERENCE_STYLE.format(module=module, names=names, first=first), 4, model)
    assert [p.persona_id for p in personas] == [f"person_{i}" for i in range(4)]
    assert personas[0].axis_placement == {"terse": True, "skeptical": False}
    population, *expansions = [user for _, user in model.prompts]
    assert '[{"persona_id": "x"}]' in population
    for text in ("exactly 4", "TERSE-ON", "TERSE-OFF", "Context: Return the lamp. \n"):
        assert text in population
    assert len(expansions) == 4
    assert "TERSE-ON" in expansions[0]
    assert "SKEPTICAL" not in expansions[0]


def test_line_numbers_stay_right_below_a_blanked_helper_import() -> None:
    source = "from x._generator_utils import (\n    generate_population,\n)\n" + program("return 1 / 0")
    assert "line 6 in generate_personas_detailed: return 1 / 0" in refused(source).reason


def test_the_helper_module_offers_two_names_and_says_so() -> None:
    rejected = refused("from ppol.evolution._generator_utils import _chat\n" + program("return []"))
    assert rejected.kind == "forbidden"
    assert "generate_population and expand_personas_parallel, not _chat" in rejected.reason


def test_a_reference_style_program_whose_model_writes_too_few_members_is_refused() -> None:
    model = Model(answer='[{"persona_id": "only one"}]')
    source = REFERENCE_STYLE.format(
        module="a._generator_utils", names="generate_population", first="generate_population"
    )
    assert "the model gave 1 of 3 members" in refused(source, model=model).reason


BENIGN = {
    "plain": f"return {RECORDS}",
    "tuple of records": f"return tuple({RECORDS})",
    "json": f"import json\nx = json.loads(json.dumps(axes))\nreturn {RECORDS}",
    "random": f"import random\nrandom.Random(7).shuffle([1, 2, 3])\nreturn {RECORDS}",
    "regular expressions": f"import re\nre.sub(r'\\s+', ' ', c)\nreturn {RECORDS}",
    "f-strings": f"x = f'{{n:03d}} {{c!r}} {{1.5:.2f}}'\nreturn {RECORDS}",
    "str.format": f"x = '{{a}} {{{{}}}}'.format(a=c)\nreturn {RECORDS}",
    "comprehensions": f"x = {{k: v for k, v in zip('ab', range(2))}}\nreturn {RECORDS}",
    "closures": f"def inner():\n    return n\nassert inner() == n\nreturn {RECORDS}",
    "lambda": f"x = sorted(axes, key=lambda a: a['behavior'])\nreturn {RECORDS}",
    "walrus": f"if (k := n) > 0:\n    pass\nreturn {RECORDS}",
    "match": f"match n:\n    case 0:\n        return []\n    case _:\n        return {RECORDS}",
    "dataclass": f"from dataclasses import dataclass\n@dataclass\nclass M:\n    x: int = 1\nM(x=2).x\nreturn {RECORDS}",
    "plain class": f"class M:\n    def __init__(self, x):\n        self.x = x\nM(2).x\nreturn {RECORDS}",
    "counter": f"from collections import Counter, defaultdict\nCounter(c).most_common(1)\nreturn {RECORDS}",
    "itertools": f"import itertools\nlist(itertools.product([True, False], repeat=2))\nreturn {RECORDS}",
    "try and except": f"try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    x = str(e)\nfinally:\n    y = 1\nreturn {RECORDS}",
    "sleep": f"import time\ntime.sleep(3600)\nreturn {RECORDS}",
    "a little print": f"print('working')\nreturn {RECORDS}",
    "one call": f"x = complete('system', 'user')\nreturn {RECORDS}",
    "keyword arguments": f"x = complete(system='system', user='user')\nreturn {RECORDS}",
    "calls through another name": f"ask = complete\nx = ask('system', 'user')\nreturn {RECORDS}",
    "many calls": f"x = complete_many([('s', str(i)) for i in range(n)])\nassert len(x) == n\nreturn {RECORDS}",
    "no calls at all": f"assert complete_many([]) == []\nreturn {RECORDS}",
    "own retry": (
        "for attempt in range(3):\n    try:\n        x = parse_json(complete('s', 'u'))\n        break\n"
        f"    except ValueError:\n        continue\nreturn {RECORDS}"
    ),
    "own axes changed while it runs": f"axes.append({{'behavior': 'new'}})\nreturn {RECORDS}",
    "non-ASCII text": f"x = 'Ünï 你好 🙂'\nreturn {RECORDS}",
    "deep but finite recursion": f"def f(k):\n    return 0 if k == 0 else f(k - 1)\nf(100)\nreturn {RECORDS}",
}


@pytest.mark.parametrize("body", BENIGN.values(), ids=BENIGN)
def test_a_benign_program_is_accepted(body: str) -> None:
    assert [p.persona_id for p in run(program(body))] == ["p0", "p1", "p2"]


# Programs that are refused: kind, and words of the reason that name the thing and the place

FLOOD = "a = ['x' * 1000]\nfor i in range(40):\n    a = [a, a]\n"  # 10^15 characters to whoever walks it
CHANGE = f"r = {RECORDS}\nr[1]"
HOSTILE = {
    "endless loop": (
        "x = 1\nwhile True:\n    x = 2",
        "time",
        "computed for more than .* while stands in line 4",
    ),
    "endless loop that catches all": (
        "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass",
        "time",
        "line 3, 5",
    ),
    "endless loop after a call": (
        "complete('s', 'u')\nwhile 1:\n    pass",
        "time",
        "called the host in line 3",
    ),
    "memory, at once": ("return 'a' * 10**12", "memory", r"64 MB.*line 3 .*10\*\*12"),
    "memory, by and by": ("x = []\nwhile True:\n    x.append('a' * 1000)", "memory", r"line 5 .*x\.append"),
    "giant power": ("return 9**9**9", "memory", r"line 3 .*9\*\*9\*\*9"),
    "deep recursion": ("return generate_personas_detailed(c, axes, n)", "recursion", "200 deep .*line 3"),
    "flood of calls": ("while True:\n    complete('s', 'u')", "host_calls", "60 requests .*line 4: complete"),
    "flood of calls that catches all": (
        "while True:\n    try:\n        complete('s', 'u')\n    except BaseException:\n        pass",
        "host_calls",
        "60 requests .*line 5",
    ),
    "flood in one batch": ("complete_many([('s', 'u')] * 10**6)", "host_calls", "line 3: complete_many"),
    "flood of name look-ups": (
        "while True:\n    try:\n        unknown()\n    except NameError:\n        pass",
        "host_calls",
        "far too often .*line 5",
    ),
    "huge prompt": ("complete('s', 'u' * 50000)", "prompt", "50,001 characters; 40,000 .*line 3"),
    "huge prompts in all": (
        "for i in range(50):\n    complete('s', 'u' * 39999)",
        "prompt",
        "600,000 .*line 4",
    ),
    "huge template": (
        "generate_population(system_prompt='s', prompt_template='{task_context}' * 99, task_context=c * 1000, axes=axes, n=n)",
        "prompt",
        "filled template .*line 3",
    ),
    "flood of prints": ("while True:\n    print('x' * 1000)", "output", "printed more than 100,000"),
    "flood of parsing": (
        "for i in range(99):\n    parse_json('[]' + ' ' * 9999)",
        "output",
        "parse_json .*line 4",
    ),
    "open": ("return open('/etc/passwd').read()", "forbidden", "/etc/passwd.*line 3"),
    "pathlib": ("from pathlib import Path\nreturn Path('/etc/passwd').read_text()", "forbidden", "line 4"),
    "list a folder": ("import os\nreturn os.listdir('/')", "forbidden", "line 4"),
    "environment": ("import os\nreturn os.environ", "forbidden", "os.environ"),
    "environment variable": ("import os\nreturn os.getenv('HOME')", "forbidden", "os.getenv"),
    "socket": ("import socket", "forbidden", "No module named 'socket' .*line 3"),
    "subprocess": ("import subprocess", "forbidden", "subprocess"),
    "ctypes": ("import ctypes", "forbidden", "ctypes"),
    "other libraries": ("import numpy as np", "forbidden", "numpy"),
    "__import__": ("return __import__('os')", "runtime", "name '__import__' is not defined .*line 3"),
    "introspection of a class": ("return ().__class__.__bases__", "runtime", "no attribute '__class__'"),
    "introspection of a function": ("return complete.__globals__", "runtime", "line 3"),
    "attribute of a template value": (
        "generate_population(system_prompt='s', prompt_template='{N.__class__}', task_context=c, axes=axes, n=n)",
        "runtime",
        "may only be a plain name",
    ),
    "padding in a template": (
        "generate_population(system_prompt='s', prompt_template='{N:>99999999}', task_context=c, axes=axes, n=n)",
        "runtime",
        "may only be a plain name",
    ),
    "exception": (
        "raise ValueError('boom ' + c)",
        "runtime",
        "ValueError: boom Return the lamp. .line 3 in gen",
    ),
    "exception in a helper": (
        "def f():\n    return {}['k']\nreturn f()",
        "runtime",
        r"KeyError: .*line 4 in f: return \{\}",
    ),
    "exception with a huge text": ("raise ValueError('x' * 10**7)", "runtime", "^.{0,700}$"),
    "SystemExit": ("raise SystemExit(3)", "runtime", "raise stands in line 3"),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", "runtime", "KeyboardInterrupt .line 3"),
    "exit": ("exit()", "runtime", "name 'exit' is not defined"),
    "unknown name": ("return undefined_name", "runtime", "undefined_name.*line 3"),
    "await": ("return await complete('s', 'u')", "runtime", "called without await .*line 3"),
    "next of a generator expression": (
        "return next(x for x in axes)",
        "runtime",
        "use a loop or an index .line 3",
    ),
    "wrong arguments to complete": ("complete('s', 'u', temperature=1)", "runtime", "'temperature' .line 3"),
    "no pairs": ("complete_many(['abc'])", "runtime", "pair of text.*line 3"),
    "no list": ("complete_many(n)", "runtime", "list of .system, user. pairs"),
    "no text": ("complete('s', axes)", "runtime", "pair of text"),
    "shared lists as an argument": (f"{FLOOD}complete('s', a)", "runtime", "pair of text"),
    "shared lists to an unknown name": (f"{FLOOD}unknown(a)", "runtime", "name 'unknown' is not defined"),
    "shared lists to a helper": (
        f"{FLOOD}expand_personas_parallel(system_prompt='s', prompt_template='t', archetypes=a, task_context=c, axes=axes)",
        "runtime",
        "archetypes must be a list of dicts",
    ),
    "shared lists printed": (f"{FLOOD}print(a)", "memory", "64 MB"),
    "shared lists returned": (f"{FLOOD}return [a] * n", "contract", "record 1 of 3 must be a dict"),
    "a list inside itself": (
        "r = []\nfor i in range(n):\n    r.append(r)\nreturn r",
        "contract",
        "record 1 of 3",
    ),
    "a record inside itself": (
        f"{CHANGE}['description'] = r\nreturn r",
        "contract",
        "record 2 .*contains itself",
    ),
    "nothing parsable": ("parse_json('no json')", "runtime", "no JSON object or array .*'no json' .line 3"),
    "nested brackets": ("parse_json('[' * 100000)", "runtime", "no JSON object"),
    "deeply nested JSON": ("parse_json('[' * 500 + ']' * 500)", "runtime", "more than 100 deep"),
    "no result": ("pass", "contract", "must return a list of 3 records, not None"),
    "a dict": ("return {}", "contract", "must return a list of 3 records, not a value of type dict"),
    "too few records": (f"return {RECORDS}[1:]", "contract", "returned 2 records; exactly n = 3"),
    "too many records": (f"return {RECORDS} * 2", "contract", "returned 6 records"),
    "records that are no dicts": ("return [1] * n", "contract", "record 1 of 3 must be a dict, not 1"),
    "records that are objects": (
        "class R:\n    pass\nreturn [R() for i in range(n)]",
        "contract",
        "not an object of the class R",
    ),
    "a key too few": (
        f"r = {RECORDS}\nr[2].pop('reasoning')\nreturn r",
        "contract",
        "record 3 of 3 has no reasoning",
    ),
    "an id that is no text": (
        f"{CHANGE}['persona_id'] = 7\nreturn r",
        "contract",
        "persona_id must be text, not 7",
    ),
    "an id that is a giant integer": (f"{CHANGE}['persona_id'] = 10**5000\nreturn r", "contract", "type int"),
    "an id twice": (f"{CHANGE}['persona_id'] = 'p0'\nreturn r", "contract", "record 2 of 3 repeats .*'p0'"),
    "an empty id": (
        f"{CHANGE}['persona_id'] = ''\nreturn r",
        "contract",
        "record 2 of 3: persona_id is empty",
    ),
    "NaN": (f"{CHANGE}['reasoning'] = float('nan')\nreturn r", "contract", "reasoning must be text, not nan"),
    "None": (f"{CHANGE}['reasoning'] = None\nreturn r", "contract", "reasoning must be text, not None"),
    "a policy too long": (
        f"{CHANGE}['expanded_instruction'] = 'x' * 4001\nreturn r",
        "contract",
        "record 2 of 3: expanded_instruction has 4,001 characters; at most 4,000",
    ),
    "a blank policy": (
        f"{CHANGE}['expanded_instruction'] = ' \\n'\nreturn r",
        "contract",
        "expanded_instruction is empty",
    ),
    "an axis too many": (
        f"{CHANGE}['axis_placement']['loud'] = True\nreturn r",
        "contract",
        "record 2 .*has 'loud'",
    ),
    "an axis too few": (
        f"{CHANGE}['axis_placement'] = {{}}\nreturn r",
        "contract",
        "record 2 .*lacks 'terse'",
    ),
    "an axis that is no boolean": (
        f"{CHANGE}['axis_placement']['terse'] = 'true'\nreturn r",
        "contract",
        r"record 2 of 3: axis_placement\['terse'\] must be True or False, not 'true'",
    ),
    "an axis that is 1": (f"{CHANGE}['axis_placement']['terse'] = 1\nreturn r", "contract", "not 1"),
    "inheritance": ("class E(Exception):\n    pass", "unsupported", "inheritance.* .line 3: class E"),
    "property": (
        "class A:\n    @property\n    def x(self):\n        return 1",
        "unsupported",
        "property.*line 4",
    ),
    "yield": ("yield 1", "unsupported", "yield.* .line 3"),
    "del": ("del axes", "unsupported", "'del' statement .line 3"),
}


@pytest.mark.parametrize(("body", "kind", "words"), HOSTILE.values(), ids=HOSTILE)
def test_a_program_that_misbehaves_is_refused_for_its_own_reason(body: str, kind: str, words: str) -> None:
    before = time.process_time()
    rejected = refused(program(body), limits=Limits(seconds=0.3))
    assert (rejected.kind, bool(re.search(words, rejected.reason))) == (kind, True), rejected.reason
    assert time.process_time() - before < 1  # the host itself does next to nothing
    assert rejected.reason.isprintable()
    assert len(rejected.reason) < 1_000


WHOLE = {
    "syntax error": (f"{HEAD}def generate_personas_detailed(c:\n    pass", "syntax", "line 3: pass"),
    "binary": ("\x00\x01\x02", "syntax", "line 1"),
    "deep nesting": (f"x = {'(' * 5000}{')' * 5000}", "syntax", "too deeply nested"),
    "empty": (" \n# only a comment\n", "contract", "is empty"),
    "too long": ("x = 1\n" * 20_000, "contract", "120,000 characters"),
    "no axes": (
        f"def generate_personas_detailed(c, axes, n):\n    return {RECORDS}",
        "contract",
        "DIVERSITY_AXES",
    ),
    "no function": (HEAD, "contract", "does not define the function generate_personas_detailed"),
    "not a function": (f"{HEAD}generate_personas_detailed = 3", "contract", "not callable"),
    "other parameters": (
        f"{HEAD}def generate_personas_detailed(c):\n    return []",
        "contract",
        "calls .*c, axes, n",
    ),
    "an async function": (
        f"{HEAD}async def generate_personas_detailed(c, axes, n):\n    return []",
        "contract",
        "plain function",
    ),
    "a call while loading": (
        program("return []", f"{HEAD}x = complete('s', 'u')\n"),
        "contract",
        "loads.*line 2",
    ),
    "a loop while loading": (
        program("return []", f"{HEAD}while True:\n    pass\n"),
        "time",
        "module loads.*line 2",
    ),
    "an import star": (
        program("return []", f"{HEAD}from math import *\n"),
        "unsupported",
        "Wildcard.*line 2",
    ),
}

WRONG_AXES = {
    "text": ("DIVERSITY_AXES = 'terse'", "must be a list, not 'terse'"),
    "a dict": ("DIVERSITY_AXES = {}", "must be a list, not a value of type dict"),
    "lists": ("DIVERSITY_AXES = [['terse']]", r"DIVERSITY_AXES\[0\] must be a dict"),
    "a name twice": (f"{HEAD}DIVERSITY_AXES = DIVERSITY_AXES * 2", r"\[1\] repeats the behavior 'terse'"),
    "a blank name": (f"{HEAD}DIVERSITY_AXES[0]['behavior'] = ' '", r"\['behavior'\] is empty"),
    "no definition": (
        f"{HEAD}DIVERSITY_AXES[0].pop('definition')",
        r"\['definition'\] must be text, not None",
    ),
    "no playbooks": (f"{HEAD}DIVERSITY_AXES[0].pop('presence')", r"DIVERSITY_AXES\[0\] needs .presence"),
    "booleans as keys": (
        f"{HEAD}DIVERSITY_AXES[0]['presence'] = {{True: 'a', False: 'b'}}",
        "both keys as text",
    ),
    "a playbook that is a list": (
        f"{HEAD}DIVERSITY_AXES[0]['presence']['true'] = ['short']",
        r"\['presence'\]\['true'\] must be text",
    ),
    "a hundred": ("DIVERSITY_AXES = [{}] * 100", "has 100 axes; 50 are allowed"),
}


@pytest.mark.parametrize(("source", "kind", "words"), WHOLE.values(), ids=WHOLE)
def test_a_module_outside_the_contract_is_refused(source: str, kind: str, words: str) -> None:
    rejected = refused(source, limits=Limits(seconds=0.3))
    assert (rejected.kind, bool(re.search(words, rejected.reason))) == (kind, True), rejected.reason


@pytest.mark.parametrize(("axes", "words"), WRONG_AXES.values(), ids=WRONG_AXES)
def test_axes_outside_the_contract_are_refused_before_anything_is_asked(axes: str, words: str) -> None:
    source, model = program(f"complete('s', 'u')\nreturn {RECORDS}", f"{axes}\n"), Model()
    assert re.search(words, refused(source, model=model).reason)
    with pytest.raises(ProgramRejected, match=words):
        asyncio.run(read_axes(source))
    assert not model.prompts


def test_every_text_of_a_persona_can_be_written_to_a_file() -> None:
    source = program(f"{CHANGE}['description'] = '\\ud800 caf\\u00e9'\nreturn r")
    assert (
        run(source, model=Model(answer="\ud800"), context="c \udfff")[1]
        .description.encode()
        .endswith(b" caf\xc3\xa9")
    )


def test_zero_personas_are_a_mistake_of_the_caller_not_of_the_program() -> None:
    with pytest.raises(WorkbenchError, match="at least 1"):
        run(program(f"return {RECORDS}"), 0)


def test_a_rejection_survives_the_way_between_processes() -> None:
    rejected = refused(program("return 1 / 0"))
    again = copy.copy(rejected)
    assert (again.kind, again.reason, str(again)) == (rejected.kind, rejected.reason, rejected.reason)


# The host's side


@pytest.mark.parametrize("kind", ["transport", "cap"])
def test_a_failing_endpoint_never_rejects_a_program(kind: str) -> None:
    error = LLMError(kind, "the endpoint is gone")

    async def dead(system: str, user: str) -> str:
        raise error

    body = f"try:\n    complete('s', 'u')\nexcept BaseException:\n    pass\nreturn {RECORDS}"
    for source in (program(body), (PROGRAMS / "seed.py").read_text()):
        with pytest.raises(LLMError) as caught:
            run(source, model=dead)
        assert caught.value is error


def test_an_unusable_answer_may_be_handled_by_the_program_and_else_comes_out_as_it_was() -> None:
    asked = []

    async def moody(system: str, user: str) -> str:
        asked.append(user)
        if len(asked) % 2:
            raise LLMError("content", "an empty answer")
        return "fine"

    handled = "try:\n    complete('s', 'u')\nexcept RuntimeError:\n    assert complete('s', 'u') == 'fine'\n"
    assert len(run(program(f"{handled}return {RECORDS}"), model=moody)) == 3
    with pytest.raises(LLMError, match="an empty answer"):
        run(program("complete('s', 'u')"), model=moody)


def test_a_transport_failure_among_unusable_answers_is_what_comes_out() -> None:
    async def mixed(system: str, user: str) -> str:
        raise LLMError("content" if user == "0" else "transport", user)

    with pytest.raises(LLMError) as caught:
        run(program("complete_many([('s', str(i)) for i in range(3)])"), model=mixed)
    assert caught.value.kind == "transport"


def test_a_batch_is_sent_in_parallel_and_answered_in_order() -> None:
    async def slower_first(system: str, user: str) -> str:
        await asyncio.sleep(0.3 - 0.1 * int(user))
        return user

    body = (
        "x = complete_many([('s', str(i)) for i in range(3)])\nassert x == ['0', '1', '2']\nreturn " + RECORDS
    )
    before = time.perf_counter()
    run(program(body), model=slower_first)
    assert time.perf_counter() - before < 0.6


def test_waiting_for_the_model_does_not_use_up_the_programs_time() -> None:
    body = f"for i in range(3):\n    complete('s', 'u')\nreturn {RECORDS}"
    assert run(program(body), model=Model(wait=0.2), limits=Limits(seconds=0.2))


def test_programs_run_side_by_side_and_a_hostile_one_holds_up_none() -> None:
    seed, model = (PROGRAMS / "seed.py").read_text(), Model(wait=0.1)
    loop = program("while True:\n    pass")

    async def all_at_once() -> list[Any]:
        jobs = [run_program(seed, f"context {i}", 3, model) for i in range(25)]
        jobs += [run_program(loop, "c", 3, model, limits=Limits(seconds=1.0)) for _ in range(2)]
        return await asyncio.gather(*(asyncio.wait_for(job, 20) for job in jobs), return_exceptions=True)

    results = asyncio.run(all_at_once())
    assert all(len(r) == 3 for r in results[:25])
    assert [r.kind for r in results[25:]] == ["time", "time"]


def test_the_same_seed_draws_the_same_numbers_whatever_the_clock() -> None:
    body = f"import random, datetime\nr = {RECORDS}\nr[0]['description'] = str(random.random()) + str(datetime.datetime.now())\nreturn r"
    drawn = [run(program(body), seed=seed)[0].description for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


# What the mutation model is told


def test_every_module_that_the_subset_names_can_be_imported() -> None:
    named = re.search(r"^Modules: (.*)\.$", SUBSET, flags=re.MULTILINE)
    assert named
    for module in named[1].split(", "):
        assert run(program(f"import {module}\nreturn {RECORDS}")), module


NOT_THERE = re.findall(r"\w+", SUBSET.partition("imported: not ")[2].partition(".\n")[0].replace(" or ", " "))


@pytest.mark.parametrize(
    "body",
    [
        *(f"import {name}" for name in NOT_THERE),
        "'{a}'.format_map({})",
        "'a'.translate({})",
        "import re\nre.sub('a', lambda m: 'b', 'a')",
        "import functools\nfunctools.wraps",
        "from typing import cast",
        "from typing import TypeAlias",
        "from typing import TypedDict\nclass T(TypedDict):\n    x: int",
        *("callable(1)", "globals()", "vars()", "input()"),
    ],
)
def test_what_the_subset_calls_unsupported_is_refused(body: str) -> None:
    assert refused(program(f"{body}\nreturn {RECORDS}")).kind in ("forbidden", "runtime", "unsupported")


# parse_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        (' [1, "x"]\n', [1, "x"]),
        ('Sure! {"a": [true]} Anything else?', {"a": [True]}),
        ('See [here]: ```json\n{"a": 1}\n```', {"a": 1}),
        ("```\n[1]\n```\n```\n[2]\n```", [1]),
        ('{broken {"a": 1}', {"a": 1}),
        ('{"a": "two\nlines"}', {"a": "two\nlines"}),
        ("42", 42),
        ('"\\ud800"', "?"),
    ],
)
def test_parse_json_finds_the_first_value(text: str, value: Any) -> None:
    assert parse_json(text) == value


@pytest.mark.parametrize(
    "text", ["", "no json", "{", '{"a": NaN}', "I have 3 of them", "[" * 10**6, "9" * 5_000]
)
def test_parse_json_refuses_what_holds_no_value(text: str) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


# The documentation

BLOCKS = re.findall(r"```(\w+ ?\w*)\n(.*?)```", (ROOT / "docs" / "programs.md").read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("source", [text for kind, text in BLOCKS if kind == "python"])
def test_every_program_in_the_documentation_runs(source: str) -> None:
    assert len(run(source, 5)) == 5


@pytest.mark.parametrize(
    ("source", "reason"),
    [(text, BLOCKS[i + 1][1]) for i, (kind, text) in enumerate(BLOCKS) if kind == "python refused"],
)
def test_every_refused_program_in_the_documentation_is_refused_in_those_words(
    source: str, reason: str
) -> None:
    assert refused(source).reason == reason.strip()


def test_the_documentation_says_what_the_mutation_model_is_told_and_what_the_limits_are() -> None:
    assert [text.strip() for kind, text in BLOCKS if kind == "text subset"] == [SUBSET]
    rows = re.findall(r"\| ([\d.,]+)[^|]*\| `(\w+)` \|", (ROOT / "docs" / "programs.md").read_text())
    assert {name: float(value.replace(",", "")) for value, name in rows} == asdict(Limits())
    kinds = re.search(
        r"The kinds are (.*?)\(the worker", (ROOT / "docs" / "programs.md").read_text(), re.DOTALL
    )
    assert kinds
    assert set(re.findall(r"`(\w+)`", kinds[1])) == set(ADVICE)


def test_the_command_in_the_documentation_prints_personas(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(next(text for kind, text in BLOCKS if kind == "python"))
    command = re.search(
        r"^    workbench (personas .*)$", (ROOT / "docs" / "programs.md").read_text(), re.MULTILINE
    )
    assert command
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from workbench.cli import main; raise SystemExit(main())",
            *command[1].split(),
            "--json",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [record["persona_id"] for record in json.loads(done.stdout)] == ["p01", "p02", "p03", "p04"]
