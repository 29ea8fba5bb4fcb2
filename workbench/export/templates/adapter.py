"""What a generator program asks of its host, for use outside: everything here may be replaced."""

import json
import os
import re
import urllib.request
from concurrent.futures import ThreadPoolExecutor


def complete(system: str, user: str) -> str:
    """Ask the model once; any OpenAI-compatible endpoint by OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL."""
    base = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1").rstrip("/")
    key = os.environ.get("OPENAI_API_KEY", "none")
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    body = {"model": os.environ.get("OPENAI_MODEL", "gpt-4.1-mini"), "messages": messages}
    head = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    request = urllib.request.Request(f"{base}/chat/completions", json.dumps(body).encode(), head)
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.load(answer)["choices"][0]["message"]["content"] or ""


def complete_many(prompts: list) -> list:
    """Ask in parallel; answers come in the order of the prompts."""
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda pair: complete(*pair), prompts))


def parse_json(text: str):
    """Return the first JSON value in a text, past prose and code fences, or raise ValueError."""
    decoder = json.JSONDecoder(strict=False)
    for piece in (text, *re.findall(r"```[\w-]*\n(.*?)```", text, flags=re.DOTALL)):
        try:
            return decoder.decode(piece.strip())
        except ValueError:
            continue
    for start in re.finditer(r"[\[{]", text):
        try:
            return decoder.raw_decode(text, start.start())[0]
        except ValueError:
            continue
    raise ValueError(f"no JSON object or array in the text that begins {text[:80]!r}")
