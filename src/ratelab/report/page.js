"use strict";
// Everything here is an addition: without scripts the page shows the static figures and all numbers.
(() => {
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const narrow = window.matchMedia("(max-width: 40rem)");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const touch = window.matchMedia("(pointer: coarse)");
  const plots = new Map();
  const REACH = 20;  // pixels around a point that still mean it, as plotly's labels have it
  if (!window.Plotly) return;
  document.documentElement.classList.add("scripted");

  const element = (tag, text, attributes = {}) => {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  // Plotly reads a few HTML tags in its labels; names from recipes are plain text.
  const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  function source(key) {
    const onPage = document.querySelector(`img[data-picture="${key}"]`);
    return data.pictures[key] || (onPage ? onPage.src : "");
  }

  function colours() {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(name).trim();
    return { ink: read("--ink"), soft: read("--soft"), line: read("--line"), paper: read("--paper"), wash: read("--wash"), hull: read("--hull") };
  }

  function line(corners, total, name, style) {
    return {
      type: "scatter", mode: "lines", name, line: style, hoverinfo: "skip",
      x: corners.map(([rate]) => rate),
      y: corners.map(([rate, distortion]) => (total ? rate + distortion : distortion)),
    };
  }

  function points(family, total) {
    const heights = total ? family.total : family.distortion;
    const column = (records, key) => records.map((record) => record[key]);
    const bars = (records) => ({ type: "data", array: column(records, "error"), thickness: 1.2, width: 0 });
    return {
      type: "scatter", mode: "markers", name: plain(family.name), customdata: family.runs,
      x: column(family.rate, "value"), y: column(heights, "value"),
      error_x: bars(family.rate), error_y: bars(heights),
      marker: { color: family.colour, symbol: family.symbol, size: 10, line: { color: "#ffffff", width: 1 } },
      text: family.runs.map((run, i) =>
        `<b>${plain(family.name)}</b><br>${plain(family.settings[i])}<br>R = ${family.rate[i].text}<br>` +
        `D = ${family.distortion[i].text}<br>D + R = ${family.total[i].text}<br>${run}`),
      hovertemplate: "%{text}<extra></extra>",
    };
  }

  function ring(plane, run, total, colour) {
    for (const family of plane.families) {
      const i = family.runs.indexOf(run);
      if (i < 0) continue;
      const height = (total ? family.total : family.distortion)[i].value;
      return [{
        type: "scatter", mode: "markers", x: [family.rate[i].value], y: [height], hoverinfo: "skip", showlegend: false,
        marker: { symbol: "circle-open", size: 20, color: colour, line: { width: 2.5 } },
      }];
    }
    return [];
  }

  // The axes hold the points and their bars, not the ends of the lines.
  function ranges(plane, total) {
    const all = plane.families.flatMap((family) => family.rate.map((rate, i) => ({ rate, height: (total ? family.total : family.distortion)[i] })));
    const right = Math.max(...all.map(({ rate }) => rate.value + rate.error), 1e-3);
    const left = Math.min(0, ...all.map(({ rate }) => rate.value));
    const low = Math.min(...all.map(({ height }) => height.value - height.error));
    const high = Math.max(...all.map(({ height }) => height.value + height.error));
    const room = 0.07 * Math.max(high - low, 1e-3);
    return { x: [left - 0.03 * right, 1.06 * right], y: [low - room, high + room] };
  }

  function draw(box) {
    const { plane, total, run } = plots.get(box);
    const c = colours();
    const traces = [
      line(plane.hat, total, plane.hatLabel, { color: c.ink, width: 1.5, dash: "dash" }),
      line(plane.hull, total, "convex hull", { color: c.hull, width: 4 }),
      line(plane.frontier, total, "achieved frontier", { color: c.ink, width: 1.5 }),
      ...ring(plane, run, total, c.ink),
      ...plane.families.map((family) => points(family, total)),
    ];
    const axis = { gridcolor: c.line, zeroline: false, linecolor: c.soft, showline: true, ticks: "outside", tickcolor: c.soft, automargin: true };
    const range = ranges(plane, total);
    const layout = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: c.ink, family: getComputedStyle(document.body).fontFamily, size: 13 },
      margin: { l: narrow.matches ? 48 : 64, r: 12, t: 12, b: 52 },
      xaxis: { ...axis, title: { text: "rate R (nats)", standoff: 8 }, range: range.x },
      yaxis: { ...axis, title: { text: total ? "D + R (nats)" : "distortion D (nats)" }, range: range.y },
      legend: { orientation: "h", x: 0, yref: "container", y: 0, yanchor: "bottom", font: { size: 12 }, itemwidth: 30 },
      hoverlabel: { bgcolor: c.wash, bordercolor: c.soft, font: { color: c.ink }, align: "left" },
      dragmode: touch.matches ? false : "zoom",
      hovermode: "closest",
    };
    const settings = { responsive: true, displayModeBar: false, doubleClick: "reset" };
    return window.Plotly.react(box.querySelector(".plot"), traces, layout, settings);
  }

  // The run whose point lies nearest to where the pointer was pressed. Plotly's own answer may be the point that was hovered before.
  function nearest(box, event) {
    const { plane, total } = plots.get(box);
    const { xaxis, yaxis } = event.points[0];
    const area = box.querySelector(".plot .nsewdrag").getBoundingClientRect();
    const at = event.event.changedTouches?.[0] ?? event.event;
    const [x, y] = [at.clientX - area.left, at.clientY - area.top];
    let [found, least] = [null, Infinity];
    for (const family of plane.families) {
      const heights = total ? family.total : family.distortion;
      family.runs.forEach((run, i) => {
        const far = Math.hypot(xaxis.c2p(family.rate[i].value) - x, yaxis.c2p(heights[i].value) - y);
        if (far < least) [found, least] = [run, far];
      });
    }
    return least <= REACH ? found : null;
  }

  // The pictures and numbers of a run, in the panel of the drawing that it was chosen in.
  function fill(box, run) {
    const detail = box.querySelector(".detail");
    const back = element("p", `Run ${run}. `);
    back.append(element("a", "Back to all runs", { href: `#${box.dataset.plane}-runs` }));
    detail.replaceChildren(element("h4", data.names[run], { tabindex: "-1" }), back);
    box.querySelector("[role=status]").textContent = `Showing ${data.names[run]}.`;
    const pictures = element("div", "", { class: "pictures" });
    for (const [caption, key] of Object.entries(data.shown[run] || {})) {
      const figure = element("figure");
      figure.append(element("img", "", { src: source(key), alt: `${caption} of ${data.names[run]}` }), element("figcaption", caption));
      pictures.append(figure);
    }
    if (!pictures.childElementCount) {
      const why = data.leftOut.includes(run) ? "Its pictures are in its run folder; with them this page would be too large." : "This run has no pictures.";
      pictures.append(element("p", why));
    }
    detail.append(pictures);
    const numbers = document.getElementById(`estimates-${run}`)?.querySelector(".box");
    if (numbers) {
      const copy = numbers.cloneNode(true);
      copy.setAttribute("aria-label", `Estimates of the chosen run ${run}`);
      detail.append(copy);
    }
    for (const row of document.querySelectorAll("tr[data-row]")) row.classList.toggle("chosen", row.dataset.row === run);
  }

  function show(box, run) {
    fill(box, run);
    plots.get(box).run = run;
    draw(box);
  }

  for (const box of document.querySelectorAll(".interactive")) {
    plots.set(box, { plane: data.planes[box.dataset.plane], total: false, run: null });
    box.hidden = false;
    box.nextElementSibling.style.display = "none";
    draw(box).then((plot) => plot.on("plotly_click", (event) => {
      const run = nearest(box, event);
      if (run) show(box, run);
    }));
    for (const choice of box.querySelectorAll("input[type=radio]")) {
      choice.addEventListener("change", () => { plots.get(box).total = choice.value === "total"; draw(box); });
    }
  }
  for (const box of document.querySelectorAll(".landscape")) {
    box.hidden = false;
    box.nextElementSibling.style.display = "none";
    drawLandscape(box, data.planes[box.dataset.plane].landscapes[Number(box.dataset.land)], (run) => fill(box, run));
  }
  for (const button of document.querySelectorAll("button.pick")) {
    const box = document.querySelector(`.interactive[data-plane="${button.dataset.plane}"]`);
    if (!box) { button.remove(); continue; }
    button.addEventListener("click", () => {
      show(box, button.dataset.run);
      box.querySelector(".detail h4").focus();
    });
  }
  for (const query of [dark, narrow]) query.addEventListener("change", () => plots.forEach((_, box) => draw(box)));
})();
