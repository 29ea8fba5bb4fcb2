"""The persona map: people and personas on a plane, by behavior, policy text or words; brush, click, and go back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import numpy as np
import polars as pl
import traitlets

from workbench.errors import WorkbenchError
from workbench.evolve.damage import told
from workbench.evolve.run import Run
from workbench.llm import loop
from workbench.measure import FEATURES
from workbench.show import cloud, embedding, map_panel
from workbench.show.map_panel import WHAT
from workbench.show.markup import esc
from workbench.show.style import PALETTE
from workbench.show.view import View

SCALE = ("#5A6FC0", "#5B8FC4", "#7AA6A8", "#A8AE7A", "#CFAE4A", "#E39A1E")  # seen on white and on black
AWAY = 1e9  # where a point is that has no place


class Canvas(anywidget.AnyWidget):
    """The points on a canvas; draws, and says what was brushed or clicked."""

    _esm = Path(__file__).with_name("map.js").read_text()
    label = traitlets.Unicode("").tag(sync=True)
    xy = traitlets.Bytes(b"").tag(sync=True)
    color = traitlets.Bytes(b"").tag(sync=True)
    layer = traitlets.Bytes(b"").tag(sync=True)
    generation = traitlets.Bytes(b"").tag(sync=True)
    drawn = traitlets.Bytes(b"").tag(sync=True)
    drawn_selection = traitlets.Bytes(b"").tag(sync=True)
    extent = traitlets.List([0.0, 1.0, 0.0, 1.0]).tag(sync=True)
    palette: Any = traitlets.List([]).tag(sync=True)
    shapes: Any = traitlets.List([]).tag(sync=True)
    names: Any = traitlets.List([]).tag(sync=True)
    layers: Any = traitlets.List([]).tag(sync=True)
    labels: Any = traitlets.List([]).tag(sync=True)
    since = traitlets.Int(0).tag(sync=True)
    until = traitlets.Int(0).tag(sync=True)
    picked = traitlets.Int(-1).tag(sync=True)
    near: Any = traitlets.List([]).tag(sync=True)


class PersonaMap(ipywidgets.VBox):
    """A map of a run; made by :func:`persona_map`.

    Attributes
    ----------
    points
        One row a conversation, in the order of the map.
    selection
        The selected rows of ``points``; assign row numbers or a Boolean mask with ``select``.
    """

    def __init__(self, run: Run, model: str, base_url: str | None) -> None:
        self.run, self.model, self.base_url = run, model, base_url
        self.points = cloud.points(run)
        if self.points.is_empty():
            raise WorkbenchError(f"The run {run.path} has no conversation yet; there is nothing to map.")
        self.fit = cloud.reference(self.points)
        raw = self.points.select(FEATURES).to_numpy().astype(np.float64)
        self.vectors = embedding.standardized(raw, self.fit)
        self.layer = cloud.numbers(self.points)
        self.people = self.layer == cloud.LAYERS.index("humans")
        self.rows = np.zeros(len(self.points), dtype=bool)
        self.damage = told(run.damage)  # as the points, of the moment in which the map was opened
        self.mapped = len(self.points)  # conversations that have a place on the map
        self.layout_name, self.what, self.color_by = "pca", "fingerprints", "layer"
        self.wanted = self.layout_name, self.what
        self.said = self.opened = ""
        self.near: list[tuple[int, float]] = []
        self.takeaway = cloud.takeaway(self.vectors, self.layer)
        self._task: asyncio.Task[None] | None = None
        self.canvas = Canvas(
            layer=bytes(self.layer),
            generation=self.points["generation"].to_numpy().astype(np.int16).tobytes(),
            shapes=[cloud.LOOKS[name].shape for name in cloud.LAYERS],
            names=[cloud.LOOKS[name].name for name in cloud.LAYERS],
            layers=[name != "dp" for name in cloud.LAYERS],
            until=int(self.points["generation"].max() or 0),  # type: ignore[arg-type]
        )
        self.canvas.on_msg(self._brushed)
        self.controls = View(self._act, label="Settings of the map")
        self.side = View(self._act, label="Selection of the map")
        self._place(embedding.pca(self.vectors, self.fit), self.vectors, self.fit)
        self._paint()
        self._draw()
        self._open("")
        self.canvas.layout = ipywidgets.Layout(width="64%")
        self.side.layout = ipywidgets.Layout(width="36%", max_height="560px", overflow="auto")
        super().__init__([self.controls, ipywidgets.HBox([self.canvas, self.side])])

    # -- public -----------------------------------------------------------------------------------

    @property
    def selection(self) -> pl.DataFrame:
        """The selected conversations as a frame."""
        return self.points.filter(pl.Series(self.rows))

    def select(self, rows: Any) -> None:
        """Select conversations by row number or by a Boolean mask; the map shows them."""
        self.rows = np.zeros(len(self.points), dtype=bool)
        self.rows[np.asarray(rows)] = True
        shown = np.flatnonzero(self.rows)
        marks = shown[cloud.drawn(self.layer[shown], cloud.MOST_DRAWN // 2)]
        self.canvas.drawn_selection = marks.astype(np.uint32).tobytes()
        self._open("")

    # -- placing and painting ---------------------------------------------------------------------

    async def _vectors_of(self, what: str) -> tuple[np.ndarray, np.ndarray]:
        """Return vectors, and which rows have one."""
        if what == "fingerprints":
            return self.vectors, np.ones(len(self.points), dtype=bool)
        texts = self.points["policy"] if what == "policies" else cloud.said(self.run, self.points)
        have = (texts.str.strip_chars().str.len_chars() > 0).fill_null(value=False).to_numpy()
        if not have.any():
            raise WorkbenchError(f"No conversation of this run has {WHAT[what]} to map.")
        home = asyncio.get_running_loop()

        def say(text: str) -> None:  # called on another thread
            home.call_soon_threadsafe(self._say, text)

        found = await embedding.embed(texts.fill_null("").to_list(), self.model, self.base_url, say=say)
        return found, have

    async def _show(self, layout: str, what: str) -> None:
        """Lay out anew: by PCA at once, by UMAP when it is there; the map stays usable."""
        vectors, have = await self._vectors_of(what)
        fit = self.fit & have if (self.fit & have).sum() > 3 else have
        for name in dict.fromkeys(("pca" if what != self.what else layout, layout)):
            place = embedding.umap(vectors[have], fit[have], say=self._say) if name == "umap" else None
            flat = np.full((len(vectors), 2), np.nan, dtype=np.float32)
            flat[have] = await place if place else embedding.pca(vectors[have], fit[have])
            self.layout_name, self.what = name, what
            self._place(flat, vectors, fit)
            self._draw()

    def _place(self, flat: np.ndarray, vectors: np.ndarray, fit: np.ndarray) -> None:
        """Show a layout: its extent, the marks that are drawn, the names of groups."""
        have = np.isfinite(flat[:, 0])
        low, high = np.quantile(flat[have], 0.002, axis=0), np.quantile(flat[have], 0.998, axis=0)
        pad = 0.06 * np.maximum(high - low, 1e-6)
        low, high = low - pad, high + pad
        rows = np.flatnonzero(have)
        self.mapped = len(rows)
        group, names = cloud.clusters(vectors, fit, have, self.vectors)
        with self.canvas.hold_sync():
            self.canvas.extent = [float(v) for v in (low[0], high[0], low[1], high[1])]
            self.canvas.xy = np.where(have[:, None], np.clip(flat, low, high), AWAY).astype("<f4").tobytes()
            self.canvas.drawn = rows[cloud.drawn(self.layer[rows])].astype(np.uint32).tobytes()
            self.canvas.labels = [
                [*map(float, np.median(flat[group == k], axis=0)), name]
                for k, name in enumerate(names)
                if name
            ]
            self.canvas.label = (
                f"Map of {self.mapped:,} conversations by {WHAT[self.what]}, {self.layout_name.upper()}"
            )

    def _paint(self) -> None:
        """Color the points by what was chosen; the legend says what the colors mean."""
        p, by = self.points, self.color_by
        if by == "layer":
            values, palette = self.layer, [cloud.LOOKS[n].color for n in cloud.LAYERS]
            self.legend: list[tuple[str, str]] = []  # the layers' boxes are the legend
        elif by == "likeness":
            steps = len(SCALE)
            level = (p["likeness"] * steps).floor().clip(0, steps - 1).fill_null(steps + 1).to_numpy()
            values, palette = (
                np.where(self.people, steps, level),
                [*SCALE, cloud.LOOKS["humans"].color, "#999999"],
            )
            self.legend = [(c, f"{i / steps:.2f}–{(i + 1) / steps:.2f}") for i, c in enumerate(SCALE)]
            self.legend += [(palette[-2], "people"), (palette[-1], "not scored")]
        else:
            names = p["axes"].list.first() if by == "axis" else p["task_id" if by == "task" else by]
            names = names.cast(pl.String)
            counted = (
                names.drop_nulls().value_counts(sort=True).sort("count", names.name, descending=[True, False])
            )
            top, palette = counted[names.name].to_list()[: len(PALETTE) - 1], list(PALETTE)
            values = names.replace_strict(top, range(len(top)), default=len(PALETTE) - 1).to_numpy()
            self.legend = list(zip(PALETTE, top, strict=False))
            rest = "others" if len(counted) > len(top) else "none" if names.null_count() else ""
            self.legend += [(PALETTE[-1], rest)] if rest else []
        self.canvas.palette, self.canvas.color = palette, values.astype(np.uint8).tobytes()

    # -- what the page asks for -------------------------------------------------------------------

    def _brushed(self, _: Any, content: Any, buffers: Any = None) -> None:
        def act() -> None:
            if "pick" in content:
                self._pick(int(content["pick"]))
            elif content.get("brush"):
                rows = np.frombuffer(buffers[0], dtype=np.uint32) if buffers else np.zeros(0, dtype=np.uint32)
                self.canvas.picked, self.canvas.near = -1, []
                self.select(rows[rows < len(self.points)])

        self.side.note = ""
        if isinstance(content, dict):
            self.side.guard(act)

    def _pick(self, row: int) -> None:
        if not -1 <= row < len(self.points):
            raise WorkbenchError(f"There is no point {row}.")
        self.canvas.picked = row
        among = ~self.people if row >= 0 and self.people[row] else self.people
        self.near = cloud.nearest(self.vectors, row, among) if row >= 0 else []
        self.canvas.near = [i for i, _ in self.near]
        self._open("")

    def _act(self, go: str, fields: dict[str, Any]) -> None:
        verb, _, what = go.partition(":")
        if verb == "layers":
            self.canvas.layers = [
                bool(fields.get(f"layer-{n}", on))
                for n, on in zip(cloud.LAYERS, self.canvas.layers, strict=True)
            ]
        elif verb == "until":
            self.canvas.until = int(fields["until"])
            self.canvas.since = self.canvas.until if fields.get("only") else 0
        elif verb == "color":
            self.color_by = str(fields["color"])
            self._paint()
        elif verb in {"layout", "what"}:
            self._change(str(fields["layout"]), str(fields["what"]))
        elif verb == "halt":
            self._halt()
        elif verb == "clear":
            self._pick(-1)
            self.select(np.zeros(0, dtype=int))
        elif verb == "save":
            path = Path("selection.csv").resolve()
            keep = self.selection.with_columns(pl.col("axes").list.join(" "))
            keep.write_csv(path)
            self.side.note = f'<p role="status">{len(keep)} rows written to {esc(path)}.</p>'
        elif verb == "pick":
            self._pick(int(what))
        elif verb in {"open", "close"}:
            self._open(what)
        self._draw()

    def _change(self, layout: str, what: str) -> None:
        """Change the layout, in the background where there is a loop."""
        if layout not in {"pca", "umap"} or what not in WHAT:
            raise WorkbenchError(f"There is no layout {layout} of {what}.")
        self._halt()
        self.wanted = layout, what
        try:
            home = asyncio.get_running_loop()
        except RuntimeError:
            loop.run(self._show(layout, what))
        else:
            self.said = f"{layout.upper()} of {WHAT[what]} …"
            self._task = home.create_task(self._later(layout, what))

    async def _later(self, layout: str, what: str) -> None:
        try:
            await self._show(layout, what)
        except Exception as error:
            self.controls.show_error(error)
        self._halt()
        self._draw()

    def _halt(self) -> None:
        """Give up the layout that is being computed, if one is."""
        task, self._task = self._task, None
        if task and not task.done() and task is not asyncio.current_task():
            task.cancel()
        self.said, self.wanted = "", (self.layout_name, self.what)

    # -- drawing ----------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        if self._task:
            self.said = text
            self._draw()

    def _draw(self) -> None:
        self.controls.top = map_panel.controls(self)

    def _open(self, dialogue_id: str) -> None:
        """Show a conversation beside the map; without one, the selection."""
        self.opened = dialogue_id
        self.side.body = map_panel.side(self)


def persona_map(run: Run, *, model: str = embedding.MODEL, base_url: str | None = None) -> PersonaMap:
    """Show people and personas of a run on a map.

    Parameters
    ----------
    run
        The run to show.
    model, base_url
        The embeddings endpoint for policy texts and words; the default is the rehearsal's, a stand-in. The key
        comes from OPENAI_API_KEY.

    Raises
    ------
    WorkbenchError
        When the run has no conversation yet.
    """
    return PersonaMap(run, model, base_url)
