// The claim checked before one's eyes: noisy copies of the input, predicted in one batch, and what became of them.

import { api } from "./api.js";
import { chance, colour, el, num, percent, settled, show, wilson } from "./dom.js";
import { thumbnail } from "./picture.js";
import { unitOf } from "./words.js";

const COPIES = 500;
const CELL = 12;

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
    const moved = value + noise * scale * normal(uniform);
    return card.layout ? Math.round(moved * 10) / 10 : Number(moved.toPrecision(8)); // shorter on the wire, far finer than the noise
  });
}

export function experimentView(node, card, target, noise, { onNoise, onProblem }) {
  const regression = card.task === "regression";
  const thing = card.layout ? "picture" : "row";
  const slider = el("input", { type: "range", id: "noise", min: 0.5, max: 10, step: 0.5, value: noise });
  const shown = el("output", { for: "noise" });
  const run = el("button", { type: "button", id: "run", class: "primary", onclick: () => experiment() }, `Try ${COPIES} noisy copies`);
  const preview = el("div", { class: "preview" });
  const squares = el("canvas", { class: "squares", role: "img", "aria-label": "No copies tried yet" });
  const tally = el("div", { class: "tally", id: "tally" });
  const outcome = el("p", { class: "outcome", id: "outcome", "aria-live": "polite" });
  let row = null, base = null, copies = [], seed = 1, turn = 0;

  show(node,
    el("p", {}, regression
      ? "The service says how far noise moves the value. Do not take its word for it: measure the row again and again, with noise, and look."
      : `The service says how likely noise is to change the label. Do not take its word for it: perturb the ${thing} hundreds of times, and count.`),
    el("div", { class: "experiment" },
      el("div", { class: "controls" },
        el("label", { for: "noise" }, "Noise ", shown), slider,
        el("p", { class: "muted" }, "1 is what the card declares", card.layout ? ` (±${num(card.features[0].noise, 2)} ${card.features[0].unit ?? ""})` : "", "."),
        run, preview),
      el("div", {}, tally, squares, outcome)));

  const label = () => { shown.textContent = `× ${slider.value}`; };

  function reset() {
    copies = [];
    turn += 1;
    tally.replaceChildren();
    outcome.textContent = "";
    squares.hidden = true;
    if (card.layout && row) {
      show(preview, thumbnail(noisy(row, card, Number(slider.value), stream(seed)), card, 112, `One noisy copy, noise times ${slider.value}`),
        el("span", { class: "muted" }, "one noisy copy"));
    }
  }

  slider.addEventListener("input", () => { label(); reset(); onNoise(Number(slider.value)); again(); });
  const again = settled(() => experiment(), 150);

  async function experiment() {
    if (!row) return;
    const mine = turn, scale = Number(slider.value), uniform = stream(seed * 7919 + copies.length);
    const drawn = Array.from({ length: COPIES }, () => noisy(row, card, scale, uniform));
    run.disabled = true;
    try {
      const [[said], answers] = await Promise.all([
        api.predict(target, [row], { noise_scale: scale }),
        api.predict(target, drawn),
      ]);
      if (mine !== turn) return;
      base = said;
      copies.push(...answers);
      tell();
    } catch (error) {
      if (mine === turn) onProblem(error);
    } finally {
      run.disabled = false;
      run.textContent = copies.length ? `Try ${COPIES} more` : `Try ${COPIES} noisy copies`;
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
      figure("Predicted", chance(stated), "before a single copy was made"),
      figure("Counted", percent(share), `${others.length} of ${copies.length} copies flipped`));
    const most = counts.slice(0, 3).map(([name, count]) => `“${name}” ${count}×`).join(", ");
    const within = stated >= low && stated <= high;
    outcome.textContent = `Chance alone leaves the counted share open between ${percent(low)} and ${percent(high)}; the prediction lies ${within ? "inside: the claim holds" : "outside: the closed form, which is made for small noise, is off here"}.` +
      (most ? ` The flipped copies were read as ${most}.` : ` All are still read as “${base.label}”.`);
    paint(copies.map((one) => (one.label === base.label ? "kept" : "flipped")), `${others.length} of ${copies.length} noisy copies changed their label`);
  }

  function spread() {
    const values = copies.map((one) => one.value);
    const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
    const sd = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (values.length - 1));
    const stated = base.stability.volatility;
    const error = sd / Math.sqrt(2 * (values.length - 1));
    Object.assign(tally.dataset, { spread: sd, copies: copies.length, stated });
    show(tally, figure("Predicted", `±${num(stated, 3)}${unitOf(card)}`, "before a single copy was made"),
      figure("Counted", `±${num(sd, 3)}${unitOf(card)}`, `spread of ${copies.length} copies`));
    const within = Math.abs(sd - stated) <= 1.96 * error;
    outcome.textContent = `Chance alone leaves the counted spread open by ±${num(1.96 * error, 2)}; the prediction lies ${within ? "inside: the claim holds" : "outside: here the closed form is off"}.`;
    paint(values.map((v) => (Math.abs(v - base.value) <= stated ? "kept" : "flipped")), `${values.filter((v) => Math.abs(v - base.value) <= stated).length} of ${copies.length} copies stay within the predicted band`);
  }

  /** A square for each copy. */
  function paint(kinds, description) {
    squares.hidden = false;
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

  const figure = (name, value, help) => el("div", {}, el("span", { class: "eyebrow" }, name), el("strong", {}, value), el("span", { class: "muted" }, help));

  label();
  reset();
  return {
    input(next) { row = next; reset(); run.textContent = `Try ${COPIES} noisy copies`; again(); },
    redraw() { if (copies.length) tell(); },
  };
}
