"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const NAMESPACE = document.getElementById("curves").namespaceURI;
const DASHES = ["", "7 4", "2 3", "9 3 2 3"];
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

const superscript = (n) => String(n).replace("-", "\u207b").replace(/\d/g, (d) => "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"[d]);

/* 1, 2 and 5 times the powers of ten, or the powers alone where that is too many. */
function logTicks(low, high, count) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
    for (const digit of [1, 2, 5]) {
      const value = digit * 10 ** power;
      if (value >= low * 0.999 && value <= high * 1.001) found.push({ value, digit, power });
    }
  const kept = found.length > count ? found.filter((tick) => tick.digit === 1) : found;
  return (kept.length ? kept : found).map(({ value, digit, power }) => ({
    value,
    text: power > -4 && power < 4 ? String(+value.toPrecision(1)) : (digit > 1 ? digit + "\u00d7" : "") + "10" + superscript(power),
  }));
}

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

/* Lines and numbers of both axes; ticks are {value, text}. */
function axes(svg, box, x, y, xTicks, yTicks, xName) {
  for (const tick of yTicks) {
    add(svg, "line", { x1: box.left, x2: box.right, y1: y(tick.value), y2: y(tick.value), class: "grid" });
    add(svg, "text", { x: box.left - 8, y: y(tick.value) + 4, "text-anchor": "end" }, tick.text);
  }
  for (const tick of xTicks)
    add(svg, "text", { x: x(tick.value), y: box.bottom + 18, "text-anchor": "middle" }, tick.text);
  if (xName) add(svg, "text", { x: (box.left + box.right) / 2, y: box.bottom + 38, "text-anchor": "middle" }, xName);
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

/* A cross where a run or a trial came to grief. */
function cross(parent, x, y, paint) {
  const d = "M" + (x - 3.5) + " " + (y - 3.5) + "l7 7m0 -7l-7 7";
  add(parent, "path", { d, stroke: paint, "stroke-width": 1.5, fill: "none" });
}

function option(select, value, text) {
  const node = document.createElement("option");
  node.value = value;
  node.textContent = text;
  select.append(node);
}
