const AXES = { steps: "steps", tokens: "tokens read", flops: "training FLOPs", seconds: "training time" };
const MOST_ARMS = data.is_search ? 8 : 64;
const choice = { metric: 0, axis: data.budget, range: 0 };
const control = (name) => document.getElementById(name);

/* The choice is kept in the address, so that a page that follows a sweep keeps it too. */
function recall() {
  const kept = new URLSearchParams(location.hash.slice(1));
  const metric = data.metrics.findIndex((one) => one.name === kept.get("metric"));
  if (metric >= 0) choice.metric = metric;
  if (kept.get("axis") in AXES) choice.axis = kept.get("axis");
  if (kept.has("range")) choice.range = Number(kept.get("range")) || 0;
}

function remember() {
  location.replace("#" + new URLSearchParams({ ...choice, metric: data.metrics[choice.metric].name }));
}

function draw() {
  drawCurves();
  drawForest();
  drawSearch();
}

function begin() {
  data.metrics.forEach((metric, i) => option(control("metric"), i, metric.name));
  Object.entries(AXES).forEach(([axis, text]) => option(control("axis"), axis, text));
  data.search.forEach((study, i) => option(control("study"), i, study.name));
  control("search").hidden = !data.search.length;
  control("study-label").hidden = data.search.length < 2;
  control("result-legend").hidden = data.is_search;
  if (data.is_search) control("pictures-title").textContent = "Curves of the best trials";
  recall();
  for (const name of Object.keys(choice)) {
    control(name).value = choice[name];
    control(name).addEventListener("change", (event) => {
      choice[name] = name === "axis" ? event.target.value : Number(event.target.value);
      remember();
      draw();
    });
  }
  listCosts();
  control("study").addEventListener("change", () => { listCosts(); drawSearch(); });
  control("cost").addEventListener("change", drawSearch);
  window.addEventListener("resize", draw);
  window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
  draw();
}

begin();
