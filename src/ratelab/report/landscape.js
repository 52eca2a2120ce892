"use strict";
// Grids of two-layer models, each as four drawings that can be clicked: a surface that can be turned, the rates, the prices, the hull.
// Plain SVG and an orthographic projection; page.js calls this for every grid and says what a click does.
function drawLandscape(box, land, choose) {
  const WIDTH = 420, HEIGHT = 330, REACH = 16;
  const SCALE = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];  // cividis
  const START = { turn: -0.95, tilt: 0.42 };
  const state = { score: 0, run: null, ...START };
  const drawings = new Map();  // name -> [svg, [{x, y, run}]]
  const select = box.querySelector("select");

  const make = (tag, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    return made;
  };
  const short = (value) => String(Number(value.toPrecision(3)));
  const score = () => land.scores[state.score];
  const known = () => land.cells.map((cell, i) => ({ ...cell, i, value: score().values[i], text: score().texts[i] })).filter(({ value }) => value !== null);
  const range = (values) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const about = high > low ? 0 : 0.05 * (Math.abs(low) || 1); // equal values lie in the middle of a scale
    return [low - about, high + about];
  };

  function colour(share) {
    const at = Math.min(Math.max(share, 0), 1) * (SCALE.length - 1);
    const i = Math.min(Math.floor(at), SCALE.length - 2);
    const parts = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
    const [a, b] = [parts(SCALE[i]), parts(SCALE[i + 1])];
    return `rgb(${a.map((v, k) => Math.round(v + (b[k] - v) * (at - i))).join(",")})`;
  }

  function describe(cell) {
    const [upper, lower] = [land.upper[cell.at[0]], land.lower[cell.at[1]]];
    const kind = cell.role ? `, ${cell.role === "beta-VAE" ? "β-VAE" : cell.role}` : "";
    return `β₂ = ${short(upper)}, β₁ = ${short(lower)}${kind}\nR₂ = ${short(cell.rates[0])}, R₁ = ${short(cell.rates[1])} nats\n${score().name}: ${cell.text}`;
  }

  // A run: its disc, the circles of what it is, and where a click means it.
  function mark(into, cell, x, y, fill, hit, radius = 5) {
    const group = make("g", { class: "run", "data-run": cell.run });
    if (fill) group.append(make("circle", { cx: x, cy: y, r: radius, fill, class: "dot" }));
    const kinds = [cell.role === "VAE" ? "vae" : cell.role ? "beta" : "", score().hull.includes(cell.i) ? "best" : ""].filter(Boolean);
    kinds.forEach((kind, i) => group.append(make("circle", { cx: x, cy: y, r: radius + 2.5 + 3 * i, class: `ring ${kind}` })));
    if (cell.run === state.run) group.append(make("circle", { cx: x, cy: y, r: radius + 9, class: "ring chosen" }));
    group.append(make("title", {}, describe(cell)));
    into.append(group);
    hit.push({ x, y, run: cell.run });
    return group;
  }

  function words(svg, x, y, text, anchor = "middle", turn = 0) {
    svg.append(make("text", { x, y, "text-anchor": anchor, ...(turn ? { transform: `rotate(${turn} ${x} ${y})` } : {}) }, text));
  }

  function line(svg, a, b, kind) {
    svg.append(make("line", { x1: a[0], y1: a[1], x2: b[0], y2: b[1], class: kind }));
  }

  // Three to seven round numbers within a range.
  function ticks(low, high) {
    const rough = (high - low) / 4;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= 0.8 * rough);
    const first = Math.ceil(low / step - 1e-9);
    return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
  }

  // A frame with ticks; returns where data coordinates lie.
  function frame(svg, [left, right], [low, high], across, up) {
    const [x0, x1, y0, y1] = [58, WIDTH - 12, HEIGHT - 46, 12];
    const x = (v) => x0 + ((v - left) / (right - left)) * (x1 - x0);
    const y = (v) => y0 + ((v - low) / (high - low)) * (y1 - y0);
    line(svg, [x0, y0], [x1, y0], "axis");
    line(svg, [x0, y0], [x0, y1], "axis");
    for (const h of ticks(left, right)) {
      words(svg, x(h), y0 + 16, short(h));
      line(svg, [x(h), y0], [x(h), y0 + 4], "axis");
    }
    for (const v of ticks(low, high)) {
      words(svg, x0 - 6, y(v) + 4, short(v), "end");
      line(svg, [x0 - 4, y(v)], [x0, y(v)], "axis");
    }
    words(svg, (x0 + x1) / 2, HEIGHT - 8, across);
    words(svg, 14, (y0 + y1) / 2, up, "middle", -90);
    return { x, y };
  }

  function surface(svg, hit) {
    const cells = known();
    const [tops, [low, high]] = [[0, 1].map((k) => Math.max(...cells.map((c) => c.rates[k]), 1e-9)), range(cells.map((c) => c.value))];
    const [cosine, sine, up, away] = [Math.cos(state.turn), Math.sin(state.turn), Math.cos(state.tilt), Math.sin(state.tilt)];
    const project = ([x, y, z]) => {  // from the unit cube to [across, down, distance]
      const [a, b, c] = [x - 0.5, y - 0.5, 0.72 * (z - 0.5)];
      const [right, far] = [a * cosine - b * sine, a * sine + b * cosine];
      return [WIDTH / 2 + 245 * right, HEIGHT / 2 - 4 - 245 * (c * up + far * away), far * up - c * away];
    };
    const place = (cell) => [cell.rates[0] / tops[0], cell.rates[1] / tops[1], (cell.value - low) / (high - low)];
    const near = (axis) => (project(axis === 0 ? [0.5, 0, 0] : [0, 0.5, 0])[2] < project(axis === 0 ? [0.5, 1, 0] : [1, 0.5, 0])[2] ? 0 : 1);
    const [frontY, frontX] = [near(0), near(1)];
    const corner = [[0, 0], [0, 1], [1, 0], [1, 1]].sort((a, b) => project([...a, 0])[0] - project([...b, 0])[0])[0];
    const floor = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]].map((p) => project(p).slice(0, 2).join(",")).join(" ");
    svg.append(make("polygon", { points: floor, class: "floor" }));
    line(svg, project([...corner, 0]), project([...corner, 1]), "axis");
    const ends = { x: [[0, frontY, 0], [1, frontY, 0]], y: [[frontX, 0, 0], [frontX, 1, 0]] };
    for (const [k, [start, end]] of [ends.x, ends.y].entries()) {
      line(svg, project(start), project(end), "axis");
      const middle = project(start.map((v, i) => (v + end[i]) / 2));
      words(svg, middle[0] + (middle[0] < WIDTH / 2 ? -12 : 12), middle[1] + 26, k === 0 ? "R₂ (nats)" : "R₁ (nats)");
      words(svg, project(end)[0], project(end)[1] + 16, short(tops[k]));
    }
    const at = new Map(cells.map((cell) => [cell.at.join(), cell]));
    const pieces = [];
    for (const cell of cells) {
      const ring = [[0, 0], [1, 0], [1, 1], [0, 1]].map(([i, j]) => at.get([cell.at[0] + i, cell.at[1] + j].join()));
      pieces.push({ far: project(place(cell))[2] - 0.02, draw: () => { const [x, y] = project(place(cell)); mark(svg, cell, x, y, colour(place(cell)[2]), hit, 3.5); } });
      if (ring.some((c) => !c)) continue;
      const corners = ring.map((c) => project(place(c)));
      const mean = (of) => ring.reduce((sum, c, i) => sum + of(c, i), 0) / 4;
      const attributes = { points: corners.map((c) => c.slice(0, 2).join(",")).join(" "), fill: colour(mean((c) => place(c)[2])), class: "face" };
      pieces.push({ far: mean((_, i) => corners[i][2]), draw: () => svg.append(make("polygon", attributes)) });
    }
    pieces.sort((a, b) => b.far - a.far).forEach((piece) => piece.draw());
    words(svg, project([...corner, 1])[0], project([...corner, 1])[1] - 8, `${score().name}, ${short(low)} to ${short(high)}`, "start");
  }

  function rates(svg, hit) {
    const cells = known();
    const [right, top] = [0, 1].map((k) => 1.08 * Math.max(...cells.map((c) => c.rates[k]), 1e-9));
    const [low, high] = range(cells.map((c) => c.value));
    const { x, y } = frame(svg, [0, right], [0, top], "rate of the top layer R₂ (nats)", "rate of the lower layer R₁ (nats)");
    for (let k = 1; k <= 6; k += 1) {  // constant total rate
      const total = ((right + top) * k) / 7;
      const [a, b] = [[Math.max(0, total - top), Math.min(total, top)], [Math.min(total, right), Math.max(0, total - right)]];
      line(svg, [x(a[0]), y(a[1])], [x(b[0]), y(b[1])], "iso");
      words(svg, x(b[0]) - 3, y(b[1]) - 3, `R = ${short(total)}`, "end");
      svg.lastChild.setAttribute("class", "soft");
    }
    for (const cell of cells) mark(svg, cell, x(cell.rates[0]), y(cell.rates[1]), colour((cell.value - low) / (high - low)), hit);
  }

  function prices(svg, hit) {
    const cells = known();
    const [low, high] = range(cells.map((c) => c.value));
    const [x0, x1, y0, y1] = [62, WIDTH - 12, HEIGHT - 46, 12];
    const [wide, tall] = [(x1 - x0) / land.upper.length, (y0 - y1) / land.lower.length];
    const every = Math.ceil(Math.max(land.upper.length, land.lower.length) / 8);
    svg.append(make("rect", { x: x0, y: y1, width: x1 - x0, height: y0 - y1, class: "empty" }));
    for (const cell of cells) {
      const [x, y] = [x0 + cell.at[0] * wide, y0 - (cell.at[1] + 1) * tall];
      const tile = make("rect", { x, y, width: wide + 0.3, height: tall + 0.3, fill: colour((cell.value - low) / (high - low)) });
      mark(svg, cell, x + wide / 2, y + tall / 2, "", hit, Math.min(4, tall / 5)).prepend(tile);
    }
    land.upper.forEach((beta, i) => { if (i % every === 0) words(svg, x0 + (i + 0.5) * wide, y0 + 16, short(beta)); });
    land.lower.forEach((beta, j) => { if (j % every === 0) words(svg, x0 - 6, y0 - (j + 0.5) * tall + 4, short(beta), "end"); });
    words(svg, (x0 + x1) / 2, HEIGHT - 8, "price of the top layer β₂");
    words(svg, 14, (y0 + y1) / 2, "price of the lower layer β₁", "middle", -90);
  }

  function hull(svg, hit) {
    const cells = known();
    const [low, high] = range(cells.map((c) => c.value));
    const room = 0.06 * (high - low);
    const { x, y } = frame(svg, [0, 1.05 * Math.max(...cells.map((c) => c.total), 1e-9)], [low - room, high + room], "total rate R (nats)", score().name);
    const best = score().hull.map((i) => [land.cells[i].total, score().values[i]]);
    svg.append(make("polyline", { points: best.map(([a, b]) => `${x(a)},${y(b)}`).join(" "), class: "best-line" }));
    for (const cell of cells) mark(svg, cell, x(cell.total), y(cell.value), colour((cell.value - low) / (high - low)), hit, 4);
  }

  const PAINTERS = { surface, rates, prices, hull };

  function paint(name) {
    const hit = [];
    const svg = box.querySelector(`svg.${name}`);
    svg.replaceChildren();
    PAINTERS[name](svg, hit);
    drawings.set(name, [svg, hit]);
  }

  function told() {
    const cells = known();
    const [low, high] = range(cells.map((c) => c.value));
    const bar = box.querySelector("svg.scale");
    bar.replaceChildren(...SCALE.map((fill, i) => make("rect", { x: 60 + 14 * i, y: 2, width: 14.4, height: 12, fill })));
    words(bar, 54, 13, short(low), "end");
    words(bar, 206, 13, short(high), "start");
    const [grid, lacking] = [land.upper.length * land.lower.length, land.cells.length - cells.length];
    const holes = grid - land.cells.length;
    const missing = [holes ? `${holes} of ${grid} pairs of prices have no run` : "", lacking ? `${lacking} of ${land.cells.length} runs lack this score` : ""];
    box.querySelector(".missing").textContent = missing.filter(Boolean).join("; ");
  }

  function paintAll() {
    told();
    Object.keys(PAINTERS).forEach(paint);
  }

  function pick(name, event) {
    const [svg, hit] = drawings.get(name);
    const area = svg.getBoundingClientRect();
    const [x, y] = [((event.clientX - area.left) / area.width) * WIDTH, ((event.clientY - area.top) / area.height) * HEIGHT];
    const reach = name === "prices" ? Math.max((WIDTH - 70) / land.upper.length, REACH) : REACH;
    const found = hit.map((h) => ({ ...h, far: Math.hypot(h.x - x, h.y - y) })).sort((a, b) => a.far - b.far)[0];
    if (!found || found.far > reach) return;
    state.run = found.run;
    paintAll();
    choose(found.run);
  }

  function turn(across, down) {
    state.turn += across;
    state.tilt = Math.min(Math.max(state.tilt + down, 0), Math.PI / 2);
    paint("surface");
  }

  for (const name of Object.keys(PAINTERS)) {
    const svg = box.querySelector(`svg.${name}`);
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    let held = null;
    svg.addEventListener("pointerdown", (event) => { held = { x: event.clientX, y: event.clientY, moved: false }; });
    svg.addEventListener("pointermove", (event) => {
      if (!held || name !== "surface" || !event.buttons) return;
      const [across, down] = [event.clientX - held.x, event.clientY - held.y];
      if (!held.moved && Math.hypot(across, down) < 4) return;
      if (!held.moved) svg.setPointerCapture(event.pointerId);
      held = { x: event.clientX, y: event.clientY, moved: true };
      turn(-across / 120, down / 160);
    });
    svg.addEventListener("pointerup", (event) => { if (held && !held.moved) pick(name, event); held = null; });
    svg.addEventListener("pointercancel", () => { held = null; });
  }
  const steps = { left: [0.2, 0], right: [-0.2, 0], up: [0, 0.12], down: [0, -0.12] };
  for (const button of box.querySelectorAll("button[data-turn]")) {
    const step = steps[button.dataset.turn];
    button.addEventListener("click", () => { if (step) turn(...step); else { Object.assign(state, START); paint("surface"); } });
  }
  land.scores.forEach(({ name, better }, i) => {
    const option = document.createElement("option");
    option.value = String(i);
    option.textContent = `${name}, ${better} is better`;
    select.append(option);
  });
  select.addEventListener("change", () => { state.score = Number(select.value); paintAll(); });
  paintAll();
}
