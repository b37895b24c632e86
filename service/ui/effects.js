// Tables: what every feature does to the answer (tornado), and the answer as one feature varies (response curve).

import { api } from "./api.js";
import { certifiedBand } from "./certified.js";
import { axis, chartPlace } from "./chart.js";
import { colour, el, num, settled, show, signed } from "./dom.js";
import { assumed, assumption } from "./noise.js";
import { reported, unitOf } from "./words.js";

const POINTS = 91;
const SHOWN = 12;
const LEVELS = 3; // of a category, the strongest; choosing the feature shows all

export function effectsView(node, card, target, onProblem) {
  const tornado = el("ul", { class: "tornado", id: "tornado" });
  const caption = el("p", { class: "muted" });
  const more = el("button", { type: "button", class: "quiet", "aria-expanded": "false", onclick: () => { all = !all; render(); } });
  const title = el("h3", { id: "curve-title" });
  const note = el("p", { class: "muted" });
  const levels = el("dl", { class: "pairs" });
  const place = chartPlace(260);
  const key = el("ul", { class: "key" });
  let chosen = null, latest = null, all = false, turn = 0;

  show(node, el("div", { class: "halves" },
    el("div", {}, el("h3", {}, "Effect of every feature"), caption, tornado, more),
    el("div", { id: "response" }, title, place.node, key, note, levels)));

  function render() {
    const { prediction } = latest;
    const unit = unitOf(card);
    const list = prediction.sensitivities;
    const size = (one) => (one.switch ? Math.max(0, ...Object.values(one.switch).map(Math.abs)) : Math.abs(one.effect));
    const peak = Math.max(...list.map(size), 1e-300);
    const unmeasured = assumption(card);
    caption.textContent = `How far one step of measurement noise${unmeasured ? ` (${unmeasured})` : ""}, or another category, moves the ${reported(card, prediction)}. Choose one to see its curve.`;
    show(tornado, list.slice(0, all ? list.length : SHOWN).map((one) => {
      const feature = card.features.find((each) => each.name === one.feature);
      const changes = one.switch ? Object.entries(one.switch).sort(([, a], [, b]) => Math.abs(b) - Math.abs(a)) : [[null, one.effect]];
      const says = one.switch
        ? [...changes.slice(0, LEVELS).map(([level, by]) => `→ ${level}: ${signed(by)}`), ...(changes.length > LEVELS ? [`${changes.length - LEVELS} more`] : [])]
        : [`${signed(one.effect)}${unit}`];
      const step = one.switch ? `now ${one.value ?? "left out"}` : `±${num(feature.noise, 3)}${feature.unit ? ` ${feature.unit}` : ""}${assumed(feature) ? ", default" : ""}`;
      return el("li", {}, el("button", { type: "button", "data-effect": one.effect ?? "", "data-feature": one.feature, "aria-pressed": String(one.feature === chosen),
        onclick: () => { chosen = one.feature; render(); tornado.querySelector("[aria-pressed=true]").focus(); curve(); } },
        el("span", { class: "name" }, one.feature, el("span", { class: "muted" }, ` ${step}`)),
        el("span", { class: "track", "aria-hidden": "true" }, changes.map(([, by]) => el("span", {
          class: `bar ${by > 0 ? "raise" : "lower"}`, vars: { "--share": `${(50 * Math.abs(by)) / peak}%` } }))),
        el("span", { class: "value" }, says.map((each) => el("span", {}, each)))));
    }));
    more.hidden = list.length <= SHOWN;
    more.textContent = all ? "Show the strongest" : `Show all ${list.length}`;
    more.setAttribute("aria-expanded", String(all));
  }

  const curve = settled(async () => {
    const mine = (turn += 1);
    const { row, prediction } = latest;
    const at = card.features.findIndex((feature) => feature.name === chosen);
    const feature = card.features[at];
    title.textContent = `As ${chosen} varies`;
    const output = (one) => (card.task === "classification" ? one.probabilities[prediction.label] : one.value);
    try {
      if (feature.kind === "categorical") {
        const answers = await api.predict(target, feature.levels.map((level) => row.with(at, level)));
        if (mine !== turn) return;
        place.clear();
        place.node.removeAttribute("aria-label");
        place.node.classList.add("none");
        show(key);
        note.textContent = `What the ${reported(card, prediction)} would be:`;
        show(levels, feature.levels.map((level, k) => el("div", {}, el("dt", {}, level, level === row[at] ? " (now)" : ""), el("dd", {}, num(output(answers[k]))))));
        return;
      }
      const span = feature.high - feature.low || 1;
      const now = row[at] ?? feature.fill;
      const low = Math.min(now, feature.low - 0.1 * span), high = Math.max(now, feature.high + 0.1 * span);
      const xs = Array.from({ length: POINTS }, (_, k) => low + ((high - low) * k) / (POINTS - 1));
      const [answers, certified] = await Promise.all([
        api.predict(target, xs.map((x) => row.with(at, x))),
        certifiedBand(target, card, row, at, xs, prediction),
      ]);
      if (mine !== turn) return;
      const ys = answers.map(output);
      const measured = answers.every((one) => one.stability.verdict !== "not_computed");
      const swung = (sign) => ys.map((y, k) => (measured ? clip(y + sign * answers[k].stability.volatility) : null));
      const clip = card.task === "classification" ? (y) => Math.min(1, Math.max(0, y)) : (y) => y;
      const gradient = prediction.sensitivities.find((one) => one.feature === chosen)?.gradient ?? null;
      const here = output(prediction);
      const tangent = xs.map((x) => {
        const y = here + gradient * (x - now);
        return gradient === null || Math.abs(x - now) > 0.25 * span || y !== clip(y) ? null : y;
      });
      draw(feature, now, here, { xs, ys, low: swung(-1), high: swung(1), tangent, certified, measured });
    } catch (error) {
      if (mine === turn) onProblem(error);
    }
  }, 60);

  function draw(feature, value, here, { xs, ys, low, high, tangent, certified, measured }) {
    place.node.classList.remove("none");
    show(levels);
    const data = [xs, low, high, ys, tangent, ...(certified ? [certified.low, certified.high] : [])];
    const name = card.task === "classification" ? "probability" : card.target;
    const options = () => ({
      cursor: { y: false, points: { show: false } },
      scales: { x: { time: false }, y: card.task === "classification" ? { range: [0, 1] } : {} },
      axes: [axis(feature.name + (feature.unit ? ` (${feature.unit})` : "")), axis(name, { size: 56 })],
      bands: [{ series: [2, 1], fill: colour("band") }, ...(certified ? [{ series: [6, 5], fill: colour("certified") }] : [])],
      series: [{},
        { stroke: "transparent", points: { show: false } }, { stroke: "transparent", points: { show: false } },
        { stroke: colour("accent"), width: 2.5, points: { show: false } },
        { stroke: colour("lower"), width: 2, dash: [6, 5], points: { show: false } },
        ...(certified ? [5, 6].map(() => ({ stroke: colour("stable"), width: 1, points: { show: false } })) : [])],
      hooks: {
        drawClear: [(u) => {
          const [from, to] = [feature.low, feature.high].map((x) => u.valToPos(x, "x", true));
          u.ctx.fillStyle = colour("range");
          u.ctx.fillRect(from, u.bbox.top, to - from, u.bbox.height);
        }],
        draw: [(u) => {
          const [x, y] = [u.valToPos(value, "x", true), u.valToPos(here, "y", true)];
          u.ctx.beginPath();
          u.ctx.arc(x, y, 5 * devicePixelRatio, 0, 2 * Math.PI);
          u.ctx.fillStyle = colour("ink");
          u.ctx.fill();
        }],
      },
    });
    place.draw(options, data, `${name} as ${feature.name} goes from ${num(xs[0])} to ${num(xs.at(-1))}: from ${num(ys[0])} to ${num(ys.at(-1))}; now ${num(here)} at ${num(value)}.`);
    show(key, el("li", {}, el("span", { class: "line curve" }), "the model’s answer"), measured ? el("li", {}, el("span", { class: "swatch band" }), "± its volatility") : null,
      el("li", {}, el("span", { class: "line tangent" }), "what the gradient predicts"),
      el("li", {}, el("span", { class: "swatch range" }), "training range"),
      certified ? el("li", {}, el("span", { class: "swatch certified" }), certified.name) : null);
    note.textContent = "Where curve and tangent part, the answer bends: the gradient holds near the dot only.";
  }

  return {
    /** Grey it from when its input is changed until the next explanation. */
    outdated() { node.classList.add("earlier"); },
    explain(row, prediction) {
      node.classList.remove("earlier");
      latest = { row, prediction };
      if (!prediction.sensitivities.some((one) => one.feature === chosen)) {
        chosen = (prediction.sensitivities.find((one) => one.effect !== null) ?? prediction.sensitivities[0]).feature;
      }
      render();
      curve();
    },
  };
}
