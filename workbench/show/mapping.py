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
from workbench.show import cloud, embedding
from workbench.show.markup import button, empty, esc, table
from workbench.show.people_tabs import chat_html, fault_turns
from workbench.show.style import FEATURE_NAMES, LOOKS, PALETTE, change, share
from workbench.show.tables import provenance
from workbench.show.view import View

GRID = 64  # cells a side of the density
SCALE = ("#5A6FC0", "#5B8FC4", "#7AA6A8", "#A8AE7A", "#CFAE4A", "#E39A1E")  # seen on white and on black
WHAT = {"fingerprints": "behavior (19 features)", "policies": "policy texts", "turns": "what users said"}
COLORS = {
    "layer": "condition",
    "likeness": "P(human)",
    "success": "success",
    "fault": "fault",
    "task": "task",
    "axis": "first axis",
}
NAMES = list(FEATURE_NAMES.values())


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
        self._open = ""
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
        self._open = ""
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
        self._legend = legend
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
        self._near = cloud.nearest(self.vectors, row, among) if row >= 0 else []
        self.canvas.near = [i for i, _ in self._near]
        self._open = ""
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
            self._open = what
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
        self.controls.top = self._controls()
        self.side.body = self._side()

    def _controls(self) -> str:
        def pick(name: str, options: dict[str, str], now: str) -> str:
            items = "".join(
                f'<option value="{v}"{" selected" if v == now else ""}>{esc(t)}</option>'
                for v, t in options.items()
            )
            return f'<select name="{name}" data-go="{name}" aria-label="{name}">{items}</select>'

        last = int(self.points["generation"].max() or 0)  # type: ignore[arg-type]
        present = set(self.points["layer"])
        boxes = "".join(
            f'<label><input type="checkbox" name="layer-{n}" data-go="layers"{" checked" if on else ""}> '
            f'<span style="color:{LOOKS[n].color}">{LOOKS[n].sign}</span> {LOOKS[n].name}</label>'
            for n, on in zip(cloud.LAYERS, self.canvas.layers, strict=True)
            if n in present
        )
        only = " checked" if self.canvas.since == self.canvas.until and self.canvas.since else ""
        slider = (
            f'<label style="flex:1;display:flex;gap:6px">generations up to <input type="range" name="until" data-go="until" min="0" max="{last}" '
            f'value="{self.canvas.until}"> <b>{self.canvas.until}</b></label><label><input type="checkbox" name="only" data-go="until"{only}> only this one</label>'
        )
        legend = (
            " ".join(
                f'<span class="small"><span style="color:{c}">■</span> {esc(t, 30)}</span>'
                for c, t in self._legend
            )
            if self.color_by != "layer"
            else ""
        )
        stand_in = (
            " · words hashed by the rehearsal embedding, a stand-in"
            if self.what != "fingerprints" and self.model == embedding.MODEL
            else ""
        )
        missing = "" if self.what == "fingerprints" else " · people have no text here"
        said = f'<p class="dim" role="status">{esc(self.said)}</p>' if self.said else ""
        return (
            f'<div class="bar"><b>{esc(provenance(self.run))}</b><span class="grow"></span><span class="dim">{len(self.points):,} conversations{stand_in}{missing}</span></div>'
            f'<div class="bar">{pick("what", WHAT, self.what)}{pick("layout", {"pca": "PCA", "umap": "UMAP"}, self.layout_name)}'
            f'<label>color {pick("color", COLORS, self.color_by)}</label>{boxes}</div><div class="bar">{slider}</div>{said}<div class="bar">{legend}</div>'
        )

    def _side(self) -> str:
        if self._open:
            return f'<div class="bar">{button("close:", "◀ back to the selection")}</div>{self._conversation(self._open)}'
        if self.canvas.picked >= 0:
            return self._picked()
        n = int(self.rows.sum())
        if not n:
            return "<h4>Nothing is selected</h4>" + empty(
                "Drag over the map to select conversations; click one to see who is nearest to it. Esc clears."
            )
        chosen = self.selection
        mix = ", ".join(
            f"{LOOKS[k].name} {v}" for k, v in chosen["layer"].value_counts(sort=True).iter_rows()
        )
        covered = cloud.share_covered(self.vectors, self.people, self.rows)
        rows = [
            [esc(name), f"{change(gap, 1)} sd"] for name, gap in cloud.telling(self.vectors, self.rows, NAMES)
        ]
        facts = [
            f"P(human) {share(_mean(chosen['likeness']))}",
            f"success {share(_mean(chosen['success'].cast(pl.Float64)))}",
        ]
        cover = (
            f'<p>They cover {covered:.0%} of the people <span class="dim">(someone of them as near as people are to each other)</span>.</p>'
            if covered is not None
            else ""
        )
        listed = chosen.filter(pl.col("layer") != "humans").head(60)
        links = [self._row(r) for r in listed.iter_rows(named=True)]
        more = (
            f'<p class="dim">{len(listed)} of {len(chosen)} are listed.</p>'
            if len(chosen) > len(listed)
            else ""
        )
        return (
            f'<h4>{n:,} selected</h4><p>{esc(mix)}</p><p class="dim">{" · ".join(facts)}</p>{cover}'
            f"<h5>What tells them from the rest</h5>{table(['feature', 'difference'], rows, numbers=(1,)) if rows else empty('Nothing: they are like the rest.')}"
            f'<div class="bar">{button("save", "Save as CSV")}{button("clear", "Clear")}</div>'
            f"<h5>Conversations</h5>{''.join(links)}{more}"
        )

    def _row(self, r: dict[str, Any]) -> str:
        return (
            f'<div data-go="open:{esc(r["dialogue_id"])}" tabindex="0" role="button"><span style="color:{LOOKS[r["layer"]].color}">{LOOKS[r["layer"]].sign}</span> '
            f'{share(r["likeness"])} <span class="mono">{esc(r["dialogue_id"], 60)}</span></div>'
        )

    def _picked(self) -> str:
        at = self.canvas.picked
        me = self.points.row(at, named=True)
        human = me["layer"] == "humans"
        who = "personas" if human else "people"
        rows = []
        for i, distance in self._near:
            r = self.points.row(i, named=True)
            name = f'<a data-go="pick:{i}" tabindex="0" role="button">{esc(r["dialogue_id"], 46)}</a>'
            rows.append(
                [
                    f'<span style="color:{LOOKS[r["layer"]].color}">{LOOKS[r["layer"]].sign}</span>',
                    name,
                    f"{distance:.1f}",
                ]
            )
        own = [(NAMES[i], float(self.vectors[at, i])) for i in np.argsort(-np.abs(self.vectors[at]))[:5]]
        traits = ", ".join(f"{name} {change(v, 1)} sd" for name, v in own)
        talk = (
            "<p class='dim'>A person's words are not shipped, only the fingerprint.</p>"
            if human
            else f"<p>{button('open:' + me['dialogue_id'], 'Read the conversation')}</p>"
        )
        axes = f"<p>axes: {esc(', '.join(me['axes']))}</p>" if me["axes"] else ""
        return (
            f'<h4>{esc(me["dialogue_id"], 80)}</h4><p>{LOOKS[me["layer"]].name} · P(human) {share(me["likeness"])}</p><p class="dim">{esc(traits)}</p>{axes}{talk}'
            f"<h5>Nearest {who}, in the 19 features</h5>{table(['', who, 'distance'], rows, numbers=(2,))}<div class='bar'>{button('clear', 'Clear')}</div>"
        )

    def _conversation(self, dialogue_id: str) -> str:
        turns = self.run.turns.filter(dialogue_id=dialogue_id).sort("turn").collect()
        about = (
            self.run.episodes.filter(dialogue_id=dialogue_id)
            .drop("user_prompt", "agent_prompt")
            .head(1)
            .collect()
            .to_dicts()
        )
        row = self.points.filter(dialogue_id=dialogue_id).row(0, named=True)
        policy = (
            f'<details><summary>Policy</summary><pre class="box">{esc(row["policy"])}</pre></details>'
            if row["policy"]
            else ""
        )
        head = f'<h4>{esc(dialogue_id)}</h4><p class="dim">P(human) {share(row["likeness"])} · {esc(row["fault"] or "no fault found")}</p>'
        return head + policy + chat_html(turns, fault_turns(about[0]) if about else None)


def _mean(values: pl.Series) -> float | None:
    known = values.drop_nulls().to_numpy()
    return float(known.mean()) if len(known) else None


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
