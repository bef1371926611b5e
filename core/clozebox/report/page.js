"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const NAMESPACE = document.getElementById("curves").namespaceURI;
const DASHES = ["", "7 4", "2 3", "9 3 2 3"];
const AXES = { steps: "steps", tokens: "tokens read", flops: "training FLOPs", seconds: "training time" };
const choice = { metric: 0, axis: data.budget, range: 0 };

const colour = (arm) => "var(--arm-" + (arm % 8) + ")";
const dash = (arm) => DASHES[Math.floor(arm / 8) % DASHES.length];
const known = (value) => value !== null && value !== undefined;

function add(parent, tag, attributes, text) {
  const node = document.createElementNS(NAMESPACE, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

function canvas(id, height) {
  const svg = document.getElementById(id);
  const width = Math.max(280, svg.parentElement.clientWidth);
  svg.replaceChildren();
  svg.setAttribute("viewBox", "0 0 " + width + " " + height);
  return { svg, width, height };
}

function ticks(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= raw * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return found.map((value) => ({ value, text: value.toFixed(digits).replace("-", "\u2212") }));
}

const superscript = (n) => String(n).replace(/\d/g, (d) => "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"[d]);

function unit(axis, top) {
  if (axis === "seconds") {
    if (top >= 7200) return { size: 3600, text: "hours" };
    return top >= 120 ? { size: 60, text: "minutes" } : { size: 1, text: "seconds" };
  }
  const power = 3 * Math.floor(Math.log10(Math.max(top, 1)) / 3);
  const words = { 0: "", 3: "thousands", 6: "millions", 9: "billions" };
  if (axis === "steps" && power <= 3) return { size: 1, text: "" };
  return { size: 10 ** power, text: power in words ? words[power] : "\u00d710" + superscript(power) };
}

function scale(low, high, from, to) {
  return (value) => from + ((value - low) / (high - low || 1)) * (to - from);
}

function widen(low, high, share) {
  const extra = (high - low || Math.abs(high) || 1) * share;
  return [low - extra, high + extra];
}

/* Push labels apart so that none overlaps, keeping their order. */
function spread(labels, gap, low, high) {
  labels.sort((a, b) => a.y - b.y);
  labels.forEach((label, i) => { label.y = Math.max(label.y, i ? labels[i - 1].y + gap : low); });
  for (let i = labels.length - 1, floor = high; i >= 0; i--, floor = labels[i + 1].y - gap)
    labels[i].y = Math.min(labels[i].y, floor);
}

/* Cut a text node with an ellipsis until it is at most `room` pixels wide. */
function fit(node, room) {
  let kept = node.textContent;
  while (kept.length > 1 && node.getComputedTextLength() > room) {
    kept = kept.slice(0, -1);
    node.textContent = kept + "\u2026";
  }
}

const direction = (metric) => metric.lower_is_better === null ? "" : metric.lower_is_better ? ", lower is better" : ", higher is better";

function drawCurves() {
  const metric = data.metrics[choice.metric], axis = choice.axis;
  const shown = metric.curves.map((curve, arm) => ({ arm, points: curve.filter((p) => known(p[axis])) })).filter((c) => c.points.length);
  const measure = document.getElementById("curves").parentElement.clientWidth;
  const tall = shown.length ? Math.round(Math.min(430, Math.max(270, measure * 0.48))) : 44;
  const { svg, width, height } = canvas("curves", tall);
  drawKey(shown, width);
  if (!shown.length) { add(svg, "text", { x: 0, y: 30 }, "No finished run has measured this yet."); return; }
  const direct = width >= 640;
  const top = Math.max(...shown.flatMap((c) => c.points.map((p) => p[axis])));
  const start = choice.range * top;
  const visible = shown.flatMap((c) => c.points.filter((p) => p[axis] >= start));
  const [low, high] = widen(Math.min(...visible.map((p) => p.lowest_seed)), Math.max(...visible.map((p) => p.highest_seed)), 0.06);
  const box = { left: 46, right: width - (direct ? 158 : 10), top: 30, bottom: height - 46 };
  const x = scale(start, top, box.left, box.right), y = scale(low, high, box.bottom, box.top);
  const scaled = unit(axis, top);

  const title = add(svg, "text", { x: 0, y: 12, class: "name" }, metric.name);
  add(svg, "text", { x: title.getComputedTextLength(), y: 12 }, direction(metric));
  for (const tick of ticks(low, high, height / 60)) {
    add(svg, "line", { x1: box.left, x2: box.right, y1: y(tick.value), y2: y(tick.value), class: "grid" });
    add(svg, "text", { x: box.left - 8, y: y(tick.value) + 4, "text-anchor": "end" }, tick.text);
  }
  for (const tick of ticks(start / scaled.size, top / scaled.size, width / 110))
    add(svg, "text", { x: x(tick.value * scaled.size), y: box.bottom + 18, "text-anchor": "middle" }, tick.text);
  add(svg, "text", { x: (box.left + box.right) / 2, y: height - 6, "text-anchor": "middle" }, AXES[axis] + (scaled.text ? ", " + scaled.text : ""));

  const clip = add(add(svg, "clipPath", { id: "plot" }), "rect", { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top });
  const plot = add(svg, "g", { "clip-path": "url(#plot)" });
  const path = (points, value) => points.map((p, i) => (i ? "L" : "M") + x(p[axis]).toFixed(1) + " " + y(value(p)).toFixed(1)).join("");
  for (const { arm, points } of shown) {
    const banded = points.filter((p) => known(p.low));
    if (banded.length > 1)
      add(plot, "path", { d: path(banded, (p) => p.high) + path(banded.slice().reverse(), (p) => p.low).replace("M", "L") + "Z", fill: colour(arm), opacity: 0.15 });
  }
  for (const { arm, points } of shown) {
    add(plot, "path", { d: path(points, (p) => p.mean), fill: "none", stroke: colour(arm), "stroke-width": 2, "stroke-linejoin": "round", "stroke-dasharray": dash(arm) });
    if (points.length === 1) add(plot, "circle", { cx: x(points[0][axis]), cy: y(points[0].mean), r: 4, fill: colour(arm) });
  }
  if (direct) {
    const labels = shown.map(({ arm, points }) => ({ arm, y: y(points.at(-1).mean) + 4 }));
    spread(labels, 16, box.top + 4, box.bottom);
    for (const { arm, y: at } of labels)
      fit(add(svg, "text", { x: box.right + 10, y: at, style: "fill:" + colour(arm) + ";font-weight:600" }, data.arms[arm].name), 148);
  }
  follow(svg, shown, x, box, clip, scaled);
}

function drawKey(shown, width) {
  const key = document.getElementById("key");
  key.replaceChildren();
  if (width >= 640) return;
  for (const { arm } of shown) {
    const item = document.createElement("span"), swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = colour(arm);
    item.append(swatch, data.arms[arm].name);
    key.append(item);
  }
}

/* Under the pointer: the values of every arm at its evaluation nearest to that place. */
function follow(svg, shown, x, box, clip, scaled) {
  const hair = add(svg, "line", { y1: box.top, y2: box.bottom, class: "zero", visibility: "hidden" });
  const readout = document.getElementById("readout");
  readout.textContent = "";
  svg.onpointermove = (event) => {
    const frame = svg.getBoundingClientRect();
    const at = ((event.clientX - frame.left) / frame.width) * svg.viewBox.baseVal.width;
    const near = (points) => points.reduce((a, b) => (Math.abs(x(b[choice.axis]) - at) < Math.abs(x(a[choice.axis]) - at) ? b : a));
    const found = shown.map(({ arm, points }) => ({ arm, point: near(points) }));
    const place = found[0].point[choice.axis];
    hair.setAttribute("x1", x(place));
    hair.setAttribute("x2", x(place));
    hair.setAttribute("visibility", "visible");
    const where = +(place / scaled.size).toPrecision(3) + " " + (scaled.text || choice.axis);
    readout.textContent = where + ": " + found.map(({ arm, point }) => data.arms[arm].name + " " + point.mean.toPrecision(4) + (known(point.low) ? " \u00b1 " + ((point.high - point.low) / 2).toPrecision(2) : "")).join(", ");
  };
  svg.onpointerleave = () => { hair.setAttribute("visibility", "hidden"); readout.textContent = ""; };
}

function drawForest() {
  const metric = data.metrics[choice.metric];
  const rows = metric.arms.map((row, arm) => ({ arm, ...row.difference })).filter((row) => known(row.mean));
  document.getElementById("forest-figure").hidden = !rows.length;
  if (!rows.length) return;
  const pitch = 46;
  const { svg, width, height } = canvas("forest", 34 + pitch * rows.length + 44);
  const wide = width >= 640;
  const box = { left: wide ? 170 : 8, right: width - (wide ? 190 : 8), top: 34, bottom: height - 44 };
  const values = rows.flatMap((row) => [0, row.mean, row.low, row.high, ...Object.values(row.by_seed)]).filter(known);
  const [low, high] = widen(Math.min(...values), Math.max(...values), 0.07);
  const x = scale(low, high, box.left, box.right);
  const words = metric.lower_is_better === null ? ["lower", "higher"] : metric.lower_is_better ? ["better", "worse"] : ["worse", "better"];

  fit(add(svg, "text", { x: box.left, y: 12, class: "name" }, "difference in " + metric.name), box.right - box.left);
  for (const tick of ticks(low, high, width / 120)) {
    add(svg, "line", { x1: x(tick.value), x2: x(tick.value), y1: box.top - 8, y2: box.bottom, class: "grid" });
    add(svg, "text", { x: x(tick.value), y: box.bottom + 17, "text-anchor": "middle" }, tick.text);
  }
  add(svg, "line", { x1: x(0), x2: x(0), y1: box.top - 8, y2: box.bottom, class: "zero" });
  add(svg, "text", { x: box.left, y: height - 6 }, "\u2190 " + words[0]);
  add(svg, "text", { x: box.right, y: height - 6, "text-anchor": "end" }, words[1] + " \u2192");
  rows.forEach((row, i) => drawDifference(svg, row, x, box, box.top + pitch * (i + 0.5), wide));
}

function drawDifference(svg, row, x, box, y, wide) {
  const paint = colour(row.arm), name = data.arms[row.arm].name;
  const place = wide ? { x: box.left - 14, y: y + 4, "text-anchor": "end" } : { x: box.left, y: y - 14 };
  fit(add(svg, "text", { ...place, class: "name" }, name), wide ? box.left - 14 : box.right - box.left);
  for (const value of Object.values(row.by_seed))
    add(svg, "circle", { cx: x(value), cy: y + 9, r: 2.5, fill: paint, opacity: 0.45 });
  if (known(row.low)) {
    add(svg, "line", { x1: x(row.low), x2: x(row.high), y1: y, y2: y, stroke: paint, "stroke-width": 2 });
    for (const end of [row.low, row.high])
      add(svg, "line", { x1: x(end), x2: x(end), y1: y - 4, y2: y + 4, stroke: paint, "stroke-width": 2 });
  }
  const single = row.n === 1;
  add(svg, "circle", { cx: x(row.mean), cy: y, r: 4.5, fill: single ? "var(--paper)" : paint, stroke: paint, "stroke-width": 2 });
  if (wide) add(svg, "text", { x: box.right + 16, y: y + 4 }, differenceText(row));
}

function differenceText(row) {
  const half = known(row.low) ? (row.high - row.low) / 2 : 0;
  const digits = half > 0 ? Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(half)))) : 4;
  const show = (value) => value.toFixed(digits).replace("-", "\u2212");
  const mean = (row.mean > 0 ? "+" : "") + show(row.mean);
  return known(row.low) ? mean + "  [" + show(row.low) + ", " + show(row.high) + "]" : mean + "  (one seed)";
}

function option(select, value, text) {
  const node = document.createElement("option");
  node.value = value;
  node.textContent = text;
  select.append(node);
}

function draw() { drawCurves(); drawForest(); }

data.metrics.forEach((metric, i) => option(document.getElementById("metric"), i, metric.name));
Object.entries(AXES).forEach(([axis, text]) => option(document.getElementById("axis"), axis, text));
document.getElementById("axis").value = choice.axis;
for (const name of Object.keys(choice))
  document.getElementById(name).addEventListener("change", (event) => {
    choice[name] = name === "axis" ? event.target.value : Number(event.target.value);
    draw();
  });
window.addEventListener("resize", draw);
draw();
