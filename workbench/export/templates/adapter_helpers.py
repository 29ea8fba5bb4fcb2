"""The two helpers that programs of the reference implementation import, for use outside."""

# ruff: noqa: F821
import string


def generate_population(*, system_prompt, prompt_template, task_context, axes, n, **sampling):
    """Phase 1: one request for all members."""
    told = "\n".join(
        f"{a['behavior']}: {a['definition']}\n  true: {a['presence']['true']}\n  false: {a['presence']['false']}"
        for a in axes
    )
    values = {"N": str(n), "axes_description": told, "task_context": task_context.strip()}
    found = parse_json(complete(system_prompt, _fill(prompt_template, values)))
    if isinstance(found, dict):
        found = next((v for v in found.values() if isinstance(v, list)), [found])
    members = [m for m in found if isinstance(m, dict)][:n]
    if len(members) < n:
        raise RuntimeError(f"the model gave {len(members)} of {n} members")
    taken = set()
    for i, member in enumerate(members, 1):
        placed = member.get("axis_placement")
        placed = placed if isinstance(placed, dict) else {}
        member["axis_placement"] = {a["behavior"]: _on(placed.get(a["behavior"])) for a in axes}
        name = member.get("persona_id")
        member["persona_id"] = name if isinstance(name, str) and name and name not in taken else f"p{i:02d}"
        taken.add(member["persona_id"])
        for key in ("description", "reasoning"):
            member[key] = member[key] if isinstance(member.get(key), str) else ""
    return members


def expand_personas_parallel(*, system_prompt, prompt_template, archetypes, task_context, axes, **sampling):
    """Phase 2: one request a member."""
    known = {a["behavior"]: a for a in axes}
    prompts = []
    for member in archetypes:
        on = [k for k, v in member.get("axis_placement", {}).items() if k in known and _on(v)]
        traits = [f"- {k}: {known[k]['definition']}\n  {known[k]['presence']['true']}" for k in on]
        values = {k: v for k, v in member.items() if isinstance(v, str)}
        values |= {
            "active_traits": "\n".join(traits) or "- none that stands out",
            "task_context": task_context,
        }
        prompts.append((system_prompt, _fill(prompt_template, values)))
    return [policy.strip() for policy in complete_many(prompts)]


def _fill(template, values):
    parts = string.Formatter().parse(template)
    return "".join(text + (values.get(name, "") if name else "") for text, name, _, _ in parts)


def _on(value):
    return value if isinstance(value, bool) else str(value).lower() in ("true", "yes", "on")
