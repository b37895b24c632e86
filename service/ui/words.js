// What the figures say, in words for someone who has never heard of a derivative.

import { chance, chances, num } from "./dom.js";

export const GLOSS = { stable: "Stable", elevated: "Elevated", unstable: "Unstable" };
export const MARK = { stable: "✓", elevated: "!", unstable: "≈" };

/** What the model reports about a row: the thing whose wobble is measured. */
export function reported(card, prediction) {
  if (card.task === "classification") return `probability of “${prediction.label}”`;
  return card.task === "ordinal" ? `expected level of ${card.target}` : card.target;
}

export const unitOf = (card) => (card.task === "regression" && card.target_unit ? ` ${card.target_unit}` : "");

export function headline(card, prediction) {
  return card.task === "regression" ? `${num(prediction.value)}${unitOf(card)}` : prediction.label;
}

/** One or two sentences on how much the answer wobbles. */
export function verdictSentence(card, prediction) {
  const s = prediction.stability;
  if (card.task === "regression") {
    const beside = s.percentile === null ? "" : ` That is more than for ${Math.round(s.percentile)} of 100 cases the model was tested on.`;
    return `Measurement noise alone moves this by ±${num(s.volatility, 3)}${unitOf(card)}.${beside}`;
  }
  if (s.flip_distance === null) return "No measurement noise moves this answer.";
  const thing = card.layout ? "copies of this picture" : "repeated measurements";
  return s.flip_probability < 0.01
    ? `It would say so again: ${chances(s.flip_probability)} noisy ${thing} would get another answer.`
    : `It may change its mind: ${chances(s.flip_probability)} noisy ${thing} would get another answer, most likely “${s.runner_up}”.`;
}

const REASONS = {
  flip_probability: "the noise may well change the label",
  volatility: "it wobbles more than almost all cases the model was tested on",
  out_of_range: "some values lie outside what the model has seen in training",
};

export function reasonSentence(prediction) {
  const { verdict, reasons } = prediction.stability;
  return reasons.length === 0 ? "" : `Called ${verdict} because ${reasons.map((reason) => REASONS[reason] ?? reason).join(", and ")}.`;
}

/** Of two rows' answers, which wobbles more and why. `names` are what to call them. */
export function comparison(card, first, second, names) {
  const [a, b] = [first.stability, second.stability];
  if (card.task === "regression") {
    const [more, less, at] = a.volatility >= b.volatility ? [a, b, 0] : [b, a, 1];
    const times = less.volatility > 0 ? `${num(more.volatility / less.volatility, 2)} times as much` : "and the other does not";
    return `${names[at]} is the shakier: noise moves it by ±${num(more.volatility, 3)}, ${times}.`;
  }
  const flips = (s) => s.flip_probability ?? 0;
  const far = (s) => s.flip_distance ?? Infinity;
  if (flips(a) === flips(b) && far(a) === far(b)) return "Both are equally stable.";
  const at = flips(a) !== flips(b) ? (flips(a) > flips(b) ? 0 : 1) : far(a) < far(b) ? 0 : 1;
  const [more, less] = at === 0 ? [a, b] : [b, a];
  const steps = (s) => (s.flip_distance === null ? "out of reach" : `${num(s.flip_distance, 3)} noise steps away`);
  return `${names[at]} is the shakier: noise would change its answer in ${chance(flips(more))} of cases, against ${chance(flips(less))}, ` +
    `because the nearest other answer (“${more.runner_up}”) is only ${steps(more)}; for the other it is ${steps(less)}.`;
}
