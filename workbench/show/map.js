// A scatter of many points on a canvas: density of people below, brush, click, layers and generations without the kernel.
const SHAPES = {
  circle: (c, x, y, r) => { c.beginPath(); c.arc(x, y, r, 0, 7); c.fill(); },
  square: (c, x, y, r) => c.fillRect(x - r, y - r, 2 * r, 2 * r),
  "triangle-up": (c, x, y, r) => { c.beginPath(); c.moveTo(x, y - r * 1.2); c.lineTo(x + r * 1.1, y + r); c.lineTo(x - r * 1.1, y + r); c.fill(); },
  diamond: (c, x, y, r) => { c.beginPath(); c.moveTo(x, y - r * 1.3); c.lineTo(x + r * 1.1, y); c.lineTo(x, y + r * 1.3); c.lineTo(x - r * 1.1, y); c.fill(); },
  cross: (c, x, y, r) => { const w = r * 0.42; c.fillRect(x - w, y - r, 2 * w, 2 * r); c.fillRect(x - r, y - w, 2 * r, 2 * w); },
};

const array = (view, Kind) => new Kind(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));

function render({ model, el }) {
  const canvas = document.createElement("canvas");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  canvas.style.cssText = "width:100%;height:520px;display:block;touch-action:none;cursor:crosshair";
  el.append(canvas);
  const tip = document.createElement("div");
  tip.style.cssText = "position:absolute;pointer-events:none;display:none;padding:2px 6px;font-size:12px;border:1px solid var(--jp-border-color2);background:var(--jp-layout-color0);color:var(--jp-content-font-color1);max-width:320px";
  el.style.position = "relative";
  el.append(tip);
  const c = canvas.getContext("2d");
  let xy, color, layer, generation, drawn, density, chosen = new Set(), brush = null, pending = false;
  const load = () => {
    xy = array(model.get("xy"), Float32Array);
    color = array(model.get("color"), Uint8Array);
    layer = array(model.get("layer"), Uint8Array);
    generation = array(model.get("generation"), Int16Array);
    drawn = array(model.get("drawn"), Uint32Array);
    density = array(model.get("density"), Float32Array);
  };
  const box = () => {
    const [x0, x1, y0, y1] = model.get("extent");
    const w = canvas.clientWidth, h = canvas.clientHeight;
    return { w, h, sx: (v) => 14 + ((v - x0) / (x1 - x0)) * (w - 28), sy: (v) => h - 14 - ((v - y0) / (y1 - y0)) * (h - 28) };
  };
  const visible = (i) => {
    if (!model.get("layers")[layer[i]]) return false;
    return generation[i] < 0 || (generation[i] >= model.get("since") && generation[i] <= model.get("until"));
  };
  const draw = () => {
    pending = false;
    const began = performance.now(), { w, h, sx, sy } = box(), scale = window.devicePixelRatio || 1;
    if (!w || !h) return;
    canvas.width = w * scale;
    canvas.height = h * scale;
    c.scale(scale, scale);
    c.clearRect(0, 0, w, h);
    const grid = Math.round(Math.sqrt(density.length));
    if (grid && model.get("layers")[0]) {
      const [x0, x1, y0, y1] = model.get("extent");
      for (let i = 0; i < density.length; i++) {
        if (density[i] < 0.02) continue;
        const gx = i % grid, gy = Math.floor(i / grid);
        c.fillStyle = `rgba(0,158,115,${0.42 * density[i]})`;
        const left = sx(x0 + ((x1 - x0) * gx) / grid), top = sy(y0 + ((y1 - y0) * (gy + 1)) / grid);
        c.fillRect(left, top, sx(x0 + ((x1 - x0) * (gx + 1)) / grid) - left + 0.5, sy(y0 + ((y1 - y0) * gy) / grid) - top + 0.5);
      }
    }
    const palette = model.get("palette"), shapes = model.get("shapes"), some = chosen.size > 0;
    const r = drawn.length > 4000 ? 2.4 : drawn.length > 1200 ? 3.2 : 4.2;
    let marks = 0;
    const put = (i, alpha, size) => {
      c.globalAlpha = alpha;
      c.fillStyle = palette[color[i]] || "#888";
      (SHAPES[shapes[layer[i]]] || SHAPES.circle)(c, sx(xy[2 * i]), sy(xy[2 * i + 1]), size);
      marks++;
    };
    for (const i of drawn) if (visible(i) && !chosen.has(i)) put(i, some ? 0.14 : shapes[layer[i]] === "cross" && layer[i] === 5 ? 0.38 : 0.8, layer[i] === 0 ? r * 0.8 : r);
    for (const i of chosen) if (visible(i)) put(i, 1, r * 1.25);
    c.globalAlpha = 1;
    const ink = getComputedStyle(el).color || "#000";
    c.strokeStyle = ink;
    const ring = (i, size) => { c.beginPath(); c.arc(sx(xy[2 * i]), sy(xy[2 * i + 1]), size, 0, 7); c.stroke(); };
    const picked = model.get("picked");
    if (picked >= 0) {
      c.lineWidth = 2;
      ring(picked, 9);
      c.lineWidth = 1;
      for (const i of model.get("near")) {
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
    if (brush) {
      c.lineWidth = 1;
      c.strokeStyle = ink;
      c.setLineDash([4, 3]);
      c.strokeRect(brush.x, brush.y, brush.X - brush.x, brush.Y - brush.y);
      c.setLineDash([]);
    }
    canvas.dataset.marks = marks;
    canvas.dataset.ms = Math.round(performance.now() - began);
    canvas.setAttribute("aria-label", `${model.get("label")}; ${marks} marks drawn, ${chosen.size} selected`);
  };
  const soon = () => { if (!pending) { pending = true; requestAnimationFrame(draw); } };
  const take = () => {
    chosen = new Set(array(model.get("drawn_selection"), Uint32Array));
    soon();
  };
  for (const name of ["xy", "color", "layer", "generation", "drawn", "density"]) model.on(`change:${name}`, () => { load(); soon(); });
  for (const name of ["layers", "since", "until", "palette", "labels", "picked", "near", "extent", "label"]) model.on(`change:${name}`, soon);
  model.on("change:drawn_selection", take);
  load();
  take();
  const at = (event) => { const b = canvas.getBoundingClientRect(); return [event.clientX - b.left, event.clientY - b.top]; };
  const find = (px, py, reach) => {
    const { sx, sy } = box();
    let best = -1, least = reach * reach;
    for (const i of drawn) {
      if (!visible(i)) continue;
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
    if (brush) { brush.X = x; brush.Y = y; soon(); return; }
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
      return soon();
    }
    const { sx, sy } = box(), inside = [];
    const [x0, x1, y0, y1] = [Math.min(b.x, b.X), Math.max(b.x, b.X), Math.min(b.y, b.Y), Math.max(b.y, b.Y)];
    for (let i = 0; i < layer.length; i++) {
      const px = sx(xy[2 * i]), py = sy(xy[2 * i + 1]);
      if (px >= x0 && px <= x1 && py >= y0 && py <= y1 && visible(i)) inside.push(i);
    }
    model.send({ brush: true }, undefined, [new Uint32Array(inside).buffer]);
    soon();
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { model.send({ brush: true }, undefined, [new Uint32Array().buffer]); event.stopPropagation(); }
  });
  const watch = new ResizeObserver(soon);
  watch.observe(canvas);
  const theme = new MutationObserver(soon);
  theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name"] });
  return () => { watch.disconnect(); theme.disconnect(); };
}

export default { render };
