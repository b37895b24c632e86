// The claim checked before one's eyes: noisy copies of the input, predicted in one batch, and what became of them.

import { api } from "./api.js";
import { colour, el, num, percent, settled, show, wilson } from "./dom.js";
import { assumption } from "./noise.js";
import { thumbnail } from "./picture.js";
import { flips as flipText, unitOf } from "./words.js";

const COPIES = 500; // fewer of a wide row, since a request holds 8 MiB
const BYTES = 16; // of a value on the wire, at most
const CELL = 12;
const SEED = 1;

/** Uniform numbers from 0 to 1, the same ones for the same seed, so that a link shows the same experiment. */
function stream(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const normal = (uniform) => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());

/** `row` with drawn noise of the card's size times `scale`; categories stay. */
function noisy(row, card, scale, uniform) {
  return row.map((value, at) => {
    const { noise } = card.features[at];
    if (!noise) return value;
    const moved = (value ?? card.features[at].fill) + noise * scale * normal(uniform);
    return card.layout ? Math.round(moved * 10) / 10 : Number(moved.toPrecision(8)); // shorter on the wire, far finer than the noise
  });
}

export function experimentView(node, card, target, noise, { onNoise, onCopies, onProblem }) {
  const regression = card.task === "regression";
  const many = Math.min(COPIES, Math.max(1, Math.floor(8e6 / BYTES / card.features.length)));
  const thing = card.layout ? "picture" : "row";
  const size = [card.layout && `±${num(card.features[0].noise, 2)} ${card.features[0].unit ?? ""}`, assumption(card)].filter(Boolean);
  const slider = el("input", { type: "range", id: "noise", min: 0.5, max: 10, step: 0.5, value: noise });
  const shown = el("output", { for: "noise" });
  const run = el("button", { type: "button", id: "run", class: "primary", onclick: () => experiment() });
  const preview = el("div", { class: "preview" });
  const squares = el("canvas", { class: "squares", role: "img", "aria-label": "No copies tried yet" });
  const tally = el("div", { class: "tally", id: "tally" });
  const key = el("ul", { class: "key" });
  const outcome = el("p", { class: "outcome", id: "outcome", "aria-live": "polite" });
  let row = null, base = null, copies = [], turn = 0, running = null;

  show(node,
    el("p", {}, regression
      ? "The service says how far noise moves the value. Do not take its word for it: measure the row again and again, with noise, and look."
      : `The service says how likely noise is to change the label. Do not take its word for it: perturb the ${thing} hundreds of times, and count.`),
    el("div", { class: "experiment" },
      el("div", { class: "controls" },
        el("label", { for: "noise" }, "Noise ", shown), slider,
        el("p", { class: "muted" }, "1 is the card’s noise", size.length ? ` (${size.join("; ")})` : "", "."),
        run, preview),
      el("div", {}, tally, squares, key, outcome)));

  function reset() {
    copies = [];
    turn += 1;
    shown.textContent = `× ${slider.value}`;
    run.textContent = `Try ${many} noisy copies`;
    tally.replaceChildren();
    for (const name of Object.keys(tally.dataset)) delete tally.dataset[name];
    outcome.textContent = "";
    squares.hidden = key.hidden = true;
    if (card.layout && row) {
      show(preview, thumbnail(noisy(row, card, Number(slider.value), stream(SEED)), card, 112, `One noisy copy, noise times ${slider.value}`),
        el("span", { class: "muted" }, "one noisy copy"));
    }
  }

  slider.addEventListener("input", () => { reset(); onNoise(Number(slider.value)); again(); });
  const again = settled(() => experiment(), 150);

  async function experiment() {
    if (!row || running === turn) return;
    const mine = turn, scale = Number(slider.value), uniform = stream(SEED * 7919 + copies.length);
    const drawn = Array.from({ length: many }, () => noisy(row, card, scale, uniform));
    running = mine;
    run.setAttribute("aria-disabled", "true"); // `disabled` would take the focus away
    try {
      const [[said], answers] = await Promise.all([
        api.predict(target, [row], { noise_scale: scale, measure: true }),
        api.predict(target, drawn),
      ]);
      if (mine !== turn) return;
      if (copies.length === 0) onCopies({ row, drawn, answers, scale });
      base = said;
      copies.push(...answers);
      tell();
    } catch (error) {
      if (mine === turn) onProblem(error);
    } finally {
      if (running === mine) {
        running = null;
        run.removeAttribute("aria-disabled");
        if (copies.length) run.textContent = `Try ${many} more`;
      }
    }
  }

  function tell() {
    if (regression) spread(); else flips();
  }

  function flips() {
    const stated = base.stability.flip_probability;
    const others = copies.filter((one) => one.label !== base.label);
    const share = others.length / copies.length;
    const [low, high] = wilson(others.length, copies.length);
    const counts = Object.entries(Object.groupBy(others, (one) => one.label)).map(([name, list]) => [name, list.length]).sort((a, b) => b[1] - a[1]);
    Object.assign(tally.dataset, { flips: others.length, copies: copies.length, stated });
    show(tally,
      figure("Predicted", flipText(card, stated), "before a single copy was made"),
      figure("Counted", percent(share), `${others.length} of ${copies.length} copies flipped`));
    const readings = counts.slice(0, 3).map(([name, count]) => `“${name}” ${count}×`).join(", ");
    const [least, most] = card.draws ? wilson(stated * card.draws.count, card.draws.count) : [stated, stated];
    const within = most >= low && least <= high;
    outcome.textContent = `Chance alone leaves the counted share open between ${percent(low)} and ${percent(high)}; the prediction${drawing} lies ${within ? "inside: the claim holds" : `outside: ${off}`}.` +
      (readings ? ` The flipped copies were read as ${readings}.` : ` All are still read as “${base.label}”.`);
    paint(copies.map((one) => (one.label === base.label ? "kept" : "flipped")), `${others.length} of ${copies.length} noisy copies changed their label`, ["same answer", "another answer"]);
  }

  function spread() {
    const values = copies.map((one) => one.value);
    const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
    const sd = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (values.length - 1));
    const stated = base.stability.volatility;
    const error = sd * Math.sqrt(1 / (2 * (values.length - 1)) + (card.draws ? 1 / (2 * card.draws.count) : 0));
    Object.assign(tally.dataset, { spread: sd, copies: copies.length, stated });
    show(tally, figure("Predicted", `±${num(stated, 3)}${unitOf(card)}`, "before a single copy was made"),
      figure("Counted", `±${num(sd, 3)}${unitOf(card)}`, `spread of ${copies.length} copies`));
    const within = Math.abs(sd - stated) <= 1.96 * error;
    outcome.textContent = `Chance alone leaves the counted spread open by ±${num(1.96 * error, 2)}; the prediction${drawing} lies ${within ? "inside: the claim holds" : `outside: ${off}`}.`;
    const inside = values.map((v) => Math.abs(v - base.value) <= stated);
    paint(inside.map((stays) => (stays ? "kept" : "flipped")), `${inside.filter(Boolean).length} of ${copies.length} copies stay within the predicted band`,
      ["within the predicted band, as two of three should be", "beyond it"]);
  }

  /** A square for each copy. */
  function paint(kinds, description, [kept, flipped]) {
    squares.hidden = key.hidden = false;
    show(key, el("li", {}, el("span", { class: "swatch kept" }), kept), el("li", {}, el("span", { class: "swatch unstable" }), flipped));
    const across = Math.max(20, Math.floor((squares.parentElement.clientWidth || 480) / CELL));
    const ratio = devicePixelRatio;
    squares.width = across * CELL * ratio;
    squares.height = Math.ceil(kinds.length / across) * CELL * ratio;
    squares.style.setProperty("width", `${across * CELL}px`);
    squares.setAttribute("aria-label", description);
    const brush = squares.getContext("2d");
    brush.scale(ratio, ratio);
    const fills = { kept: colour("kept"), flipped: colour("unstable") };
    kinds.forEach((kind, at) => {
      brush.fillStyle = fills[kind];
      brush.fillRect((at % across) * CELL + 1, Math.floor(at / across) * CELL + 1, CELL - 2, CELL - 2);
    });
  }

  const drawing = card.draws ? `, itself counted in ${card.draws.count} draws,` : "";
  const off = card.draws ? "more than chance makes likely" : "the closed form, which is made for small noise, is off here";
  const figure = (name, value, help) => el("div", {}, el("span", { class: "eyebrow" }, name), el("strong", {}, value), el("span", { class: "muted" }, help));

  reset();
  return {
    input(next) { row = next; reset(); again(); },
    redraw() { if (copies.length) tell(); },
  };
}
