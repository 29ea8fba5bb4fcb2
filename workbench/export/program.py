"""A generator as one Python file that runs anywhere: the program as evolved, and a small adapter in front of it."""

from __future__ import annotations

import ast
import re
from importlib import import_module, resources
from pathlib import Path
from types import ModuleType

from workbench.errors import WorkbenchError
from workbench.evolve.run import Run
from workbench.export.choose import Choice
from workbench.export.files import Written, put
from workbench.simulate.host import without_helper_import
from workbench.simulate.program import SUBSET, ProgramRejected, read_axes

HEAD = """\
# {title}
# It writes N persona policies for a task:
#     OPENAI_API_KEY=… OPENAI_MODEL=… python {name} 5 < scenario.txt
# or, after import, generate_personas_detailed(scenario, DIVERSITY_AXES, 5). complete() and parse_json() are the adapter.
# A model wrote the program below the adapter, and a sandbox kept it from files and network; here nothing does. Read it.
"""
ADAPTER = "\n# --- adapter: replace it as you like ---\n"
PROGRAM = "\n\n# --- the program, as evolved ---\n"
MAIN = """

if __name__ == "__main__":
    import sys

    found = generate_personas_detailed(sys.stdin.read(), DIVERSITY_AXES, int(sys.argv[1]) if sys.argv[1:] else 5)
    print(json.dumps(found, indent=2, ensure_ascii=False))
"""


def program(choice: Choice, out: Path) -> Written:
    """Write the generator behind a part of a run."""
    if choice.candidate_id is None:
        raise WorkbenchError(f"{choice.label} is no candidate's; name one with --candidate.")
    source = to_program(choice.source, choice.candidate_id, name=out.name)
    return Written(put({out: source}), 1, f"program, {choice.candidate_id} of {choice.source.place}")


def to_program(run: Run, candidate: str | None = None, *, name: str = "personas.py") -> str:
    """Return a generator as the text of one file that needs Python and an endpoint, nothing else.

    Parameters
    ----------
    run
        The run it comes from.
    candidate
        Its id; None means the best.
    name
        What the file will be called, for its own usage line.

    Raises
    ------
    WorkbenchError
        When there is no such candidate, the sandbox rejects it, or it imports what the sandbox does not offer.
    """
    candidate = candidate or run.best
    source = run.program(candidate)
    _check(source, candidate)
    body = without_helper_import(source)
    title = (
        f"Generator of persona policies: candidate {candidate} of run {run.run_id} ({run.settings.domain})."
    )
    adapter = _adapter("adapter")
    if body != source:
        adapter += "\n\n" + _adapter("adapter_helpers")
    at = _after_future(body)
    lines = body.splitlines(keepends=True)
    head = HEAD.format(title=" ".join(title.split()), name=" ".join(name.split()))
    first, rest = "".join(lines[:at]), "".join(lines[at:]).rstrip()
    return f"{head}{first}{ADAPTER}{adapter}{PROGRAM}{rest}\n{MAIN}"


def _check(source: str, candidate: str) -> None:
    """Refuse a program that the sandbox rejects, or that would reach further outside of it."""
    from workbench.llm import loop

    try:
        loop.run(read_axes(source))
        tree = ast.parse(without_helper_import(source))
    except ProgramRejected as error:
        raise WorkbenchError(f"Candidate {candidate} does not run ({error.kind}): {error.reason}") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise WorkbenchError(
            f"Candidate {candidate} runs in the sandbox, but is no Python: {error}."
        ) from None
    offered = next(line for line in SUBSET.splitlines() if line.startswith("Modules: "))
    allowed = {*offered.removeprefix("Modules: ").rstrip(".").split(", "), "__future__"}
    hidden = {name for module in allowed for name in _modules_in(module)} - allowed
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or "."] if isinstance(node, ast.ImportFrom) else []
        strange = [f"imports {n}" for n in names if n.split(".")[0] not in allowed]
        strange += [f"uses {n}" for n in _reached(node) if n in hidden or FORBIDDEN.fullmatch(n)]
        if strange:
            raise WorkbenchError(
                f"Candidate {candidate} {strange[0]}, which the sandbox never let it have; outside it would work. "
                "It is not exported."
            )


def _reached(node: ast.AST) -> list[str]:
    """Return the names that a node uses, takes from an object or imports out of a module."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        return [node.attr]
    if isinstance(node, ast.ImportFrom) and node.module != "__future__":
        return [a.name for a in node.names]
    return []


def _modules_in(name: str) -> list[str]:
    """Return the names under which a module holds other modules, as ``random._os`` does."""
    return [n for n, value in vars(import_module(name)).items() if isinstance(value, ModuleType)]


FORBIDDEN = re.compile(
    r"__(?!name__).*__|eval|exec|compile|open|input|globals|locals|vars|getattr|setattr|delattr|breakpoint"
    r"|os|urllib|sys|modules|builtins|ThreadPoolExecutor"  # what the adapter imports, and the way to all else
    r"|get_type_hints|ForwardRef|evaluate_forward_ref|_eval_type"  # they evaluate texts
    r"|(gi|cr|ag|tb)_frame|f_back|f_builtins|f_globals|f_locals"
)


def _after_future(source: str) -> int:
    """Return the line behind the docstring and the ``__future__`` imports, which have to come first."""
    tree = ast.parse(source)
    first = [] if ast.get_docstring(tree) is None else tree.body[:1]
    first += [n for n in tree.body if isinstance(n, ast.ImportFrom) and n.module == "__future__"]
    return max((node.end_lineno or 0 for node in first), default=0)


def _adapter(name: str) -> str:
    """Return the code of an adapter module, without its docstring and its notes to the linter."""
    source = (resources.files("workbench.export.templates") / f"{name}.py").read_text()
    first = ast.parse(source).body[0].end_lineno or 0
    kept = [line for line in source.splitlines()[first:] if not line.startswith("# ruff")]
    return "\n".join(kept).strip() + "\n"
