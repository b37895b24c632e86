// Noisy copies that rain onto the input, and the bell that fills as they are counted.

import { bellOf } from "./bell.js";
import { $, el, percent, show, svg } from "./dom.js";
import { thumbnail } from "./picture.js";

const COPIES = 240;
const LASTS = 4000; // milliseconds; what moves by itself for longer than five seconds would need a way to stop it
const PICTURES = 24; // of the copies, those that are seen to fall
const FALL = 700; // milliseconds that one takes
const BIN = 0.25; // noise steps to a column of the bell

/** How many noise steps a copy lies towards the boundary: against the slope of the label's probability. */
export function steps(row, copy, card, sensitivities) {
  let along = 0, length = 0;
  for (const { feature, effect } of sensitivities) {
    const at = card.features.findIndex(({ name }) => name === feature);
    const { noise, fill } = card.features[at];
    if (!noise || effect === null) continue;
    along -= (effect * (copy[at] - (row[at] ?? fill))) / noise;
    length += effect * effect;
  }
  return length > 0 ? along / Math.sqrt(length) : 0;
}

/**
 * The rain of an input's copies, of which the experiment has made and asked some at the card's own noise. `wait` forgets
 * them, `copies` and `explain` bring what it takes; `eager` has the first rain begin by itself.
 */
export function rainView(node, card, { eager }) {
  const button = el("button", { type: "button", id: "rain", hidden: true, onclick: () => play() }, "Let noisy copies rain on it");
  const told = el("p", { class: "muted", id: "rained", role: "status" });
  let known = {}, falling = 0;
  show(node, button, told);

  function ready() {
    const { made, prediction } = known;
    button.hidden = !(made && prediction && prediction.stability.flip_distance !== null);
    if (button.hidden || !eager) return;
    eager = false;
    play();
  }

  /** The copies as what is drawn of them: where in the bell, and whether they are another's. */
  function drops() {
    const { made: { row, drawn, answers }, prediction } = known;
    const of = new Map(card.features.map(({ name }, at) => [name, at]));
    const sensitivities = prediction.sensitivities.filter(({ feature }) => of.has(feature));
    return drawn.slice(0, COPIES).map((copy, at) => ({ copy, at: steps(row, copy, card, sensitivities), flipped: answers[at].label !== prediction.label }));
  }

  function play() {
    const gauge = $("gauge"), mine = (falling += 1), all = drops();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const { x, base, height, right, reach } = bellOf(known.prediction.stability.flip_distance);
    const brick = height / (all.length * BIN * 0.3989), wide = x(BIN) - x(0);
    const heights = new Map();
    const layer = svg("g", { class: "drops" });
    gauge.querySelector(".drops")?.remove();
    gauge.append(layer);
    let landed = 0, flipped = 0;
    const begin = performance.now();

    function land({ copy, at, flipped: other }, number) {
      const bin = Math.floor(Math.min(right - BIN, Math.max(-reach, at)) / BIN);
      const below = heights.get(bin) ?? 0;
      heights.set(bin, below + 1);
      flipped += other;
      layer.append(svg("rect", { x: x(bin * BIN) + 0.5, y: base - (below + 1) * brick, width: wide - 1, height: brick, class: other ? "other" : "same" }));
      if (!still && card.layout && number % Math.ceil(all.length / PICTURES) === 0) fall(copy);
    }

    function step() {
      if (mine !== falling || !layer.isConnected) return;
      const due = still ? all.length : Math.min(all.length, Math.ceil((all.length * (performance.now() - begin)) / LASTS));
      for (; landed < due; landed += 1) land(all[landed], landed);
      if (landed < all.length) {
        told.removeAttribute("role"); // only the end is read out
        told.textContent = `${landed} copies so far, ${flipped} of them read as something else.`;
        requestAnimationFrame(step);
        return;
      }
      told.setAttribute("role", "status");
      told.textContent = `${flipped} of ${all.length} noisy copies were read as something else (${percent(flipped / all.length)}). Each lies in the bell where its noise moved it.`;
      Object.assign(told.dataset, { copies: all.length, flipped });
    }
    step();
  }

  function fall(copy) {
    const easel = document.querySelector(".easel");
    const drop = thumbnail(copy, card, 72);
    drop.classList.add("drop");
    drop.style.setProperty("left", `${8 + 72 * Math.random()}%`);
    easel.append(drop);
    const gone = drop.animate([{ transform: "translateY(-110%)", opacity: 0 }, { opacity: 0.9, offset: 0.25 }, { transform: "translateY(190px) scale(0.7)", opacity: 0 }],
      { duration: FALL, easing: "ease-in" });
    gone.onfinish = () => drop.remove();
  }

  return {
    wait() {
      falling += 1;
      known = {};
      button.hidden = true;
      told.textContent = "";
      delete told.dataset.copies;
    },
    copies(made) { if (made.scale === 1) { known.made = made; ready(); } },
    explain(prediction) { known.prediction = prediction; ready(); },
  };
}
