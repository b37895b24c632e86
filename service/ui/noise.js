// Noise that nobody measured: training gives a column a tenth of its spread where none is declared for it.

const SHARE = 0.1; // NOISE_SHARE of training/data/noise.py

/** Whether a feature's noise is that default: its card says so, or in older cards its size to the last digits. */
export const assumed = ({ noise, std, noise_source: source }) =>
  noise > 0 && (source ? source === "default" : Math.abs(noise - SHARE * std) <= 1e-9 * noise);

/** What is to be said of a card's noise; null where all of it was declared. */
export function assumption(card) {
  const noisy = card.features.filter(({ noise }) => noise > 0);
  const count = noisy.filter(assumed).length;
  if (count === 0) return null;
  return count === noisy.length ? "default, not measured" : `default, not measured, for ${count} of ${noisy.length} features`;
}
