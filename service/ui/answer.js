// What the model says about the input, and how much that wobbles.

import { bell, bellOf } from "./bell.js";
import { beside, chance, el, num, show, svg } from "./dom.js";
import { summaryLine, trustView } from "./trust.js";
import { because, comparison, flips, headline, still, trust, unitOf } from "./words.js";

const QUIET = 100; // milliseconds from an answer until its colours come back, so that they do not flicker while something is dragged

/**
 * The answer's part of the page. `show` takes every answer, `explain` what it hangs on. `outdated` greys it from when
 * its input is changed until the next answer, and says why where that takes long or does not come.
 */
export function answerView({ node, age, line }, card, keepsake) {
  const head = el("p", { class: "headline" });
  const three = trustView();
  const verdict = el("p", { class: "muted" });
  const spoken = el("p", { class: "spoken", role: "status" });
  const why = el("p", { class: "why", id: "why" });
  const figure = el("div", { class: "gauge" });
  const rain = el("div", { class: "rain row" });
  const figures = el("dl", { class: "figures" });
  const chances = el("div", { class: "chances" });
  const pair = el("div", { class: "beside", hidden: true, id: "comparison" });
  const keep = el("button", { type: "button", id: "keep", onclick: pin }, "Keep this one to compare");
  let kept = null, latest = null, returning = null;

  function pin() {
    if (!latest || node.classList.contains("earlier")) return; // the picture would be another one's
    kept = { ...latest, picture: keepsake() };
    compare();
  }

  function compare() {
    pair.hidden = !kept;
    if (!kept) return;
    const side = (name, one, picture) => el("div", { class: "side" }, picture,
      el("div", {}, el("strong", {}, name), el("div", {}, headline(card, one.prediction)),
        el("div", { class: "muted" }, card.task === "regression"
          ? `±${num(one.prediction.stability.volatility, 3)}`
          : `flips in ${flips(card, one.prediction.stability.flip_probability)}`)));
    show(pair,
      el("div", { class: "sides" }, side("Kept", kept, kept.picture), side("Now", latest, keepsake())),
      el("p", { id: "shakier", "aria-live": "polite" }, comparison(card, kept.prediction, latest.prediction, ["The kept one", "This one"])),
      el("button", { type: "button", class: "quiet", onclick: () => { kept = null; compare(); keep.focus(); } }, "Forget it"));
  }

  show(node, spoken, el("div", {}, el("p", { class: "eyebrow" }, card.target), head), three.node, verdict, why, figure, rain, chances, figures, el("div", { class: "row" }, keep), pair);

  function outdated(why = "") {
    clearTimeout(returning);
    for (const each of [node, line]) each.classList.add("earlier");
    keep.setAttribute("aria-disabled", "true");
    age.textContent = why && latest ? `${why} What stands here belongs to an earlier input.` : why;
    if (why) {
      spoken.textContent = age.textContent;
      if (latest) show(line, el("strong", { class: "alert" }, why), el("span", {}, `Before: ${headline(card, latest.prediction)}`));
    }
  }

  show(age);
  show(line);
  return {
    outdated, rain,
    current() {
      age.textContent = "";
      clearTimeout(returning);
      returning = setTimeout(() => {
        for (const each of [node, line]) each.classList.remove("earlier");
        keep.removeAttribute("aria-disabled");
      }, QUIET);
    },
    show(prediction, done) {
      const s = prediction.stability;
      latest = { prediction };
      head.textContent = headline(card, prediction);
      const answers = trust(card, prediction);
      three.show(answers);
      summaryLine(line, head.textContent, answers);
      show(verdict, "The API’s verdict: ", el("strong", { class: "verdict" }, s.verdict), `${because(prediction)}.`);
      if (done) spoken.textContent = [head.textContent, ...answers.flatMap(({ word, why: reason }) => [word, reason.replace(/\.$/, "")])].join(". ");
      show(figure, s.verdict === "not_measurable" ? null : card.task === "regression" ? valueGauge(card, prediction)
        : card.task === "ordinal" ? ladder(card, prediction) : flipGauge(card, s));
      show(chances, prediction.probabilities ? bars(prediction) : null);
      show(figures, facts(card, prediction));
      if (done && kept) compare();
    },
    explain(prediction) {
      const moving = prediction.sensitivities.filter((one) => one.share >= 0.005);
      const top = [...moving].sort((a, b) => b.share - a.share).slice(0, 3);
      why.textContent = card.layout || top.length === 0 ? ""
        : `Most of the wobble comes from ${top.map((one) => `${one.feature} (${Math.round(100 * one.share)}\u00a0%)`).join(", ")}.`;
    },
  };
}

