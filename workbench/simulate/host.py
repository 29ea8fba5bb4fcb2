"""Host functions: all that a generator program can reach of the outside, each with its limits.

Arguments come from the sandbox and are hostile: strings may be huge, lists may share or contain themselves. So
every value is checked before it is walked, and sizes are summed before text is built.
"""

from __future__ import annotations

import asyncio
import json
import re
import string
from collections.abc import Awaitable, Callable, Mapping
from itertools import islice
from typing import Any

from workbench.llm.client import LLMError, count
from workbench.simulate.sandbox import Limits, RaiseInside, Refuse, reject

Complete = Callable[[str, str], Awaitable[str]]
NAMES = ("complete", "complete_many", "parse_json", "generate_population", "expand_personas_parallel")
HELPERS = NAMES[3:]  # what programs of the reference implementation import from its helper module
SIDES = ("true", "false")  # of an axis
MAX_AXES = 50
JSON_STARTS = 50  # brackets in a text at which a JSON value is looked for
JSON_DEPTH = 100
TOLD = "\n\nYour last answer could not be used ({}). Answer with JSON and nothing else."


class Host:
    """The host functions of one run, and what it has used of its limits."""

    def __init__(self, complete: Complete, limits: Limits) -> None:
        self._complete, self.limits = complete, limits
        self.prompts = self.chars = self.parsed = 0
        self._asked: dict[str, tuple[str, str]] = {}  # answer to the prompt that it answers

    def functions(self) -> dict[str, Any]:
        """Name the functions as the program sees them."""
        return {name: getattr(self, name) for name in NAMES}

    async def complete(self, system: str, user: str) -> str:
        """Send one request to the model."""
        return (await self.complete_many([(system, user)]))[0]

    async def complete_many(self, prompts: list[tuple[str, str]]) -> list[str]:
        """Send several requests in parallel and return the answers in the order of the prompts."""
        pairs = self._admit(prompts)
        replies = await asyncio.gather(*(self._complete(*pair) for pair in pairs), return_exceptions=True)
        failed = [reply for reply in replies if isinstance(reply, BaseException)]
        unusable = [e for e in failed if isinstance(e, LLMError) and e.kind == "content"]
        for error in failed:
            if error not in unusable:
                raise error
        if unusable:
            inside = RuntimeError(f"the model gave no usable answer: {unusable[0]}")
            raise RaiseInside(inside, cause=unusable[0])
        answers = [clean(reply) for reply in replies if isinstance(reply, str)]
        self._asked |= {answer.strip(): pair for answer, pair in zip(answers, pairs, strict=True)}
        return answers

    def _admit(self, prompts: Any) -> list[tuple[str, str]]:
        """Check the shape of the prompts and that the limits allow them."""
        limits = self.limits
        if not isinstance(prompts, (list, tuple)):
            raise RaiseInside(TypeError("complete_many takes a list of (system, user) pairs"))
        self.prompts += len(prompts)
        if self.prompts > limits.prompts:
            raise Refuse("host_calls", f"the program made more than {limits.prompts} requests to the model")
        for pair in prompts:
            if not (isinstance(pair, (list, tuple)) and len(pair) == 2 and all(type(x) is str for x in pair)):
                raise RaiseInside(TypeError("a prompt is a pair of text: (system, user)"))
            size = len(pair[0]) + len(pair[1])
            if size > limits.prompt_chars:
                raise Refuse(
                    "prompt", f"a prompt has {size:,} characters; {limits.prompt_chars:,} are allowed"
                )
            self.chars += size
        if self.chars > limits.total_chars:
            raise Refuse("prompt", f"the prompts together have more than {limits.total_chars:,} characters")
        return [(pair[0], pair[1]) for pair in prompts]

    async def parse_json(self, text: str) -> Any:
        """Parse as `parse_json` does, for the program; an answer of the model without JSON is asked for again.

        That is once the same prompt, which samples anew, then with the fault told.
        """
        if not isinstance(text, str):
            raise RaiseInside(TypeError(f"parse_json takes text, not {type(text).__name__}"))
        self.parsed += len(text)
        if self.parsed > self.limits.parse_chars:
            raise Refuse("output", f"parse_json was given more than {self.limits.parse_chars:,} characters")
        for told in ("", TOLD, None):
            try:
                return parse_json(text)
            except ValueError as error:
                pair = self._asked.get(text.strip())
                if pair is None or told is None:
                    raise RaiseInside(error) from None
                count("malformed")
                text = await self.complete(pair[0], pair[1] + told.format(error))
        raise AssertionError("unreachable")

    async def generate_population(
        self,
        *,
        system_prompt: str,
        prompt_template: str,
        task_context: str,
        axes: list,
        n: int,
        temperature: float = 0.0,
        max_tokens: int = 0,
    ) -> list[dict]:
        """Phase 1 of the reference implementation's programs; sampling settings are the host's own."""
        _texts(system_prompt=system_prompt, prompt_template=prompt_template, task_context=task_context)
        if type(n) is not int or not 0 < n <= self.limits.prompts:
            raise RaiseInside(ValueError(f"n must be an integer from 1 to {self.limits.prompts}"))
        axes = self._flat_axes(axes)
        lines = [
            f"{a['behavior']}: {a['definition']}\n  true: {a['true']}\n  false: {a['false']}" for a in axes
        ]
        values = {"N": str(n), "axes_description": "\n".join(lines), "task_context": task_context.strip()}
        answer = await self.complete(system_prompt, self._fill(prompt_template, values))
        found = await self.parse_json(answer)
        if isinstance(found, dict):  # {"personas": [...]} does as well as a bare array
            found = next((v for v in found.values() if isinstance(v, list)), [found])
        found = found if isinstance(found, list) else []
        members = [m for m in found if isinstance(m, dict)][:n]
        if len(members) < n:
            raise RaiseInside(
                RuntimeError(f"generate_population: the model gave {len(members)} of {n} members")
            )
        taken: set[str] = set()
        for i, member in enumerate(members, 1):
            placed = _dict(member.get("axis_placement"))
            member["axis_placement"] = {a["behavior"]: _as_bool(placed.get(a["behavior"])) for a in axes}
            name = member.get("persona_id")
            member["persona_id"] = (
                name if isinstance(name, str) and name and name not in taken else f"p{i:02d}"
            )
            taken.add(member["persona_id"])
            for key in ("description", "reasoning"):
                member[key] = member[key] if isinstance(member.get(key), str) else ""
        return members

    async def expand_personas_parallel(
        self,
        *,
        system_prompt: str,
        prompt_template: str,
        archetypes: list,
        task_context: str,
        axes: list,
        temperature: float = 0.0,
        max_tokens: int = 0,
        max_workers: int | None = None,
    ) -> list[str]:
        """Phase 2 of the reference implementation's programs: one policy for each member."""
        _texts(system_prompt=system_prompt, prompt_template=prompt_template, task_context=task_context)
        known = {a["behavior"]: a for a in self._flat_axes(axes)}
        if not isinstance(archetypes, list) or not all(isinstance(a, dict) for a in archetypes):
            raise RaiseInside(TypeError("archetypes must be a list of dicts"))
        prompts = []
        for member in archetypes[: self.limits.prompts + 1]:
            placed = _dict(member.get("axis_placement"))
            on = [k for k, v in placed.items() if k in known and _as_bool(v)]
            traits = [f"- {k}: {known[k]['definition']}\n  {known[k]['true']}" for k in on]
            values = {k: v for k, v in member.items() if isinstance(k, str) and isinstance(v, str)}
            values["active_traits"] = "\n".join(traits) or "- none that stands out"
            values["task_context"] = task_context
            prompts.append((system_prompt, self._fill(prompt_template, values)))
        return [policy.strip() for policy in await self.complete_many(prompts)]

    def _fill(self, template: str, values: Mapping[str, str]) -> str:
        """Fill plain ``{names}``, unknown ones with nothing; a template cannot reach attributes or pad."""
        if len(template) > self.limits.prompt_chars:
            raise Refuse("prompt", f"a prompt template has more than {self.limits.prompt_chars:,} characters")
        filled = []
        room = self.limits.prompt_chars
        try:
            for text, name, form, _ in string.Formatter().parse(template):
                if form or (name and not name.isidentifier()):
                    raise ValueError(f"a placeholder may only be a plain name, not {{{name}}}")
                filled += [text, values.get(name, "") if name else ""]
                room -= len(filled[-1]) + len(text)
                if room < 0:
                    raise Refuse(
                        "prompt", f"a filled template has more than {self.limits.prompt_chars:,} characters"
                    )
        except ValueError as error:
            raise RaiseInside(ValueError(f"prompt template: {error}")) from None
        return "".join(filled)

    def _flat_axes(self, axes: Any) -> list[dict[str, str]]:
        """Read behavior, definition and both playbooks of the axes that a program hands to a helper."""
        if not isinstance(axes, list) or len(axes) > MAX_AXES or not all(isinstance(a, dict) for a in axes):
            raise RaiseInside(TypeError(f"axes must be a list of at most {MAX_AXES} dicts"))
        flat = []
        for axis in axes:
            presence = _dict(axis.get("presence"))
            parts = {k: axis.get(k) for k in ("behavior", "definition")} | {k: presence.get(k) for k in SIDES}
            flat.append({k: v if isinstance(v, str) else "" for k, v in parts.items()})
        if sum(len(text) for axis in flat for text in axis.values()) > self.limits.prompt_chars:
            raise Refuse("prompt", f"the axes have more than {self.limits.prompt_chars:,} characters")
        return [axis for axis in flat if axis["behavior"]]


