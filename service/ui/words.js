// What the figures say, in words for someone who has never heard of a derivative.

import { beside, chance, chances, num } from "./dom.js";

/** Where the service's verdicts begin, as its settings say. */
const THRESHOLDS = JSON.parse(document.querySelector("meta[name=thresholds]").content);

export const GLOSS = { stable: "Stable", elevated: "Elevated", unstable: "Unstable" };
export const MARK = { stable: "✓", elevated: "!", unstable: "≈" };

/** What the model reports about a row: the thing whose wobble is measured. */
export function reported(card, prediction) {
  if (card.task === "classification") return `probability of “${prediction.label}”`;
  return card.task === "ordinal" ? `expected level of ${card.target}` : card.target;
}

export const unitOf = (card) => (card.task === "regression" && card.target_unit ? ` ${card.target_unit}` : "");

export function headline(card, prediction) {
  return card.task === "regression" ? `${beside(prediction.value, prediction.stability.volatility)}${unitOf(card)}` : prediction.label;
}

/** A flip probability as per cent; where none of a model's draws flipped, so many as those say. */
export const flips = (card, p) => (p === 0 && card.draws ? `0 of ${card.draws.count}` : chance(p));

/** Whether no noise at all moves an answer; draws have no distance, but an answer that they move has a volatility. */
export const still = (s) => s.flip_distance === null && s.volatility === 0;

/** One or two sentences on how much the answer wobbles. */
export function verdictSentence(card, prediction) {
  const s = prediction.stability;
  if (card.task === "regression") {
    const beside = s.percentile === null ? "" : ` That is more than for ${Math.round(s.percentile)} of 100 cases the model was tested on.`;
    return `Measurement noise alone moves this by ±${num(s.volatility, 3)}${unitOf(card)}.${beside}`;
  }
  if (still(s)) return "No measurement noise moves this answer.";
  const thing = card.layout ? "copies of this picture" : "repeated measurements";
  return s.flip_probability < THRESHOLDS.elevated_flip_probability
    ? `It would say so again: ${s.flip_probability === 0 && card.draws ? `none of ${card.draws.count}` : chances(s.flip_probability)} noisy ${thing} would get another answer.`
    : `It may change its mind: ${chances(s.flip_probability)} noisy ${thing} would get another answer, most likely “${s.runner_up}”.`;
}

/** Whether the model knows such inputs: the answer in a word, and what it rests on; null where the version does not say. */
export function familiarity(prediction) {
  if (!prediction.novelty) return null;
  const { percentile, features } = prediction.novelty;
  const unlike = `more unusual than ${Math.floor(percentile)} of 100 cases it was tested on`;
  if (!prediction.stability.reasons.includes("novel")) return { word: "Yes", why: unlike };
  return { word: "No", why: features?.length ? `${unlike}: ${features.join(", ")} ${features.length === 1 ? "does" : "do"} not fit the rest` : unlike };
}

const REASONS = {
  flip_probability: "the noise may well change the label",
  volatility: "it wobbles more than almost all cases the model was tested on",
  out_of_range: "some values lie outside what the model has seen in training",
  novel: "the model knows next to nothing like this",
  close_call: "cases it was as unsure of were often answered wrongly",
};

export function reasonSentence(prediction) {
  const { verdict, reasons } = prediction.stability;
  return reasons.length === 0 ? "" : `Called ${verdict} because ${reasons.map((reason) => REASONS[reason] ?? reason).join(", and ")}.`;
}

/** Of two rows' answers, which wobbles more and why. `names` are what to call them. */
export function comparison(card, first, second, names) {
  const [a, b] = [first.stability, second.stability];
  if (card.task === "regression") {
    if (a.volatility === b.volatility) return "Both are equally stable.";
    const [more, less, at] = a.volatility >= b.volatility ? [a, b, 0] : [b, a, 1];
    const times = less.volatility > 0 ? `${num(more.volatility / less.volatility, 2)} times as much` : "and the other does not";
    return `${names[at]} is the shakier: noise moves it by ±${num(more.volatility, 3)}, ${times}.`;
  }
  const far = (s) => s.flip_distance ?? Infinity;
  const [p, q] = [a.flip_probability, b.flip_probability];
  if (p === q && far(a) === far(b)) return "Both are equally stable.";
  const at = p !== q ? (p > q ? 0 : 1) : far(a) < far(b) ? 0 : 1;
  const [more, less] = at === 0 ? [a, b] : [b, a];
  const steps = (s) => (s.flip_distance === null ? "out of reach" : `${num(s.flip_distance, 3)} noise steps away`);
  const [often, seldom] = [more, less].map((s) => flips(card, s.flip_probability));
  const said = `${names[at]} is the shakier: noise would change its answer in ${often} of cases, against ${seldom}`;
  if (more.flip_distance === null) return `${said}; it is taken for “${more.runner_up}” most often.`;
  return (often === seldom ? `${names[at]} is the shakier, though noise would change either in ${often} of cases: ` : `${said}, because `) +
    `the nearest other answer (“${more.runner_up}”) is only ${steps(more)}; for the other it is ${steps(less)}.`;
}
