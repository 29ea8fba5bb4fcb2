// A scatter of many points on a canvas over their density: brush, click, layers and generations without the kernel.
const SHAPES = {
  circle: (c, x, y, r) => { c.beginPath(); c.arc(x, y, r, 0, 7); c.fill(); },
  square: (c, x, y, r) => c.fillRect(x - r, y - r, 2 * r, 2 * r),
  "triangle-up": (c, x, y, r) => { c.beginPath(); c.moveTo(x, y - r * 1.2); c.lineTo(x + r * 1.1, y + r); c.lineTo(x - r * 1.1, y + r); c.fill(); },
  "triangle-right": (c, x, y, r) => { c.beginPath(); c.moveTo(x + r * 1.2, y); c.lineTo(x - r, y + r * 1.1); c.lineTo(x - r, y - r * 1.1); c.fill(); },
  diamond: (c, x, y, r) => { c.beginPath(); c.moveTo(x, y - r * 1.3); c.lineTo(x + r * 1.1, y); c.lineTo(x, y + r * 1.3); c.lineTo(x - r * 1.1, y); c.fill(); },
  cross: (c, x, y, r) => { const w = r * 0.42; c.fillRect(x - w, y - r, 2 * w, 2 * r); c.fillRect(x - r, y - w, 2 * r, 2 * w); },
};

const array = (view, Kind) => new Kind(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));

const PEOPLE = 0, CANDIDATES = 5; // layers: candidates are many and lie below all others, people above
const GRID = 64; // cells a side of the densities
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// Counts of points by cell, smoothed twice and scaled to the fullest cell.
function density(cells) {
  let grid = new Float32Array(GRID * GRID);
  for (const cell of cells) grid[cell]++;
  for (let pass = 0; pass < 4; pass++) {
    const step = pass % 2 ? GRID : 1, next = grid.slice();
    for (let i = step; i < grid.length - step; i++) next[i] = (grid[i - step] + 2 * grid[i] + grid[i + step]) / 4;
    grid = next;
  }
  const most = grid.reduce((a, b) => Math.max(a, b), 0) || 1;
  return grid.map((v) => v / most);
}