function facts(card, prediction) {
  const s = prediction.stability;
  const fact = (name, value, help) => el("div", {}, el("dt", {}, name), el("dd", {}, value), el("dd", { class: "muted" }, help));
  const output = card.task === "classification" ? "of the label’s probability" : card.task === "ordinal" ? "of the expected level" : `of the value${unitOf(card)}`;
  return [
    card.task === "regression" ? null : fact("Flip probability", flips(card, s.flip_probability), "chance that noise changes the label"),
    card.task === "regression" || s.method === "monte_carlo" || s.method === null ? null : fact("Flip distance", s.flip_distance === null ? "out of reach" : `${num(s.flip_distance, 3)} σ`, "noise steps to the nearest other label"),
    fact("Volatility", `±${num(s.volatility, 3)}`, output),
    s.percentile === null ? null : fact("Wobbles more than", `${num(s.percentile, 3)} %`, "of the cases it was tested on"),
  ];
}

/** The noise as a bell around the input, the boundary to the next label, and the part of the noise beyond it. */
function flipGauge(card, s) {
  const distance = s.flip_distance;
  const flip = flips(card, s.flip_probability);
  const { w, h, base, right, reach, x, y } = bellOf(distance);
  const outline = (from, to) => {
    const points = [];
    for (let t = from; t < to; t += 0.05) points.push(`${x(t).toFixed(1)},${y(t).toFixed(1)}`);
    points.push(`${x(to).toFixed(1)},${y(to).toFixed(1)}`);
    return `M${x(from).toFixed(1)},${base}L${points.join("L")}L${x(to).toFixed(1)},${base}Z`;
  };
  const inside = distance !== null && distance < right;
  const counted = card.draws ? `counted in ${card.draws.count} draws` : "counted from draws of the noise";
  const nowhere = s.method === "monte_carlo" && !still(s) ? counted : "no boundary in reach";
  const beyond = distance === null ? nowhere : `“${short(s.runner_up)}” is ${num(distance, 3)} σ away →`;
  const becomes = `becomes “${short(s.runner_up)}”`;
  const atEdge = x(distance) > w - 60;
  const begins = x(distance) - becomes.length * (atEdge ? 8 : 4); // about where that text begins
  return svg("svg", { viewBox: `0 0 ${w} ${h}`, role: "img", id: "gauge",
    "aria-label": `Flip probability ${flip}; ${distance === null ? nowhere : `the nearest other label, ${s.runner_up}, is ${num(distance, 3)} noise steps away`}.` },
    svg("path", { d: outline(-reach, inside ? Math.min(distance, right) : right), class: "bell" }),
    inside ? svg("path", { d: outline(distance, right), class: "tail" }) : null,
    svg("line", { x1: 6, x2: w - 6, y1: base, y2: base, class: "axis" }),
    svg("line", { x1: x(0), x2: x(0), y1: base - 74, y2: base + 5, class: "here" }),
    svg("text", { x: x(0), y: base + 20, "text-anchor": "middle" }, "this input"),
    inside ? [
      svg("line", { x1: x(distance), x2: x(distance), y1: 12, y2: base + 5, class: "boundary" }),
      svg("text", { x: Math.min(x(distance), w - 4), y: base + 20 + (begins < x(0) + 40 ? 14 : 0), "text-anchor": atEdge ? "end" : "middle", class: "strong" }, becomes),
    ] : svg("text", { x: w - 8, y: base + 20 + (w - 8 - 7 * beyond.length < x(0) + 40 ? 14 : 0), "text-anchor": "end", class: "strong" }, beyond),
    svg("text", { x: 8, y: 22, class: "big" }, flip),
    svg("text", { x: 8, y: 38 }, "flips"));
}

const short = (text) => (text.length > 14 ? `${text.slice(0, 13)}…` : text);

