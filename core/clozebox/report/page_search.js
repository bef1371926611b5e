/* The panels of a search. One arm has one study. */
const MARGIN = { left: 46, right: 12, top: 26, bottom: 46 };
const COSTS = { parameters: "parameters", seconds: "training time, seconds", flops: "training FLOPs", tokens: "tokens read" };

const finished = (study) => study.trials.filter((trial) => trial.values.length);
const inside = (width, height) => ({ left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom });

/* From the best value to a few times the distance of the median: a trial that went far astray must
   not press all others onto one line, and is drawn at the edge, hollow. */
function span(study) {
  const values = finished(study).map((trial) => trial.values[0]).sort((a, b) => (study.minimized[0] ? a - b : b - a));
  const best = values[0], median = values[Math.floor(values.length / 2)], worst = values.at(-1);
  const edge = study.minimized[0] ? Math.min(worst, median + 3 * (median - best)) : Math.max(worst, median - 3 * (best - median));
  return widen(Math.min(best, edge), Math.max(best, edge), 0.08);
}

function dot(svg, trial, x, y, [low, high], attributes) {
  const value = trial.values[0], astray = value < low || value > high;
  const place = { cx: x, cy: y(Math.max(low, Math.min(high, value))), r: 3.5 };
  const look = astray ? { fill: "var(--paper)", stroke: colour(1) } : { fill: colour(1) };
  add(add(svg, "circle", { ...place, ...look, ...attributes }), "title", {}, "trial " + trial.number + ": " + value.toPrecision(5));
}

function drawHistory(study) {
  const { svg, width, height } = canvas("history", 250), box = inside(width, height);
  const range = span(study), y = scale(...range, box.bottom, box.top);
  const x = scale(-0.5, study.trials.length - 0.5, box.left, box.right);
  const whole = ticks(0, study.trials.length - 1, width / 90).filter((t) => Number.isInteger(t.value));
  axes(svg, box, x, y, whole, ticks(...range, 4), "trial");
  add(svg, "text", { x: 0, y: 12, class: "name" }, data.metric);
  let best = null, line = "";
  for (const trial of study.trials) {
    if (!trial.values.length) {
      if (trial.state === "pruned" || trial.state === "fail") cross(svg, x(trial.number), box.bottom, "var(--soft)");
      continue;
    }
    const value = trial.values[0];
    dot(svg, trial, x(trial.number), y, range, { opacity: 0.55 });
    if (best === null || (study.minimized[0] ? value < best : value > best)) {
      line += best === null ? "M" + x(trial.number) + " " + y(value) : "H" + x(trial.number) + "V" + y(value);
      best = value;
    }
  }
  add(svg, "path", { d: line + "H" + box.right, fill: "none", stroke: colour(1), "stroke-width": 2 });
}

function drawImportance(study) {
  const rows = Object.entries(study.importance).sort((a, b) => b[1] - a[1]);
  const { svg, width } = canvas("importance", Math.max(60, 30 + 38 * rows.length));
  add(svg, "text", { x: 0, y: 12, class: "name" }, "importance");
  if (!rows.length) add(svg, "text", { x: 0, y: 36 }, "Too few finished trials to tell.");
  rows.forEach(([key, share], i) => {
    const y = 34 + 38 * i;
    fit(add(svg, "text", { x: 0, y: y + 4 }, key), width - 60);
    add(svg, "rect", { x: 0, y: y + 9, width: Math.max(1, (width - 50) * share), height: 9, rx: 1.5, fill: colour(1) });
    add(svg, "text", { x: Math.max(1, (width - 50) * share) + 8, y: y + 18 }, (100 * share).toFixed(0) + " %");
  });
}

function costsOf(study) {
  const varies = (key) => {
    const values = finished(study).map((trial) => trial.cost[key]).filter(known);
    return values.length > 1 && Math.max(...values) > 1.02 * Math.min(...values);
  };
  return study.minimized.length > 1 ? ["other"] : Object.keys(COSTS).filter(varies);
}

