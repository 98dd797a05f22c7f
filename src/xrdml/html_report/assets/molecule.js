"use strict";
// Draws the atoms of the page's data block on a canvas: drag, wheel, buttons and keys turn and measure them.
(() => {
  const data = JSON.parse(document.getElementById("molecule").textContent);
  const canvas = document.getElementById("molecule-view");
  const output = document.getElementById("molecule-picked");
  const context = canvas.getContext("2d");
  const media = matchMedia("(prefers-color-scheme: dark)");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const centre = [0, 1, 2].map((i) => data.atoms.reduce((sum, a) => sum + a.xyz[i], 0) / data.atoms.length);
  const from = (p) => p.map((x, i) => x - centre[i]);
  const atoms = data.atoms.map((a) => ({ ...a, at: from(a.xyz) }));
  const corners = [];
  for (let i = 0; i < 8; i++) {
    const n = [i & 1, (i >> 1) & 1, (i >> 2) & 1];
    corners.push(from([0, 1, 2].map((k) => data.cell.reduce((sum, axis, j) => sum + n[j] * axis[k], 0))));
  }
  const edges = [];
  for (let i = 0; i < 8; i++) for (const j of [1, 2, 4]) if (!(i & j)) edges.push([i, i | j]);
  const reach = (points) => Math.max(...points.map((p) => Math.hypot(...p)));
  const show = { labels: atoms.length <= 40, cell: false, hydrogens: true, spin: false };
  const extent = [0, 1].map((i) => 1.3 + Math.max(...atoms.map((a) => Math.abs(data.axes[i].reduce((sum, x, k) => sum + x * a.at[k], 0)))));
  const FAR = 6; // eye distance in radii: a gentle perspective
  let turn, zoom, picked = [], printing = false, frame = 0, places = [];

  const times = (a, b) => a.map((row) => [0, 1, 2].map((j) => row.reduce((sum, x, k) => sum + x * b[k][j], 0)));
  const about = (axis, angle) => {
    const c = Math.cos(angle), s = Math.sin(angle);
    return axis === "x" ? [[1, 0, 0], [0, c, -s], [0, s, c]]
      : axis === "y" ? [[c, 0, s], [0, 1, 0], [-s, 0, c]] : [[c, -s, 0], [s, c, 0], [0, 0, 1]];
  };
  const rotate = (axis, angle) => { turn = times(about(axis, angle), turn); redraw(); };
  const enlarge = (factor) => { zoom = Math.min(8, Math.max(0.3, zoom * factor)); redraw(); };
  const reset = () => { turn = data.axes; zoom = 1; picked = []; say(); redraw(); };
  const redraw = () => { if (!frame) frame = requestAnimationFrame(draw); };
  const shown = (a) => show.hydrogens || a.element !== "H";

  function colours() {
    const style = getComputedStyle(document.documentElement);
    const dark = media.matches && !printing;
    const read = (name, light) => (printing ? light : style.getPropertyValue(name).trim() || light);
    return { ink: read("--ink", "#000"), card: read("--card", "#fff"), soft: read("--soft", "#555"),
      mark: read("--s2", "#c2500a"), bond: dark ? "#8d98a8" : "#6d7684", rim: dark ? "#0008" : "#0006" };
  }

  function draw() {
    frame = 0;
    const ratio = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
    canvas.width = Math.max(1, Math.round(box.width * ratio));
    canvas.height = Math.max(1, Math.round(box.height * ratio));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const radius = Math.max(2, reach((show.cell ? corners : []).concat(atoms.map((a) => a.at)))) + 1;
    const room = Math.min(box.width, box.height) / 2 / radius;
    // A long molecule may fill a wide canvas, and leaves it a little when it is turned upright.
    const fit = show.cell ? room : Math.min(box.width / extent[0], box.height / extent[1]) / 2;
    const scale = zoom * Math.max(room, Math.min(fit, 1.6 * room));
    const place = (p) => {
      const q = turn.map((row) => row.reduce((sum, x, k) => sum + x * p[k], 0));
      const near = FAR / (FAR - q[2] / radius);
      return { x: box.width / 2 + q[0] * scale * near, y: box.height / 2 - q[1] * scale * near, z: q[2],
        near: near * scale, depth: (q[2] / radius + 1) / 2 };
    };
    const c = colours();
    places = atoms.map((a) => place(a.at));
    const items = [];
    if (show.cell) drawCell(corners.map(place), c);
    data.bonds.forEach(([i, j]) => {
      if (shown(atoms[i]) && shown(atoms[j])) items.push([(places[i].z + places[j].z) / 2 - 0.05, () => drawBond(i, j, c)]);
    });
    atoms.forEach((a, i) => { if (shown(a)) items.push([places[i].z, () => drawAtom(a, i, c)]); });
    items.sort((a, b) => a[0] - b[0]).forEach((item) => item[1]());
    if (show.labels) atoms.forEach((a, i) => { if (shown(a) && !a.image) drawLabel(a, places[i], c); });
    if (show.spin) { turn = times(about("y", 0.012), turn); redraw(); }
  }

  function drawCell(p, c) {
    context.lineWidth = 1;
    context.strokeStyle = c.soft;
    edges.forEach(([i, j]) => line(p[i], p[j]));
    context.fillStyle = c.ink;
    context.font = "italic 14px serif";
    [["o", 0], ["a", 1], ["b", 2], ["c", 4]].forEach(([name, i]) => context.fillText(name, p[i].x + 4, p[i].y - 4));
  }

  function line(a, b) {
    context.beginPath();
    context.moveTo(a.x, a.y);
    context.lineTo(b.x, b.y);
    context.stroke();
  }

  function drawBond(i, j, c) {
    const a = places[i], b = places[j];
    context.globalAlpha = (atoms[i].image || atoms[j].image ? 0.35 : 1) * (0.45 + 0.55 * (a.depth + b.depth) / 2);
    context.lineCap = "round";
    context.lineWidth = Math.max(1.5, 0.085 * (a.near + b.near));
    context.strokeStyle = c.bond;
    line(a, b);
    context.globalAlpha = 1;
  }

  function drawAtom(a, i, c) {
    const p = places[i], r = Math.max(2.5, 0.33 * a.radius * p.near);
    context.globalAlpha = a.image ? 0.35 : 1;
    context.beginPath();
    context.arc(p.x, p.y, r, 0, 2 * Math.PI);
    context.fillStyle = a.colour;
    context.fill();
    const light = context.createRadialGradient(p.x - r * 0.35, p.y - r * 0.4, r * 0.05, p.x, p.y, r);
    light.addColorStop(0, "#fffb");
    light.addColorStop(0.45, "#fff0");
    light.addColorStop(1, "#0005");
    context.fillStyle = light;
    context.fill();
    context.lineWidth = picked.includes(i) ? 3 : 1;
    context.strokeStyle = picked.includes(i) ? c.mark : c.rim;
    context.stroke();
    context.globalAlpha = 1;
  }

  function drawLabel(a, p, c) {
    const r = 0.33 * a.radius * p.near;
    context.font = `${Math.max(11, Math.min(15, 0.26 * p.near))}px system-ui, sans-serif`;
    context.lineWidth = 3;
    context.strokeStyle = c.card;
    context.globalAlpha = 0.55 + 0.45 * p.depth;
    context.strokeText(a.label, p.x + 0.75 * r + 2, p.y - 0.75 * r - 2);
    context.fillStyle = c.ink;
    context.fillText(a.label, p.x + 0.75 * r + 2, p.y - 0.75 * r - 2);
    context.globalAlpha = 1;
  }

  const minus = (a, b) => a.map((x, i) => x - b[i]);
  const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const degrees = (x) => `${((x * 180) / Math.PI).toFixed(1)}°`;
  const between = (a, b) => degrees(Math.acos(Math.max(-1, Math.min(1, dot(a, b) / Math.hypot(...a) / Math.hypot(...b)))));

  function say() {
    const [a, b, c, d] = picked.map((i) => atoms[i].xyz);
    const names = picked.map((i) => atoms[i].label).join("–");
    let text = "";
    if (picked.length === 1) text = `${names}  U ${atoms[picked[0]].u.toFixed(3)} Å²${atoms[picked[0]].image ? " (symmetry image)" : ""}`;
    if (picked.length === 2) text = `${names}  ${Math.hypot(...minus(a, b)).toFixed(3)} Å`;
    if (picked.length === 3) text = `${names}  ${between(minus(a, b), minus(c, b))}`;
    if (picked.length === 4) {
      const n = cross(minus(b, a), minus(c, b)), m = cross(minus(c, b), minus(d, c));
      const sine = dot(cross(n, m), minus(c, b)) / Math.hypot(...minus(c, b));
      text = `${names}  ${degrees(Math.atan2(sine, dot(n, m)))}`;
    }
    output.textContent = text;
  }

  function pick(i) {
    picked = picked.includes(i) ? picked.filter((j) => j !== i) : [...(picked.length > 3 ? [] : picked), i];
    say();
    redraw();
  }

  function atomAt(x, y) {
    let best = -1, height = -Infinity;
    places.forEach((p, i) => {
      const near = Math.hypot(p.x - x, p.y - y) < Math.max(10, 0.36 * atoms[i].radius * p.near);
      if (near && shown(atoms[i]) && p.z > height) { best = i; height = p.z; }
    });
    return best;
  }

  function step(by) {
    const seen = atoms.map((a, i) => i).filter((i) => shown(atoms[i]));
    const last = picked.length ? seen.indexOf(picked[picked.length - 1]) : by > 0 ? -1 : 0;
    picked = [...picked.slice(0, -1), seen[(last + by + seen.length) % seen.length]];
    say();
    redraw();
  }

  function toggle(name) {
    show[name] = !show[name];
    document.querySelector(`[data-toggle="${name}"]`)?.setAttribute("aria-pressed", show[name]);
    redraw();
  }

  const pointers = new Map();
  let moved = 0;
  canvas.addEventListener("pointerdown", (e) => {
    canvas.setPointerCapture(e.pointerId);
    pointers.set(e.pointerId, e);
    if (pointers.size === 1) moved = 0;
  });
  canvas.addEventListener("pointermove", (e) => {
    const before = pointers.get(e.pointerId);
    if (!before) return;
    const dx = e.clientX - before.clientX, dy = e.clientY - before.clientY;
    if (pointers.size === 1) {
      moved += Math.abs(dx) + Math.abs(dy);
      rotate("y", dx * 0.01);
      rotate("x", dy * 0.01);
    } else {
      const other = [...pointers.values()].find((p) => p.pointerId !== e.pointerId);
      const span = (p) => Math.hypot(p.clientX - other.clientX, p.clientY - other.clientY) || 1;
      moved += 9;
      enlarge(span(e) / span(before));
    }
    pointers.set(e.pointerId, e);
  });
  canvas.addEventListener("pointerup", (e) => {
    if (pointers.size === 1 && moved < 5) {
      const box = canvas.getBoundingClientRect(), i = atomAt(e.clientX - box.left, e.clientY - box.top);
      if (i >= 0) pick(i);
    }
    pointers.delete(e.pointerId);
  });
  canvas.addEventListener("pointercancel", (e) => pointers.delete(e.pointerId));
  canvas.addEventListener("wheel", (e) => {
    // A page that is scrolled must not get stuck on the picture.
    if (document.activeElement !== canvas && !e.ctrlKey) return;
    e.preventDefault();
    enlarge(Math.exp(-e.deltaY * 0.0015));
  }, { passive: false });
  const keys = {
    ArrowLeft: () => rotate("y", -0.1), ArrowRight: () => rotate("y", 0.1), ArrowUp: () => rotate("x", -0.1),
    ArrowDown: () => rotate("x", 0.1), ",": () => rotate("z", 0.1), ".": () => rotate("z", -0.1),
    "+": () => enlarge(1.15), "=": () => enlarge(1.15), "-": () => enlarge(1 / 1.15), 0: reset, Home: reset,
    l: () => toggle("labels"), c: () => toggle("cell"), h: () => toggle("hydrogens"), s: () => toggle("spin"),
    n: () => step(1), p: () => step(-1), m: () => { if (picked.length) { picked = [...picked.slice(-3), picked[picked.length - 1]]; step(1); } },
    Escape: () => { picked = []; say(); redraw(); },
  };
  canvas.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || !keys[e.key]) return;
    e.preventDefault();
    keys[e.key]();
  });
  const actions = { in: () => enlarge(1.25), out: () => enlarge(0.8), reset };
  document.querySelectorAll("[data-action]").forEach((b) => b.addEventListener("click", actions[b.dataset.action]));
  document.querySelectorAll("[data-toggle]").forEach((b) => {
    b.setAttribute("aria-pressed", show[b.dataset.toggle]);
    b.addEventListener("click", () => toggle(b.dataset.toggle));
  });
  media.addEventListener("change", redraw);
  still.addEventListener("change", () => { if (still.matches && show.spin) toggle("spin"); });
  addEventListener("beforeprint", () => { printing = true; draw(); });
  addEventListener("afterprint", () => { printing = false; draw(); });
  new ResizeObserver(redraw).observe(canvas);
  reset();
  canvas.dataset.ready = "true";
})();