/** A value with its noise band: two thirds of repeated measurements fall into the inner one. */
function valueGauge(card, { value, stability: { volatility } }) {
  const [w, h, base] = [360, 128, 92];
  const x = (t) => w / 2 + (t / 3.6) * (w / 2 - 12);
  const at = (t) => beside(value + t * volatility, volatility);
  const ticks = volatility === 0 ? [0] : [-2, -1, 0, 1, 2].every((t) => at(t).length < 6) ? [-2, -1, 0, 1, 2] : [-2, 0, 2];
  const path = (from, to) => {
    const points = [];
    for (let t = from; t <= to + 1e-9; t += 0.1) points.push(`${x(t).toFixed(1)},${(base - 70 * bell(t)).toFixed(1)}`);
    return `M${x(from).toFixed(1)},${base}L${points.join("L")}L${x(to).toFixed(1)},${base}Z`;
  };
  return svg("svg", { viewBox: `0 0 ${w} ${h}`, role: "img", id: "gauge",
    "aria-label": `${at(0)}${unitOf(card)}; noise moves it by ${num(volatility, 3)}: mostly between ${at(-1)} and ${at(1)}.` },
    volatility > 0 ? [svg("path", { d: path(-3.5, 3.5), class: "bell faint" }), svg("path", { d: path(-1, 1), class: "bell" })] : null,
    svg("line", { x1: 6, x2: w - 6, y1: base, y2: base, class: "axis" }),
    svg("line", { x1: x(0), x2: x(0), y1: base - 74, y2: base + 5, class: "here" }),
    ticks.map((t) => svg("text", { x: x(t), y: base + 20, "text-anchor": "middle", class: t === 0 ? "strong" : "" }, at(t))));
}

/** The levels of an ordinal model: thresholds on its latent scale around this input, with the noise as a bell. */
function ladder(card, prediction) {
  const [w, h, base] = [360, 132, 84];
  const shares = card.labels.map((label) => prediction.probabilities[label]);
  const above = card.labels.slice(0, -1).map((_, k) => shares.slice(k + 1).reduce((sum, p) => sum + p, 0));
  const thresholds = above.map((p) => -Math.log(Math.max(p, 1e-12) / Math.max(1 - p, 1e-12))); // logit, this input at 0
  const { flip_distance: distance, flip_probability: flip } = prediction.stability;
  const sd = distance ? Math.min(...thresholds.map(Math.abs)) / distance : 0;
  const [low, high] = [Math.min(-1, ...thresholds) - 2, Math.max(1, ...thresholds) + 2];
  const x = (t) => 8 + ((t - low) / (high - low)) * (w - 16);
  const points = [];
  for (let t = -4; t <= 4; t += 0.1) points.push(`${Math.min(w, Math.max(0, x(t * sd))).toFixed(1)},${(base - 60 * bell(t)).toFixed(1)}`);
  const edges = [low, ...thresholds, high];
  // In two rows, the answer's first; a name that would meet another is left to the list below.
  const names = [];
  for (const label of [prediction.label, ...card.labels.filter((each) => each !== prediction.label)]) {
    const k = card.labels.indexOf(label), half = 3.6 * short(label).length + 3;
    const middle = Math.min(w - half, Math.max(half, (x(edges[k]) + x(edges[k + 1])) / 2));
    const row = [0, 1].find((each) => names.every((one) => one.row !== each || Math.abs(one.middle - middle) >= one.half + half));
    if (row !== undefined) names.push({ label, middle, row, half });
  }
  return svg("svg", { viewBox: `0 0 ${w} ${h}`, role: "img", id: "gauge",
    "aria-label": `Level ${prediction.label}, flip probability ${chance(flip)}. Levels in order: ${card.labels.join(", ")}.` },
    sd > 0 ? svg("path", { d: `M${points.join("L")}Z`, class: "bell" }) : null,
    svg("line", { x1: 6, x2: w - 6, y1: base, y2: base, class: "axis" }),
    thresholds.map((t) => svg("line", { x1: x(t), x2: x(t), y1: 16, y2: base + 5, class: "boundary" })),
    svg("line", { x1: x(0), x2: x(0), y1: base - 66, y2: base + 5, class: "here" }),
    names.map(({ label, middle, row }) => svg("text", { x: middle, y: base + 20 + 14 * row, "text-anchor": "middle",
      class: label === prediction.label ? "strong" : "" }, short(label))),
    svg("text", { x: w - 8, y: 12, "text-anchor": "end", class: "strong" }, `${chance(flip)} flips`));
}

function bars(prediction) {
  const entries = Object.entries(prediction.probabilities);
  const most = prediction.probabilities[prediction.label];
  return el("ul", { class: "bars", "aria-label": "Probabilities" }, entries.map(([label, p]) =>
    el("li", { class: label === prediction.label ? "top" : label === prediction.stability.runner_up ? "next" : "" },
      el("span", { class: "name" }, label),
      el("span", { class: "track", "aria-hidden": "true" }, el("span", { class: "bar", vars: { "--share": `${(100 * p).toFixed(2)}%` } })),
      el("span", { class: "value" }, chance(p),
        most !== undefined && label === prediction.stability.runner_up ? el("span", { class: "tag" }, " runner-up") : null))));
}
