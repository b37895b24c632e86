// What the figures say, in words for someone who has never heard of a derivative.

import { beside, chance, chances, num } from "./dom.js";
import { assumption } from "./noise.js";

/** Where the service's verdicts begin, as its settings say. */
const THRESHOLDS = JSON.parse(document.querySelector("meta[name=thresholds]").content);

/** What the model reports about a row: the thing whose wobble is measured. */
export function reported(card, prediction) {
  if (card.task === "classification") return `probability of “${prediction.label}”`;
  return card.task === "ordinal" ? `expected level of ${card.target}` : card.target;
}

export const unitOf = (card) => (card.task === "regression" && card.target_unit ? ` ${card.target_unit}` : "");

export function headline(card, prediction) {
  return card.task === "regression" ? `${beside(prediction.value, prediction.stability.volatility)}${unitOf(card)}` : prediction.label;
}

/** Why there is no answer, where the service's policy withholds it; else the empty text. */
export const withheld = ({ label = null, value = null, decision }) =>
  label === null && value === null ? `The service's policy withholds this answer (${decision.causes.join(", ").replaceAll("_", " ")}).` : "";

/** A flip probability as per cent; where none of a model's draws flipped, so many as those say. */
export const flips = (card, p) => (p === 0 && card.draws ? `0 of ${card.draws.count}` : chance(p));

/** Whether no noise at all moves an answer; draws have no distance, but an answer that they move has a volatility. */
export const still = (s) => s.flip_distance === null && s.volatility === 0;

/** One or two sentences on how much the answer wobbles. */
export function verdictSentence(card, prediction) {
  const s = prediction.stability;
  if (s.verdict === "not_measurable") return "So much noise moves it in ways that only counting can tell, and a request leaves no room to count.";
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

/** Three questions about an answer in the order in which to ask them: `{ question, word, why, level }` each. */
export const trust = (card, prediction) => [known(prediction), sure(card, prediction), steady(card, prediction)];

const UNKNOWN = { word: "Not known for this model", why: "Its card does not say.", level: "open" };
const listed = (names, last, most = 4) =>
  new Intl.ListFormat("en", { type: last }).format(names.length > most ? [...names.slice(0, most - 1), `${names.length - most + 1} more`] : names);

function known({ novelty, stability: { reasons, out_of_range } }) {
  const question = "Does it know such inputs?";
  const outside = out_of_range?.length ? `${listed(out_of_range, "conjunction")} ${out_of_range.length === 1 ? "lies" : "lie"} outside the training range. ` : "";
  if (!novelty) return outside ? { question, word: "Unusual", why: outside, level: "doubt" } : { question, ...UNKNOWN };
  const { percentile, features } = novelty;
  const rank = `More unusual than ${percentile >= 99.95 ? "all" : percentile < 1 ? "hardly any" : `${Math.floor(percentile)} of 100`} cases it was tested on`;
  if (!reasons.includes("novel")) return { question, word: outside ? "Unusual" : "Known", why: `${outside}${rank}.`, level: outside ? "doubt" : "good" };
  const odd = features?.length ? `: ${listed(features, "conjunction")} ${features.length === 1 ? "does" : "do"} not fit the rest` : "";
  return { question, word: "Unusual", why: `${outside}${rank}${odd}.`, level: "doubt" };
}

function sure(card, prediction) {
  const question = "How sure may one be?";
  const { confidence, interval, set, label } = prediction;
  if (!(card.task === "regression" ? interval : set)) return { question, ...UNKNOWN };
  const often = `${num(100 * confidence)} of 100`, at = `At ${num(100 * confidence)}\u00a0% confidence`;
  if (card.task === "regression") {
    return interval.includes(null)
      ? { question, word: "In doubt", why: `${at} it may be anything: too few cases were kept apart to say more.`, level: "doubt" }
      : { question, word: `${ends(interval)}${unitOf(card)}`, level: "open",
        why: `Such an interval holds the true value in ${often} cases like those it was tested on. Whether it is narrow enough is yours to say.` };
  }
  const quoted = set.map((each) => `“${each}”`);
  const share = `The model gives “${label}” ${chance(prediction.probabilities[label])}.`;
  const close = prediction.stability.reasons.includes("close_call");
  const seldom = close ? ` A close call: of such cases fewer than ${num(100 * THRESHOLDS.close_call_probability)} in 100 are answered rightly.` : "";
  const left = set.length === 0 ? `No label is as likely as the true one was in ${often} cases it was tested on.`
    : set.length === 1 ? `${at} only ${quoted[0]} comes into question.` : `${at} it may be ${listed(quoted, "disjunction", 12)}.`;
  const doubt = close || set.length !== 1;
  return { question, word: doubt ? "In doubt" : "Sure", why: `${left}${seldom} ${share}`, level: doubt ? "doubt" : "good" };
}

/** The ends of an interval, to the digits that its length leaves any sense. */
const ends = (interval) => interval.map((end) => beside(end, (interval[1] - interval[0]) / 20)).join(" to ");

const STEADY = { stable: ["Steady", "good"], elevated: ["Less steady", "doubt"], unstable: ["Unsteady", "bad"], not_measurable: ["Not measurable", "doubt"] };

/** The verdict, but for what has other reasons than noise: those are the first answer's. */
function steady(card, prediction) {
  const { verdict, reasons } = prediction.stability;
  const moved = verdict === "not_measurable" || reasons.includes("flip_probability") || reasons.includes("volatility");
  const [word, level] = STEADY[moved ? verdict : "stable"];
  const size = !still(prediction.stability) && assumption(card);
  return { question: "Would it say so again?", word, level,
    why: `${verdictSentence(card, prediction)}${size ? ` Size of the noise: ${size}.` : ""}` };
}

const REASONS = {
  flip_probability: "the noise may well change the label",
  volatility: "it wobbles more than almost all cases the model was tested on",
  out_of_range: "some values lie outside what the model has seen in training",
  novel: "the model knows next to nothing like this",
  close_call: "cases it was as unsure of were often answered wrongly",
  curvature: "the answer bends within the noise",
  calibration: "so much noise was found to move this model otherwise than its slopes say",
  noise_law: "the noise is bounded here, or of another kind than the normal",
  uninformative: "on cases it was tested on, the model did no better than a guess that looks at nothing",
};

/** Why the API's verdict is what it is. */
export const because = ({ stability: { reasons } }) =>
  reasons.length === 0 ? "" : `, because ${reasons.map((reason) => REASONS[reason] ?? reason).join(", and ")}`;

/** Of two rows' answers, which wobbles more and why. `names` are what to call them. */
export function comparison(card, first, second, names) {
  const [a, b] = [first.stability, second.stability];
  if (a.volatility === null || b.volatility === null) return "Nobody can say: the noise of one of them is not measurable.";
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
