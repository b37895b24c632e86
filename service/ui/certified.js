// Bounds that the service guarantees rather than estimates; shown only where the model has them.

import { api } from "./api.js";

const STEPS = 30; // boxes along the curve, in one request: the service takes 32 unless told otherwise

/** {low, high} along `xs`: between two ends of a step the answer provably stays inside. Null where nothing is guaranteed. */
export async function certifiedBand(target, card, row, at, xs, prediction) {
  if (!card.graphs?.bounds || (xs.length - 1) % STEPS !== 0) return null;
  const each = (xs.length - 1) / STEPS;
  const half = (xs[each] - xs[0]) / 2;
  const centres = Array.from({ length: STEPS }, (_, step) => xs[each * step] + half);
  const box = { [card.features[at].name]: half * (1 + 1e-6) }; // so that neighbours meet for all their rounding
  try {
    const answers = await api.sensitivity(target, centres.map((x) => row.with(at, x)), { box, top: 1 });
    const ranges = answers.map(({ certificate: found }) =>
      (card.task === "classification" ? found.probabilities[prediction.label] : found.value) ?? [null, null]);
    const along = (end, worse) => xs.map((_, k) => {
      const near = [Math.floor((k - 1) / each), Math.floor(k / each)].filter((step) => step >= 0 && step < STEPS);
      const ends = near.map((step) => ranges[step][end]);
      return ends.includes(null) ? null : worse(...ends);
    });
    const band = { name: "certainly inside", low: along(0, Math.min), high: along(1, Math.max) };
    return band.low.some((end) => end !== null) ? band : null;
  } catch {
    return null; // the curve stands without it
  }
}