def too_early() -> dict[str, Any]:
    """Make stand-ins for the host functions that refuse a module which calls them while it loads."""

    def early(name: str) -> Any:
        async def function(*args: Any, **kwargs: Any) -> None:
            raise Refuse(
                "contract", f"{name} was called while the module loads; call it in generate_personas_detailed"
            )

        return function

    return {name: early(name) for name in NAMES}


def _texts(**values: Any) -> None:
    for name, value in values.items():
        if not isinstance(value, str):
            raise RaiseInside(TypeError(f"{name} must be text, not {type(value).__name__}"))


def _as_bool(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.lower() in ("true", "yes", "on"))


def _dict(value: Any) -> dict:
    return value if isinstance(value, dict) else {}


def without_helper_import(source: str) -> str:
    """Blank the import of the reference implementation's helper module: the host supplies what it names."""

    def blank(found: re.Match[str]) -> str:
        names = re.findall(r"(\w+)(?:\s+as\s+(\w+))?", re.sub(r"#.*", "", found["names"]))
        strange = [name for name, _ in names if name not in HELPERS]
        if strange:
            raise reject(
                "forbidden", f"the helper module offers {' and '.join(HELPERS)}, not {', '.join(strange)}"
            )
        bound = "; ".join(f"{alias} = {name}" for name, alias in names if alias and alias != name)
        return found["indent"] + (bound or "pass") + "\n" * found[0].count("\n")

    return re.sub(
        r"^(?P<indent>[ \t]*)from[ \t]+[\w.]*_generator_utils[ \t]+import[ \t]+"
        r"(?P<names>\([^)]*\)|(?:[^\n\\]|\\\n)*)",
        blank,
        source,
        flags=re.MULTILINE,
    )


