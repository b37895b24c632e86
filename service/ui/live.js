// The window of the latest observed predictions beside what the card promises.

import { api } from "./api.js";
import { axis, chartPlace } from "./chart.js";
import { colour, el, num, percent, raised, show } from "./dom.js";

const EVERY = 5000; // milliseconds
/** A tick's text on a logarithmic axis: whole powers of ten alone. */
function powerOfTen(value) {
  const power = value > 0 ? Math.log10(value) : NaN;
  if (!(Math.abs(power - Math.round(power)) < 1e-6)) return "";
  return power > -3 && power < 5 ? num(value) : `10${raised(Math.round(power))}`;
}

const VERDICTS = ["stable", "elevated", "unstable", "not_measurable"];

/** Features out of range since the start, from the service's metrics: [[name, count]], most first. */
export function outOfRange(metrics, model, version) {
  const found = [];
  for (const line of metrics.split("\n")) {
    const parts = /^chainzrule_out_of_range_features_total\{(.*)\} (\S+)$/.exec(line);
    if (!parts) continue;
    const labels = Object.fromEntries([...parts[1].matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name, value]) =>
      [name, value.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c))]));
    if (labels.model === model && labels.version === version && Number(parts[2]) > 0) found.push([labels.feature, Number(parts[2])]);
  }
  return found.sort((a, b) => b[1] - a[1]);
}

export function liveView(node, card, target, { onObserve, onProblem, onRefresh }) {
  const observe = el("input", { type: "checkbox", id: "observe", onchange: () => onObserve(observe.checked) });
  const numbers = el("div", { class: "tiles", id: "tiles" });
  const verdicts = el("div", { class: "stack" });
  const outside = el("p", { id: "outside" });
  const state = el("p", { class: "muted", id: "live-state" });
  const place = chartPlace(240);
  let timer = null, gone = false;

  show(node,
    el("p", {}, "What this version has answered to real traffic lately, beside how it behaved on the cases it was tested on."),
    el("label", { class: "check" }, observe, "Count my inputs as traffic, to see them arrive here"),
    state, numbers,
    el("div", { class: "halves" },
      el("div", {}, el("h3", {}, "Volatility, from the calmest to the wildest answers"), place.node,
        el("ul", { class: "key" }, el("li", {}, el("span", { class: "line curve" }), "the card’s tested cases"), el("li", {}, el("span", { class: "dot" }), "traffic: median, 90th and 99th percentile")),
        el("p", { class: "muted" }, "Dots above the line mean that traffic is shakier than the test cases were.")),
      el("div", {}, el("h3", {}, "Verdicts"), verdicts, el("h3", {}, "Out of range"), outside)));

  const tile = (name, value, help) => el("div", {}, el("span", { class: "eyebrow" }, name), el("strong", {}, value), el("span", { class: "muted" }, help));

  function render({ window: w, reference: r }, metrics) {
    const few = "needs more answers before it means anything";
    state.textContent = w.samples === 0 ? "No traffic yet." : `${w.samples.toLocaleString("en")} answer${w.samples === 1 ? "" : "s"} in the window.`;
    show(numbers,
      tile("Volatility ratio", num(w.volatility_reference_ratio, 3), w.volatility_reference_ratio === null ? few : "traffic’s wobble over the tested cases’: 1 is as tested"),
      tile("Tail ratio", num(w.gradient_tail_ratio, 3), w.gradient_tail_ratio === null ? `${few}; tested: ${num(r.gradient_tail_ratio, 3)}` : `steepest answers over the usual ones; tested: ${num(r.gradient_tail_ratio, 3)}`),
      tile("Out of range", w.out_of_range_rate === null ? "–" : percent(w.out_of_range_rate), `of rows leave the training range; tested: ${percent(r.out_of_range_rate)}`),
      card.novelty ? tile("Unknown", w.novel_rate === null ? "–" : percent(w.novel_rate), "of rows are unlike what it was trained on") : null);
    const total = VERDICTS.reduce((sum, name) => sum + (w.verdicts[name] ?? 0), 0);
    show(verdicts,
      el("div", { class: "stacked", "aria-hidden": "true" }, total ? VERDICTS.map((name) => el("span", { class: name, vars: { "--share": `${(100 * w.verdicts[name]) / total}%` } })) : null),
      el("ul", { class: "key" }, VERDICTS.map((name) => el("li", {}, el("span", { class: `swatch ${name}` }), `${name}: ${(w.verdicts[name] ?? 0).toLocaleString("en")}`))),
      el("p", { class: "muted" }, "Stable answers would come out the same if measured again, which makes them steady and not right; unstable ones would often change."));
    const list = outOfRange(metrics ?? "", target.model, target.version).slice(0, 8);
    outside.textContent = card.layout ? "Not counted for every pixel of an image."
      : metrics === null ? "The service’s metrics, which count it, cannot be read from here."
      : list.length === 0 ? "No feature has left its training range since the service started."
      : `Since the service started: ${list.map(([name, count]) => `${name} ${count}×`).join(", ")}.`;

    const top = card.reference.volatility.quantiles.at(-1) || 1;
    const floor = top * 1e-8;
    const lifted = (v) => (v === undefined || v === null ? null : Math.max(v, floor));
    const xs = card.reference.volatility.quantiles.map((_, q) => q);
    const traffic = xs.map((q) => lifted(w.volatility_quantiles[`p${q}`]));
    const whole = (_, splits) => splits.map((v) => (powerOfTen(v) ? v : null));
    place.draw(() => ({
      cursor: { show: false },
      scales: { x: { time: false }, y: { distr: 3 } },
      axes: [axis("per cent of answers that are calmer"), axis("volatility", { size: 58, filter: whole, grid: { stroke: colour("line"), width: 1, filter: whole }, ticks: { stroke: colour("line"), width: 1, size: 4, filter: whole }, values: (_, splits) => splits.map((v) => (v === null ? "" : powerOfTen(v))) })],
      series: [{}, { stroke: colour("accent"), width: 2.5, points: { show: false } },
        { stroke: "transparent", points: { show: true, size: 11, fill: colour("lower"), stroke: colour("lower") } }],
    }), [xs, card.reference.volatility.quantiles.map(lifted), traffic],
    w.samples ? `Volatility of traffic at its median, 90th and 99th percentile: ${[50, 90, 99].map((q) => num(w.volatility_quantiles[`p${q}`], 3)).join(", ")}; of the tested cases: ${[50, 90, 99].map((q) => num(r.volatility_quantiles[`p${q}`], 3)).join(", ")}.`
      : "Volatility of the tested cases; there is no traffic yet.");
  }

  async function refresh() {
    clearTimeout(timer);
    onRefresh();
    try {
      const [stability, metrics] = await Promise.all([api.stability(target.model, target.version), card.layout ? "" : api.metrics().catch(() => null)]);
      if (gone) return;
      if (!stability.window?.verdicts || !stability.reference?.volatility_quantiles) throw new Error("damaged");
      render(stability, metrics);
    } catch (error) {
      if (gone) return;
      state.textContent = error.title ? `${error.title}: ${error.message}` : "The window could not be read; it is asked for again.";
      if (error.status === 401) { onProblem(error); return; }
    }
    if (!gone) timer = setTimeout(() => (document.hidden ? wait() : refresh()), EVERY);
  }

  const wait = () => document.addEventListener("visibilitychange", () => { if (!gone) refresh(); }, { once: true });

  refresh();
  return { refresh, stop() { gone = true; clearTimeout(timer); } };
}
