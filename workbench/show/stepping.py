"""The stepper: go through a run's candidates one by one, see all that is known of each, and drive the search."""

from __future__ import annotations

import asyncio
import contextlib
import time
import weakref
from typing import Any

from workbench.errors import WorkbenchError
from workbench.evolve.damage import DAMAGED
from workbench.evolve.progress import duration
from workbench.evolve.run import Run
from workbench.evolve.search import Search
from workbench.show import goodhart, people_tabs, program_tabs
from workbench.show.live import Driver
from workbench.show.markup import button, code, empty, esc, tabs
from workbench.show.reader import Reader, nothing_yet
from workbench.show.remains import remains
from workbench.show.style import money
from workbench.show.tables import provenance
from workbench.show.timeline import marker, takeaway, timeline
from workbench.show.view import View

TABS = {
    "diff": ("Diff", program_tabs.diff_tab, "print(run.diff({0!r}))"),
    "axes": (
        "Axes",
        program_tabs.axes_tab,
        "run.personas.filter(candidate_id={0!r}).select('persona_id', 'axis_placement').collect()",
    ),
    "reflection": ("Reflection", program_tabs.reflection_tab, "print(run.reflection({0!r}))"),
    "mutation": ("Mutation", program_tabs.mutation_tab, "run.attempts.filter(candidate_id={0!r}).collect()"),
    "scores": ("Scores", people_tabs.scores_tab, "run.candidates.filter(candidate_id={0!r})"),
    "personas": ("Personas", people_tabs.personas_tab, "run.personas.filter(candidate_id={0!r}).collect()"),
    "episodes": (
        "Episodes",
        people_tabs.episodes_tab,
        "run.episodes.filter(candidate_id={0!r}, condition='search').collect()",
    ),
    "lineage": (
        "Lineage",
        people_tabs.lineage_tab,
        "run.candidates.select('candidate_id', 'parent', 'generation', 'status', 'new_best', 'rank')",
    ),
    "archive": ("Archive", people_tabs.archive_tab, "from workbench.show import frames\nframes.cells(run)"),
}
PLAY_SECONDS, FOLLOW_SECONDS = 1.2, 2.0


