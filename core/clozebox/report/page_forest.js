function drawForest() {
  const metric = data.metrics[choice.metric];
  const rows = metric.arms.map((row, arm) => ({ arm, ...row.difference })).filter((row) => known(row.mean));
  document.getElementById("forest-figure").hidden = !rows.length || data.is_search;
  if (!rows.length || data.is_search) return;
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