function render({ model, el }) {
  const canvas = document.createElement("canvas"), still = document.createElement("canvas");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  canvas.style.cssText = "width:100%;height:520px;display:block;touch-action:none;cursor:crosshair;outline-color:#56b4e9";
  el.append(canvas);
  const tip = document.createElement("div");
  tip.style.cssText = "position:absolute;pointer-events:none;display:none;padding:2px 6px;font-size:12px;border:1px solid var(--jp-border-color2);background:var(--jp-layout-color0);color:var(--jp-content-font-color1);max-width:320px";
  el.style.position = "relative";
  el.append(tip);
  let xy, color, layer, generation, drawn, shown, chosen = new Set(), brush = null, pending = false, fresh = false;
  const height = (i) => (layer[i] === PEOPLE ? 9 : layer[i] === CANDIDATES ? 0 : layer[i]);
  const below = (i, j) => height(i) - height(j) || i - j;
  const load = () => {
    xy = array(model.get("xy"), Float32Array);
    color = array(model.get("color"), Uint8Array);
    layer = array(model.get("layer"), Uint8Array);
    generation = array(model.get("generation"), Int16Array);
    drawn = array(model.get("drawn"), Uint32Array).sort(below);
  };
  const box = () => {
    const [x0, x1, y0, y1] = model.get("extent");
    const w = canvas.clientWidth, h = canvas.clientHeight;
    return { w, h, sx: (v) => 14 + ((v - x0) / (x1 - x0)) * (w - 28), sy: (v) => h - 14 - ((v - y0) / (y1 - y0)) * (h - 28) };
  };
  const look = () => {
    const layers = model.get("layers"), since = model.get("since"), until = model.get("until");
    shown = layer.map((kind, i) => layers[kind] && xy[2 * i] < 1e8 && (generation[i] < 0 || (generation[i] >= since && generation[i] <= until)));
  };
  const shade = (c, people) => {
    const [x0, x1, y0, y1] = model.get("extent"), { sx, sy } = box(), cells = [];
    for (let i = 0; i < layer.length; i++) {
      if (!shown[i] || (layer[i] === PEOPLE) !== people) continue;
      const gx = Math.min(GRID - 1, Math.floor(((xy[2 * i] - x0) / (x1 - x0)) * GRID));
      cells.push(gx + GRID * Math.min(GRID - 1, Math.floor(((xy[2 * i + 1] - y0) / (y1 - y0)) * GRID)));
    }
    if (!cells.length) return;
    const wide = (sx(x1) - sx(x0)) / GRID, high = (sy(y0) - sy(y1)) / GRID;
    density(cells).forEach((v, i) => {
      if (v < 0.02) return;
      c.fillStyle = people ? `rgba(0,158,115,${0.42 * v})` : `rgba(168,156,200,${0.5 * v})`;
      c.fillRect(sx(x0) + (i % GRID) * wide, sy(y0) - (Math.floor(i / GRID) + 1) * high, wide + 0.5, high + 0.5);
    });
  };
  // All but the brush, kept as a picture so that dragging redraws nothing.
  const paint = () => {
    const { w, h, sx, sy } = box(), scale = window.devicePixelRatio || 1, c = still.getContext("2d");
    still.width = w * scale;
    still.height = h * scale;
    c.scale(scale, scale);
    look();
    if (drawn.length < layer.length) shade(c, false);
    shade(c, true);
    const palette = model.get("palette"), shapes = model.get("shapes"), some = chosen.size > 0;
    const r = drawn.length > 4000 ? 2.4 : drawn.length > 1200 ? 3.2 : 4.2;
    let marks = 0;
    const put = (i, alpha, size) => {
      c.globalAlpha = alpha;
      c.fillStyle = palette[color[i]] || "#888";
      (SHAPES[shapes[layer[i]]] || SHAPES.circle)(c, sx(xy[2 * i]), sy(xy[2 * i + 1]), size);
      marks++;
    };
    const n = drawn.length, room = Math.min(n, 10000 - chosen.size); // the selection always; of the others an even share
    drawn.forEach((i, at) => {
      if ((at * room) % n < room && shown[i] && !chosen.has(i)) put(i, some ? 0.14 : layer[i] === CANDIDATES ? 0.5 : 0.85, layer[i] === CANDIDATES ? r : r * 1.25);
    });
    for (const i of chosen) if (shown[i]) put(i, 1, r * 1.25);
    c.globalAlpha = 1;
    const ink = getComputedStyle(el).color || "#000";
    c.strokeStyle = ink;
    const ring = (i, size) => { c.beginPath(); c.arc(sx(xy[2 * i]), sy(xy[2 * i + 1]), size, 0, 7); c.stroke(); };
    const picked = model.get("picked");
    if (picked >= 0 && xy[2 * picked] < 1e8) {
      c.lineWidth = 2;
      ring(picked, 9);
      c.lineWidth = 1;
      for (const i of model.get("near").filter((i) => xy[2 * i] < 1e8)) {
        ring(i, 6);
        c.beginPath(); c.moveTo(sx(xy[2 * picked]), sy(xy[2 * picked + 1])); c.lineTo(sx(xy[2 * i]), sy(xy[2 * i + 1])); c.globalAlpha = 0.4; c.stroke(); c.globalAlpha = 1;
      }
    }
    c.font = "11px var(--jp-ui-font-family, sans-serif)";
    c.textAlign = "center";
    const placed = [];
    for (const [x, y, text] of [...model.get("labels")].sort((a, b) => b[1] - a[1])) {
      const half = c.measureText(text).width / 2 + 4, px = Math.min(Math.max(sx(x), half), w - half);
      let py = sy(y);
      for (const [qx, qy, other] of placed) if (Math.abs(qx - px) < half + other && py < qy + 13 && py > qy - 13) py = qy + 13;
      placed.push([px, py, half]);
      c.lineWidth = 3;
      c.strokeStyle = getComputedStyle(el).getPropertyValue("--jp-layout-color0") || "#fff";
      c.strokeText(text, px, py);
      c.fillStyle = ink;
      c.fillText(text, px, py);
    }
    canvas.dataset.marks = marks;
    canvas.dataset.points = shown.reduce((a, b) => a + b, 0);
    canvas.setAttribute("aria-label", `${model.get("label")}; ${marks} marks drawn, ${chosen.size} selected. Arrow keys go from point to point, drag selects.`);
  };
  const draw = () => {
    pending = false;
    const began = performance.now(), { w, h } = box(), scale = window.devicePixelRatio || 1;
    if (!w || !h) return;
    if (!fresh || still.width !== Math.floor(w * scale)) paint();
    fresh = true;
    canvas.width = w * scale;
    canvas.height = h * scale;
    const c = canvas.getContext("2d");
    c.drawImage(still, 0, 0);
    if (brush) {
      c.scale(scale, scale);
      c.strokeStyle = getComputedStyle(el).color || "#000";
      c.setLineDash([4, 3]);
      c.strokeRect(brush.x, brush.y, brush.X - brush.x, brush.Y - brush.y);
    }
    canvas.dataset.ms = Math.max(Math.round(performance.now() - began), +(canvas.dataset.ms ?? 0)) // the longest so far;
  };
  const again = () => { if (!pending) { pending = true; requestAnimationFrame(draw); } };
  const soon = () => { fresh = false; again(); };
  const take = () => {
    chosen = new Set(array(model.get("drawn_selection"), Uint32Array).sort(below));
    soon();
  };
  for (const name of ["xy", "color", "layer", "generation", "drawn"]) model.on(`change:${name}`, () => { load(); soon(); });
  for (const name of ["layers", "since", "until", "palette", "labels", "picked", "near", "extent", "label"]) model.on(`change:${name}`, soon);
  model.on("change:drawn_selection", take);
  load();
  take();
  const at = (event) => { const b = canvas.getBoundingClientRect(); return [event.clientX - b.left, event.clientY - b.top]; };
  const find = (px, py, reach) => {
    const { sx, sy } = box();
    let best = -1, least = reach * reach;
    for (const i of drawn) {
      if (!shown?.[i]) continue;
      const d = (sx(xy[2 * i]) - px) ** 2 + (sy(xy[2 * i + 1]) - py) ** 2;
      if (d < least) [best, least] = [i, d];
    }
    return best;
  };
  canvas.addEventListener("pointerdown", (event) => {
    const [x, y] = at(event);
    brush = { x, y, X: x, Y: y };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = at(event);
    if (brush) { brush.X = x; brush.Y = y; again(); return; }
    const i = find(x, y, 8);
    tip.style.display = i < 0 ? "none" : "block";
    if (i >= 0) {
      tip.textContent = model.get("names")[layer[i]] + (generation[i] >= 0 ? `, generation ${generation[i]}` : "");
      tip.style.left = `${Math.min(x + 12, canvas.clientWidth - 180)}px`;
      tip.style.top = `${y + 12}px`;
    }
  });
  canvas.addEventListener("pointerleave", () => (tip.style.display = "none"));
  canvas.addEventListener("pointerup", () => {
    if (!brush) return;
    const b = brush;
    brush = null;
    if (Math.abs(b.X - b.x) + Math.abs(b.Y - b.y) < 6) {
      model.send({ pick: find(b.x, b.y, 10) });
      return again();
    }
    const { sx, sy } = box(), inside = [];
    const [x0, x1, y0, y1] = [Math.min(b.x, b.X), Math.max(b.x, b.X), Math.min(b.y, b.Y), Math.max(b.y, b.Y)];
    for (let i = 0; i < layer.length; i++) {
      const px = sx(xy[2 * i]), py = sy(xy[2 * i + 1]);
      if (px >= x0 && px <= x1 && py >= y0 && py <= y1 && shown[i]) inside.push(i);
    }
    model.send({ brush: true }, undefined, [new Uint32Array(inside).buffer]);
    again();
  });
  canvas.addEventListener("keydown", (event) => {
    const way = ARROWS[event.key];
    if (event.key === "Escape") model.send({ brush: true }, undefined, [new Uint32Array().buffer]);
    else if (way) {
      const { w, h, sx, sy } = box(), from = model.get("picked");
      const [px, py] = from >= 0 && xy[2 * from] < 1e8 ? [sx(xy[2 * from]), sy(xy[2 * from + 1])] : [w / 2, h / 2];
      let best = -1, least = Infinity; // the nearest point in that direction, others weighed by how far they are off it
      for (const i of drawn) {
        const dx = sx(xy[2 * i]) - px, dy = sy(xy[2 * i + 1]) - py, along = dx * way[0] + dy * way[1];
        if (!shown?.[i] || i === from || along <= 0.5) continue;
        const d = along + 3 * Math.abs(dx * way[1] + dy * way[0]);
        if (d < least) [best, least] = [i, d];
      }
      if (best >= 0) model.send({ pick: best });
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const watch = new ResizeObserver(soon);
  watch.observe(canvas);
  const theme = new MutationObserver(soon);
  theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name"] });
  return () => { watch.disconnect(); theme.disconnect(); };
}

export default { render };
