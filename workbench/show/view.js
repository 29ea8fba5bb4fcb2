// Shows escaped HTML that Python wrote, part by part, and sends back clicks, keys and fields.
const PARTS = ["top", "bar", "card", "tabs", "body", "live", "note"];
const KEYS = { ArrowLeft: "back", ArrowRight: "next", Home: "first", End: "last", " ": "play", b: "best" };

// Copies an element's text; where the browser forbids it, the text is left selected.
async function copyText(element) {
  getSelection().selectAllChildren(element);
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    return false;
  }
}

function render({ model, el }) {
  el.classList.add("wb");
  el.tabIndex = 0;
  el.setAttribute("role", "region");
  el.setAttribute("aria-label", model.get("label"));
  el.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab's own keys would cut cells here
  let held = null; // a slider being dragged is not replaced: what it changes is drawn when it is let go
  let slid = -Infinity; // when a slider was last moved
  const later = new Map();
  el.addEventListener("pointerdown", (event) => (held = event.target.matches("input[type=range]") ? event.target : null));
  const release = () => {
    held = null;
    later.forEach((draw) => draw());
    later.clear();
  };
  for (const kind of ["pointerup", "pointercancel"]) window.addEventListener(kind, release);
  for (const name of PARTS) {
    const part = document.createElement("div");
    part.className = `wb-${name}`;
    part.setAttribute("aria-live", name === "note" ? "assertive" : "off");
    el.append(part);
    const draw = () => {
      if (held && part.contains(held)) return later.set(name, draw);
      const focused = part.contains(document.activeElement) ? document.activeElement : undefined;
      const active = focused?.dataset.go;
      const kept = {}, typed = {};
      part.querySelectorAll("input[type=number]").forEach((e) => (typed[e.name] = e.value));
      part.querySelectorAll("[data-scroll]").forEach((e) => (kept[e.dataset.scroll] = [e.scrollTop, e.scrollLeft]));
      part.innerHTML = model.get(name);
      part.querySelectorAll("[data-scroll]").forEach((e) => {
        [e.scrollTop, e.scrollLeft] = kept[e.dataset.scroll] ?? [0, 0];
      });
      part.querySelectorAll("input[type=number]").forEach((e) => (e.value = typed[e.name] ?? e.value));
      const again = active && part.querySelector(`[data-go="${CSS.escape(active)}"]`);
      again?.focus({ preventScroll: true });
      // A slider moved by keys is ahead of what is drawn: the answers to earlier keys do not take it back.
      if (again?.matches("input[type=range]") && performance.now() - slid < 1000) again.value = focused.value;
    };
    model.on(`change:${name}`, draw);
    draw();
  }
  const send = (go) => {
    const fields = {};
    el.querySelectorAll("[name]").forEach((e) => (fields[e.name] = e.type === "checkbox" ? e.checked : e.value));
    model.send({ go, fields });
  };
  el.addEventListener("click", (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      copyText(copy.previousElementSibling).then((done) => (copy.textContent = done ? "Copied" : "Press Ctrl+C"));
      return;
    }
    const target = event.target.closest("[data-go]");
    if (target && !target.matches("input, select") && target.getAttribute("aria-disabled") !== "true") {
      event.preventDefault();
      send(target.dataset.go);
    }
  });
  el.addEventListener("input", (event) => {
    if (!event.target.matches("input[type=range][data-go]")) return;
    slid = performance.now();
    send(event.target.dataset.go);
  });
  el.addEventListener("change", (event) => {
    if (event.target.matches("select[data-go], input[data-go]:not([type=range])")) send(event.target.dataset.go);
  });
  el.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    if (target.matches("textarea, select, input:not([type=range]):not([type=checkbox])")) {
      event.stopPropagation();
      return;
    }
    if ((event.key === "Enter" || event.key === " ") && target.matches("[data-go], [data-copy]")) {
      if (!target.matches("button, input")) {
        event.preventDefault();
        send(target.dataset.go);
      }
      return event.stopPropagation();
    }
    if (target.matches("summary") && event.key === " ") return event.stopPropagation();
    if (target.matches("input[type=range]") && /^(Arrow|Home|End|Page)/.test(event.key)) return event.stopPropagation();
    const go = KEYS[event.key] ?? (/^[1-9]$/.test(event.key) ? `tab:${event.key}` : undefined);
    if (go) {
      event.preventDefault();
      event.stopPropagation();
      send(go);
    }
  });
  return () => ["pointerup", "pointercancel"].forEach((kind) => window.removeEventListener(kind, release));
}

export default { render };
