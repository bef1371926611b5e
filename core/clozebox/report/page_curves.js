const direction = (metric) => metric.lower_is_better === null ? "" : metric.lower_is_better ? ", lower is better" : ", higher is better";

function drawCurves() {
  const metric = data.metrics[choice.metric], axis = choice.axis;
  const reaches = (points) => points.filter((p) => known(p[axis]));
  const shown = metric.curves.map((curve, arm) => ({ arm, points: reaches(curve) })).filter((c) => c.points.length && c.arm < MOST_ARMS);
  const single = metric.unfinished.map((run) => ({ ...run, points: reaches(run.points) })).filter((c) => c.points.length && c.arm < MOST_ARMS);
  document.getElementById("thin").hidden = !single.length;
  const measure = document.getElementById("curves").parentElement.clientWidth;
  const tall = shown.length || single.length ? Math.round(Math.min(430, Math.max(270, measure * 0.48))) : 44;
  const { svg, width, height } = canvas("curves", tall);
  const direct = width >= 640 && shown.length <= (height - 76) / 16;
  drawKey(direct ? [] : shown);
  if (!shown.length && !single.length) { add(svg, "text", { x: 0, y: 30 }, "No run has measured this yet."); return; }
  const top = Math.max(...[...shown, ...single].flatMap((c) => c.points.map((p) => p[axis])));
  const start = choice.range * top;
  const visible = (shown.length ? shown : single).flatMap((c) => c.points.filter((p) => p[axis] >= start));
  const levels = visible.flatMap((p) => [p.lowest_seed ?? p.value, p.highest_seed ?? p.value]);
  const [low, high] = widen(Math.min(...levels), Math.max(...levels), 0.06);
  const box = { left: 46, right: width - (direct ? 158 : 10), top: 30, bottom: height - 46 };
  const x = scale(start, top, box.left, box.right), y = scale(low, high, box.bottom, box.top);
  const scaled = unit(axis, top);

  const title = add(svg, "text", { x: 0, y: 12, class: "name" }, metric.name);
  add(svg, "text", { x: title.getComputedTextLength(), y: 12 }, direction(metric));
  const across = ticks(start / scaled.size, top / scaled.size, width / 110).map((t) => ({ value: t.value * scaled.size, text: t.text }));
  axes(svg, box, x, y, across, ticks(low, high, height / 60), AXES[axis] + (scaled.text ? ", " + scaled.text : ""));
  const clip = add(add(svg, "clipPath", { id: "plot" }), "rect", { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top });
  const plot = add(svg, "g", { "clip-path": "url(#plot)" });
  const path = (points, value) => points.map((p, i) => (i ? "L" : "M") + x(p[axis]).toFixed(1) + " " + y(value(p)).toFixed(1)).join("");
  for (const { arm, points } of shown) {
    const banded = points.filter((p) => known(p.low));
    if (banded.length > 1)
      add(plot, "path", { d: path(banded, (p) => p.high) + path(banded.slice().reverse(), (p) => p.low).replace("M", "L") + "Z", fill: colour(arm), opacity: 0.15 });
  }
  for (const { arm, points, state } of single) {
    add(plot, "path", { d: path(points, (p) => p.value), fill: "none", stroke: colour(arm), "stroke-width": 1, opacity: 0.75 });
    const last = points.at(-1);
    if (state !== "running") cross(svg, x(last[axis]), Math.max(box.top, Math.min(box.bottom, y(last.value))), colour(arm));
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
  if (shown.length) follow(svg, shown, x, box, clip, scaled);
}

function drawKey(shown) {
  const key = document.getElementById("key");
  key.replaceChildren();
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
