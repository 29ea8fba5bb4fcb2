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
from workbench.evolve.run import Run
from workbench.measure import FEATURES
from workbench.show import cloud, embedding, map_panel
from workbench.show.map_panel import WHAT
from workbench.show.markup import esc
from workbench.show.style import LOOKS, PALETTE
from workbench.show.view import View

GRID = 64  # cells a side of the density
SCALE = ("#5A6FC0", "#5B8FC4", "#7AA6A8", "#A8AE7A", "#CFAE4A", "#E39A1E")  # seen on white and on black


class Canvas(anywidget.AnyWidget):
    """The points on a canvas; draws, and says what was brushed or clicked."""

    _esm = Path(__file__).with_name("map.js").read_text()
    label = traitlets.Unicode("").tag(sync=True)
    xy = traitlets.Bytes(b"").tag(sync=True)
    color = traitlets.Bytes(b"").tag(sync=True)
    layer = traitlets.Bytes(b"").tag(sync=True)
    generation = traitlets.Bytes(b"").tag(sync=True)
    drawn = traitlets.Bytes(b"").tag(sync=True)
    density = traitlets.Bytes(b"").tag(sync=True)
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
        self.people = (self.points["layer"] == "humans").to_numpy()
        self.rows = np.zeros(len(self.points), dtype=bool)
        self.layout_name, self.what, self.color_by = "pca", "fingerprints", "layer"
        self.said = ""
        self.opened = ""
        self._task: asyncio.Task[None] | None = None
        self._groups = cloud.clusters(self.vectors, self.fit)
        self.canvas = Canvas(
            layer=bytes(self._layer_numbers()),
            generation=self.points["generation"].to_numpy().astype(np.int16).tobytes(),
            shapes=[LOOKS[name].shape for name in cloud.LAYERS],
            names=[LOOKS[name].name for name in cloud.LAYERS],
            layers=[name != "dp" for name in cloud.LAYERS],
            until=int(self.points["generation"].max() or 0),  # type: ignore[arg-type]
        )
        self.canvas.on_msg(self._brushed)
        self.controls = View(self._act, label="Settings of the map")
        self.side = View(self._act, label="Selection of the map")
        self._place(self._flat())
        self._paint()
        self._draw()
        wide = ipywidgets.Layout(width="64%")
        self.canvas.layout, self.side.layout = (
            wide,
            ipywidgets.Layout(width="36%", max_height="560px", overflow="auto"),
        )
        super().__init__([self.controls, ipywidgets.HBox([self.canvas, self.side])])

    # -- public -----------------------------------------------------------------------------------

    @property
    def selection(self) -> pl.DataFrame:
        """The selected conversations as a frame."""
        return self.points.filter(pl.Series(self.rows))

    def select(self, rows: Any) -> None:
        """Select conversations by row number or by a Boolean mask; the map shows them."""
        chosen = np.zeros(len(self.points), dtype=bool)
        chosen[np.asarray(rows)] = True
        self.rows = chosen
        shown = np.flatnonzero(chosen)
        self.canvas.drawn_selection = (
            shown[cloud.drawn(self._layer_numbers()[shown])].astype(np.uint32).tobytes()
        )
        self.opened = ""
        self._draw()

    # -- placing and painting ---------------------------------------------------------------------

    def _layer_numbers(self) -> np.ndarray:
        number = {name: i for i, name in enumerate(cloud.LAYERS)}
        return np.array([number[name] for name in self.points["layer"]], dtype=np.uint8)

    def _vectors_of(self, what: str) -> tuple[np.ndarray, np.ndarray]:
        """Return vectors, and which rows have one."""
        if what == "fingerprints":
            return self.vectors, np.ones(len(self.points), dtype=bool)
        texts = self.points["policy"].fill_null("").to_list() if what == "policies" else self._said()
        have = np.array([bool(t.strip()) for t in texts])
        if not have.any():
            raise WorkbenchError(f"No conversation of this run has {WHAT[what]} to map.")
        return embedding.embed(texts, self.model, self.base_url), have

    def _said(self) -> list[str]:
        said = (
            self.run.turns.filter(role="user")
            .sort("dialogue_id", "turn")
            .group_by("dialogue_id")
            .agg(said=pl.col("content").str.join("\n"))
            .collect()
        )
        return (
            self.points.select("dialogue_id")
            .join(said, on="dialogue_id", how="left", maintain_order="left")["said"]
            .fill_null("")
            .to_list()
        )

    def _flat(self, layout: str = "pca", what: str = "fingerprints") -> np.ndarray:
        vectors, have = self._vectors_of(what)
        flat = np.full((len(vectors), 2), np.nan, dtype=np.float32)
        fit = self.fit[have] if (self.fit & have).sum() > 3 else np.ones(int(have.sum()), dtype=bool)
        place = embedding.pca if layout == "pca" else embedding.umap
        flat[have] = place(vectors[have], fit)
        return flat

    def _place(self, flat: np.ndarray) -> None:
        """Show a layout: its extent, the density of people, the marks that are drawn, the names of groups."""
        have = np.isfinite(flat[:, 0])
        low, high = np.quantile(flat[have], 0.002, axis=0), np.quantile(flat[have], 0.998, axis=0)
        pad = 0.06 * np.maximum(high - low, 1e-6)
        low, high = low - pad, high + pad
        flat = np.where(have[:, None], np.clip(flat, low, high), 1e9).astype(np.float32)
        crowd = flat[self.people & have]
        density = np.zeros((GRID, GRID))
        if len(crowd):
            cells = ((crowd - low) / (high - low) * GRID).astype(int).clip(0, GRID - 1)
            np.add.at(density, (cells[:, 1], cells[:, 0]), 1.0)
            from scipy.ndimage import gaussian_filter

            density = gaussian_filter(density, 1.6)
            density /= density.max()
        numbers = self._layer_numbers()
        rows = np.flatnonzero(have)
        group, names = self._groups
        labels = []
        for k, name in enumerate(names):
            mine = have & (group == k)
            if self.what == "fingerprints" and mine.sum() >= max(5, 0.01 * len(flat)):
                labels.append([*map(float, np.median(flat[mine], axis=0)), name])
        with self.canvas.hold_sync():
            self.canvas.extent = [float(v) for v in (low[0], high[0], low[1], high[1])]
            self.canvas.xy = np.ascontiguousarray(flat).tobytes()
            self.canvas.density = density.astype(np.float32).tobytes()
            self.canvas.drawn = rows[cloud.drawn(numbers[rows])].astype(np.uint32).tobytes()
            self.canvas.labels = labels
            self.canvas.label = (
                f"Map of {len(rows):,} conversations by {WHAT[self.what]}, {self.layout_name.upper()}"
            )

    def _paint(self) -> None:
        """Color the points by what was chosen; the legend says what the colors mean."""
        p, by = self.points, self.color_by
        if by == "layer":
            values, palette = self._layer_numbers(), [LOOKS[n].color for n in cloud.LAYERS]
            legend = [
                (LOOKS[n].color, f"{LOOKS[n].sign} {LOOKS[n].name}")
                for n in cloud.LAYERS
                if n in set(p["layer"])
            ]
        elif by == "likeness":
            known = p["likeness"].is_not_null().to_numpy()
            level = np.nan_to_num(p["likeness"].to_numpy().astype(float), nan=0.0)
            step = np.clip((level * len(SCALE)).astype(int), 0, len(SCALE) - 1)
            values = np.where(self.people, len(SCALE), np.where(known, step, len(SCALE) + 1))
            palette = [*SCALE, LOOKS["humans"].color, "#999999"]
            legend = [(c, f"{i / len(SCALE):.2f}–{(i + 1) / len(SCALE):.2f}") for i, c in enumerate(SCALE)]
            legend += [(palette[-2], "people"), (palette[-1], "not scored")]
        else:
            if by == "task":
                names = p["task_id"].fill_null("(none)")
            elif by == "axis":
                names = p["axes"].list.first().fill_null("(none)")
            else:
                names = p[by].cast(pl.String).fill_null("(none)")
            top = names.value_counts(sort=True)[names.name].to_list()[: len(PALETTE) - 1]
            number = {n: i for i, n in enumerate(top)}
            values = np.array([number.get(n, len(PALETTE) - 1) for n in names])
            palette = list(PALETTE)
            legend = [(PALETTE[i], str(n)) for n, i in number.items()]
            legend += [(PALETTE[-1], "others")] if names.n_unique() > len(top) else []
        self.legend = legend
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
        self.opened = ""
        self._draw()

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
            self.opened = what
        self._draw()

    def _change(self, layout: str, what: str) -> None:
        """Change the layout: PCA at once, UMAP in the background while the map stays usable."""
        if layout not in {"pca", "umap"} or what not in WHAT:
            raise WorkbenchError(f"There is no layout {layout} of {what}.")
        if self._task:
            self._task.cancel()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if layout == "pca" or loop is None:
            self._arrive(self._flat(layout, what), layout, what)
            return
        self._place_pca_of(what)
        self.said = f"UMAP of {WHAT[what]} is being computed; the first time takes about half a minute …"
        self._task = loop.create_task(self._later(layout, what))

    def _place_pca_of(self, what: str) -> None:
        if what != self.what:
            self._arrive(self._flat("pca", what), "pca", what)

    async def _later(self, layout: str, what: str) -> None:
        try:
            flat = await asyncio.get_running_loop().run_in_executor(None, self._flat, layout, what)
        except Exception as error:
            self.said = ""
            self.controls.show_error(error)
        else:
            self._arrive(flat, layout, what)
        self._draw()

    def _arrive(self, flat: np.ndarray, layout: str, what: str) -> None:
        self.layout_name, self.what, self.said = layout, what, ""
        self._place(flat)

    # -- drawing ----------------------------------------------------------------------------------

    def _draw(self) -> None:
        self.controls.top = map_panel.controls(self)
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
