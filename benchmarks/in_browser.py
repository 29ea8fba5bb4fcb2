"""A JupyterLab on loopback and a headless Chromium in it, for the tests and the benchmark of the views."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KERNEL = (
    "window.jupyterapp?.shell?.currentWidget?.context?.sessionContext?.session?.kernel?.status === 'idle'"
)
RUN_ALL = """() => { window.ran = false;
  window.jupyterapp.commands.execute('notebook:run-all-cells').finally(() => (window.ran = true)); }"""
FAILED = ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']"


def chromium() -> str | None:
    """Return where Chromium is; None where it is not installed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


@dataclass(frozen=True)
class Lab:
    """A JupyterLab that serves the folder ``root``."""

    root: Path
    port: int
    token: str

    def open(self, page: Any, name: str) -> None:
        """Open a notebook, run all its cells and wait until they are done."""
        page.goto(f"http://127.0.0.1:{self.port}/lab/tree/{name}?token={self.token}&reset")
        page.wait_for_function(f"() => {KERNEL}", timeout=120_000)
        page.evaluate("void window.jupyterapp.commands.execute('application:toggle-left-area')")
        page.evaluate(RUN_ALL)
        page.wait_for_function("() => window.ran", timeout=300_000)
        assert page.locator(FAILED).count() == 0, page.locator(FAILED).first.inner_text()

    def cells(self, page: Any, name: str, *code: str) -> None:
        """Write a notebook of these cells, open it and run them."""
        import nbformat

        about = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        notebook = nbformat.v4.new_notebook(metadata=about)
        notebook.cells = [nbformat.v4.new_code_cell(text) for text in code]
        nbformat.write(notebook, self.root / name)
        self.open(page, name)


@contextmanager
def jupyterlab(folder: Path, **environment: str) -> Iterator[Lab]:
    """Serve ``folder/notebooks`` on loopback, with settings and caches of its own, until the block ends."""
    root = folder / "notebooks"
    root.mkdir(exist_ok=True)
    news = folder / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(8)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    command += [f"--port={port}", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}"]
    command += ["--LabApp.expose_app_in_browser=True"]
    places = {"JUPYTER_CONFIG_DIR": "config", "WORKBENCH_CACHE": "cache"}
    places |= {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"}
    around = os.environ | environment | {name: str(folder / place) for name, place in places.items()}
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=around)
        try:
            until = time.monotonic() + 180
            while True:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status?token={token}"):
                        break
                except OSError:
                    assert server.poll() is None, (folder / "log").read_text()
                    assert time.monotonic() < until, "JupyterLab did not come up"
                    time.sleep(0.1)
            yield Lab(root, port, token)
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


@contextmanager
def browser_page(width: int = 1400, height: int = 1100) -> Iterator[Any]:
    """Yield a page whose block fails on a console error or a request to another machine."""
    from playwright.sync_api import sync_playwright

    def sent(request: Any) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            wrong.append(request.url)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(90_000)
        wrong: list[str] = []
        page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: wrong.append(str(e)))
        page.on("request", sent)
        yield page
        browser.close()
        assert not wrong, wrong


def theme(page: Any, name: str) -> None:
    """Switch JupyterLab to a theme, such as ``JupyterLab Dark``."""
    page.evaluate(f"void window.jupyterapp.commands.execute('apputils:change-theme', {{theme: '{name}'}})")
    splash = "document.getElementById('jupyterlab-splash')"
    page.wait_for_function(f"() => document.body.dataset.jpThemeName === '{name}' && !{splash}")