function drawFront(study) {
  const key = document.getElementById("cost").value;
  const { svg, width, height } = canvas("front", key ? 250 : 60);
  add(svg, "text", { x: 0, y: 12, class: "name" }, data.metric);
  if (!key) { add(svg, "text", { x: 0, y: 36 }, "Every trial cost the same."); return; }
  const box = inside(width, height), cost = (trial) => (key === "other" ? trial.values[1] : trial.cost[key]);
  const trials = finished(study).filter((trial) => known(cost(trial)));
  const costs = trials.map(cost), range = span(study);
  const [low, high] = widen(Math.min(...costs), Math.max(...costs), 0.05);
  const x = scale(low, high, box.left, box.right), y = scale(...range, box.bottom, box.top);
  const power = 10 ** (3 * Math.floor(Math.log10(Math.max(high, 1)) / 3));
  const across = ticks(low / power, high / power, width / 90).map((t) => ({ value: t.value * power, text: t.text }));
  const size = power > 1 ? ", \u00d710" + superscript(Math.round(Math.log10(power))) : "";
  axes(svg, box, x, y, across, ticks(...range, 4), (COSTS[key] || "the second thing judged") + size);
  const signs = study.minimized.map((less) => (less ? 1 : -1));
  const cheaper = key === "other" ? signs[1] : 1;
  const front = [];
  for (const trial of [...trials].sort((a, b) => cheaper * (cost(a) - cost(b)) || signs[0] * (a.values[0] - b.values[0])))
    if (!front.length || signs[0] * trial.values[0] < signs[0] * front.at(-1).values[0]) front.push(trial);
  const corner = (trial, i) => (i ? "L" : "M") + x(cost(trial)) + " " + y(Math.max(range[0], Math.min(range[1], trial.values[0])));
  add(svg, "path", { d: front.map(corner).join(""), fill: "none", stroke: colour(2), "stroke-width": 1.5 });
  for (const trial of trials) dot(svg, trial, x(cost(trial)), y, range, { opacity: 0.55 });
  for (const trial of front) dot(svg, trial, x(cost(trial)), y, range, { r: 5, fill: "none", stroke: colour(2), "stroke-width": 1.5 });
}

function drawSlices(study) {
  const measure = document.getElementById("slices").parentElement.clientWidth;
  const columns = Math.max(1, Math.min(study.space.length, Math.floor(measure / 215))), rows = Math.ceil(study.space.length / columns);
  const { svg, width } = canvas("slices", 190 * rows);
  const range = span(study), pitch = width / columns;
  study.space.forEach((dimension, i) => {
    const top = 190 * Math.floor(i / columns), left = pitch * (i % columns);
    const box = { left: left + (i % columns ? 18 : MARGIN.left), right: left + pitch - 14, top: top + 26, bottom: top + 145 };
    drawSlice(svg, study, dimension, box, scale(...range, box.bottom, box.top), range, i % columns === 0);
  });
}

function drawSlice(svg, study, dimension, box, y, range, first) {
  const trials = finished(study).filter((trial) => dimension.key in trial.drawn);
  const place = (value) => (dimension.scale === "choice" ? dimension.choices.indexOf(value) : dimension.scale === "log" ? Math.log10(value) : value);
  const places = dimension.scale === "choice" ? [-0.5, dimension.choices.length - 0.5] : trials.map((trial) => place(trial.drawn[dimension.key]));
  const [low, high] = dimension.scale === "choice" ? places : widen(Math.min(...places), Math.max(...places), 0.06);
  const x = scale(low, high, box.left, box.right), room = (box.right - box.left) / 55;
  let across;
  if (dimension.scale === "choice") across = dimension.choices.map((choice, value) => ({ value, text: String(choice) }));
  else if (dimension.scale === "log") across = logTicks(10 ** low, 10 ** high, room).map((t) => ({ value: Math.log10(t.value), text: t.text }));
  else across = ticks(low, high, room);
  axes(svg, box, x, y, across, first ? ticks(...range, 4) : ticks(...range, 4).map((t) => ({ ...t, text: "" })));
  fit(add(svg, "text", { x: (box.left + box.right) / 2, y: box.bottom + 36, "text-anchor": "middle", class: "name" }, dimension.key), box.right - box.left + 20);
  for (const trial of trials) {
    const jitter = dimension.scale === "choice" ? ((trial.number * 0.618) % 1 - 0.5) * 0.4 : 0;
    const late = 0.25 + (0.65 * trial.number) / study.trials.length;
    dot(svg, trial, x(place(trial.drawn[dimension.key]) + jitter), y, range, { opacity: late });
  }
}

function drawSearch() {
  const study = data.search[document.getElementById("study").value];
  if (!study || !finished(study).length) return;
  for (const panel of [drawHistory, drawImportance, drawFront, drawSlices]) panel(study);
}

function listCosts() {
  const select = document.getElementById("cost"), study = data.search[document.getElementById("study").value];
  select.replaceChildren();
  for (const key of study ? costsOf(study) : []) option(select, key, COSTS[key] || "the second thing judged");
  select.parentElement.hidden = select.options.length < 2;
}