def parse_json(text: str) -> Any:
    """Return the first JSON value in a text, past prose and code fences.

    A text that is JSON as a whole comes first, then the inside of a code fence that is, then the first object
    or array anywhere. Line breaks inside strings are allowed; NaN and Infinity are not.

    Raises
    ------
    ValueError
        There is none, or it is nested more than 100 deep.
    """
    decoder = json.JSONDecoder(strict=False, parse_constant=_no_constant)
    fenced = re.findall(r"```[\w-]*\n(.*?)```", text, flags=re.DOTALL)
    for piece in (text, *fenced[:JSON_STARTS]):
        try:
            return plain(decoder.decode(piece.strip()))
        except (json.JSONDecodeError, RecursionError):
            continue
    for start in islice(re.finditer(r"[\[{]", text), JSON_STARTS):
        try:
            return plain(decoder.raw_decode(text, start.start())[0])
        except (json.JSONDecodeError, RecursionError):
            continue
    raise ValueError(f"no JSON object or array in the text that begins {text[:80]!r}")


def _no_constant(name: str) -> None:
    raise json.JSONDecodeError(f"{name} is not JSON", "", 0)


def plain(value: Any, depth: int = 0) -> Any:
    """Rebuild a JSON value so that it can enter the sandbox."""
    if depth > JSON_DEPTH:
        raise ValueError(f"the JSON value is nested more than {JSON_DEPTH} deep")
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [plain(v, depth + 1) for v in value]
    if isinstance(value, dict):
        return {clean(k): plain(v, depth + 1) for k, v in value.items()}
    return value


def clean(text: str) -> str:
    """Replace lone surrogates, which neither the sandbox nor a file can hold."""
    return text.encode("utf-8", "replace").decode()