class Stepper(View):
    """A view of a run; made by :func:`stepper`.

    Attributes
    ----------
    at
        Index of the candidate shown, in commit order; assign with ``go``.
    tab
        Name of the open tab; it stays when the candidate changes.
    """

    def __init__(self, run: Run, search: Search | None = None) -> None:
        self.reader = Reader(run)
        self.at = max(len(self.reader.candidates) - 1, 0)
        self.tab = "diff"
        self.choices: dict[str, str] = {}
        self._judging = ""
        self._playing: asyncio.Task[None] | None = None
        super().__init__(self._act, label=f"Evolution of run {run.run_id}")
        self.driver = Driver(search, self._progressed, self.show_error) if search else None
        self._draw()
        self._follow()

    @property
    def candidate_id(self) -> str | None:
        """Id of the candidate shown; None while the run is empty."""
        found = self.reader.candidates
        return found[self.at]["candidate_id"] if found else None

    def go(self, candidate_id: str) -> None:
        """Show a candidate."""
        self.reader.get(candidate_id)
        self._move(self.reader.at[candidate_id])

    # -- what the page asks for -------------------------------------------------------------------

    def _act(self, go: str, fields: dict[str, Any]) -> None:
        verb, _, what = go.partition(":")
        last = len(self.reader.candidates) - 1
        moves = {"first": 0, "back": self.at - 1, "next": self.at + 1, "last": last}
        if verb in moves:
            self._stop_playing()
            self._move(moves[verb])
        elif verb == "best":
            self._move(self._next_best())
        elif verb == "slide":
            self._move(int(fields.get("at") or 0))
        elif verb == "play":
            self._toggle_play()
        elif verb == "c":
            self.go(what)
        elif verb == "tab":
            keys = {str(i): name for i, name in enumerate(TABS, 1)}
            self.tab = keys.get(what, what)
            self._draw("tabs", "body")
        elif verb in {"against", "order", "layout", "persona", "episode", "show"}:
            self.choices[verb] = what or str(fields.get(verb) or "")
            if verb == "episode":
                self.tab = "episodes"
                self._draw("tabs")
            self._draw("body")
        elif verb == "panel":
            self._judge()
        elif verb in {"step", "run", "pause", "stop", "evaluate", "branch"}:
            self._drive(verb, fields)

    def _move(self, index: int) -> None:
        self.at = min(max(index, 0), max(len(self.reader.candidates) - 1, 0))
        self._draw("bar", "card", "tabs", "body")

    def _next_best(self) -> int:
        better = [i for i, c in enumerate(self.reader.candidates) if c["new_best"]]
        return next((i for i in better if i > self.at), better[0] if better else self.at)

    def _toggle_play(self) -> None:
        if self._playing:
            self._stop_playing()
        else:
            if self.at == len(self.reader.candidates) - 1:
                self.at = -1
            self._playing = asyncio.get_running_loop().create_task(self._play())
        self._draw("bar")

    def _stop_playing(self) -> None:
        if self._playing:
            self._playing.cancel()
            self._playing = None

    async def _play(self) -> None:
        while self.at < len(self.reader.candidates) - 1:
            self._move(self.at + 1)
            await asyncio.sleep(PLAY_SECONDS)
        self._playing = None
        self._draw("bar")

    def _judge(self) -> None:
        """Compute the Goodhart panel, in the background where there is a loop."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            goodhart.compute(self.reader.run)
            self._draw("body")
            return
        if not self._judging:
            self._judged = loop.create_task(self._judge_later())

    async def _judge_later(self) -> None:
        work = asyncio.ensure_future(asyncio.to_thread(goodhart.compute, self.reader.run))
        began = time.monotonic()
        while not work.done():
            self._judging = f"Fresh classifiers are being fitted, about half a minute: {duration(time.monotonic() - began)} so far …"
            if self.tab == "scores":
                self._draw("body")
            await asyncio.wait([work], timeout=1)
        self._judging = ""
        if error := work.exception():
            self.show_error(error)
        self._draw("body")

    # -- live -------------------------------------------------------------------------------------

    def _drive(self, verb: str, fields: dict[str, Any]) -> None:
        if not self.driver:
            raise WorkbenchError("This view only reads its run; open stepper(search) to drive one.")
        if verb == "step":
            self.driver.run(1)
        elif verb == "run":
            text = str(fields.get("generations") or "")
            if not text.isdigit():
                raise WorkbenchError(f"'{text}' is no number of generations; write one such as 5.")
            self.driver.run(int(text))
        elif verb == "evaluate" and self.candidate_id:
            self.driver.evaluate(str(fields.get("program") or ""), self.candidate_id)
            self.tab = "diff"
        elif verb == "branch":
            self._branch(self.driver.search)
        elif verb == "pause":
            self.driver.pause()
        elif verb == "stop":
            self.driver.stop()
        self._draw("live")

    def _branch(self, search: Search) -> None:
        """Start a new run from the candidate shown, beside this one, and show it instead."""
        if self.candidate_id is None or (self.driver and self.driver.busy):
            raise WorkbenchError("Pause or stop the search before you branch from it.")
        name, number = f"{search.path.name}-from-{self.candidate_id}", 1
        while (path := search.path.with_name(f"{name}-{number}")).exists():
            number += 1
        branch = Search(path, search.settings, branch=(search.run, self.candidate_id))
        search.close()
        self.reader, self.at = Reader(branch.run), 0
        self.driver = Driver(branch, self._progressed, self.show_error)
        self._draw()
        self.note = f'<p role="status">This is now a new run, {esc(path)}, that starts from {esc(branch.run.info["branched_from"]["candidate_id"])}. Step runs its first generation.</p>'

    def _progressed(self, committed: bool) -> None:
        if committed:
            self._refresh(jump=True)
        self._draw("live")

    def _refresh(self, *, jump: bool) -> None:
        was_last = self.at >= len(self.reader.candidates) - 1
        if self.reader.refresh():
            if self.tab == "edit":  # never take away what is being written
                self._draw("top", "bar", "live")
                return
            if jump or was_last:
                self.at = len(self.reader.candidates) - 1
            self._draw()

    def _follow(self) -> None:
        """Look for candidates that another process commits, as long as the view exists."""
        with contextlib.suppress(RuntimeError):  # no loop: not in a notebook
            self._following = asyncio.get_running_loop().create_task(_watch(weakref.ref(self)))

    # -- drawing ----------------------------------------------------------------------------------

    def _draw(self, *parts: str) -> None:
        names = parts or ("top", "bar", "card", "tabs", "body", "live")
        with self.hold_sync():
            for name in names:
                setattr(self, name, getattr(self, f"_{name}")())

    def _top(self) -> str:
        run, found = self.reader.run, self.reader.candidates
        if run.problem:
            return f'<p role="status"><span class="tag bad">not readable</span> {esc(run.problem)}</p>'
        planned = run.settings.generations + 1
        last = max((c["generation"] + 1 for c in found if c["generation"] is not None), default=0)
        seconds, cost = (sum(c[k] or 0 for c in found) for k in ("seconds", "cost"))
        state = f"{last}/{max(planned, last)} generations"
        state += f" · {duration(seconds)} · {money(cost)}" if not run.missing else ""
        head = f'<div class="bar"><b>{esc(provenance(run))}</b><span class="grow"></span><span class="dim">{state}</span></div>'
        said = [run.lacks, self.reader.damage]
        if self.reader.writer and not self.driver:
            said.append(f"In progress: {self.reader.writer} is writing it, and the view follows.")
        head += "".join(f'<p class="dim small">{esc(text)}</p>' for text in said if text)
        if not found:
            return head
        return f"{head}<p>{esc(takeaway(self.reader))}</p>{timeline(self.reader)}"

    def _bar(self) -> str:
        n = len(self.reader.candidates)
        if not n:
            return ""
        first, end = self.at <= 0, self.at >= n - 1
        controls = "".join(
            [
                button("first", "|◀", "first (Home)", disabled=first),
                button("back", "◀", "back (←)", disabled=first),
                button("next", "▶", "forward (→)", disabled=end),
                button("last", "▶|", "last (End)", disabled=end),
                button("play", "■ stop" if self._playing else "▷ play", "play (space)"),
                button("best", "★ next best", "next new best (b)"),
                f'<input type="range" name="at" data-go="slide" min="0" max="{n - 1}" value="{self.at}" aria-label="candidate">',
                f'<span class="mono">{self.at + 1} of {n}</span>',
            ]
        )
        crossed = " · crossed: damaged" if any(c["status"] == DAMAGED for c in self.reader.candidates) else ""
        legend = f'<span class="dim small">filled: accepted · hollow: rejected{crossed} · ring: new best · click to go</span>'
        return f'{marker(self.at, n)}<div class="bar">{controls}{legend}</div>'

    def _card(self) -> str:
        return program_tabs.card(self.reader, self.candidate_id) if self.candidate_id else ""

    def _tabs(self) -> str:
        names = {name: text for name, (text, *_) in TABS.items()}
        return tabs("tab", names, self.tab, "about this candidate") if self.candidate_id else ""

    def _body(self) -> str:
        if self.reader.run.problem:
            return remains(self.reader.run)
        if not self.candidate_id:
            return empty(nothing_yet(self.reader))
        if self.tab not in TABS and self.tab != "edit":
            raise WorkbenchError(f"There is no tab '{self.tab}'; the tabs are {', '.join(TABS)}.")
        try:
            if self.tab == "edit":
                return program_tabs.editor(self.reader, self.candidate_id)
            _, draw, line = TABS[self.tab]
            body = draw(self.reader, self.candidate_id, self.choices)
        except WorkbenchError as error:  # a file that the tab needs is damaged: the others still show
            return f'<p><span class="tag bad">not readable</span> {esc(error)}</p>'
        if self.tab == "scores":
            body += goodhart.html(self.reader.run, self._judging)
        return body + code(line.format(self.candidate_id))

    def _live(self) -> str:
        if not (driver := self.driver):
            return ""
        busy = driver.busy
        controls = "".join(
            [
                button("step", "Step", "run the next generation", disabled=busy),
                button("run", "Run", "run several generations", disabled=busy),
                '<input type="number" name="generations" value="5" min="1" aria-label="generations to run">',
                button("pause", "Pause", "stop after this generation", disabled=not busy or driver.pausing),
                button("stop", "Stop", "stop now; what is in flight is lost", disabled=not busy),
                '<span style="width:12px"></span>',
                button("branch", "Branch here", "a new run that starts from this program", disabled=busy),
                button(
                    "tab:edit", "Edit and evaluate", "change this program by hand and score it", disabled=busy
                ),
            ]
        )
        return f'<div class="bar">{controls}{driver.html()}</div>'


async def _watch(view: weakref.ref[Stepper]) -> None:
    while True:
        await asyncio.sleep(FOLLOW_SECONDS)
        if (found := view()) is None or found.comm is None:
            return
        found.guard(lambda shown=found: shown._refresh(jump=False))  # type: ignore[misc]
        del found


def stepper(source: Run | Search) -> Stepper:
    """Step through a run in JupyterLab; with a search, run its next generations live as well.

    Parameters
    ----------
    source
        A run, which is only read and followed while another process writes it; or an open search. A run with a
        ``problem`` is shown as far as it can be read.

    Raises
    ------
    WorkbenchError
        When it is neither.
    """
    if isinstance(source, Search):
        return Stepper(source.run, source)
    if isinstance(source, Run):
        return Stepper(source)
    raise WorkbenchError(
        f"stepper shows a Run or a Search, not a {type(source).__name__}; use wb.open_run(path)."
    )
