// The noise as a bell around an input: where what lies how many noise steps away is drawn.

export const bell = (x) => Math.exp((-x * x) / 2);

const REACH = 4; // noise steps that are shown on the side away from the boundary

/** The bell's picture for a distance to the boundary, null where there is none: its size, and places in it. */
export function bellOf(distance) {
  const right = distance === null ? 6 : Math.min(Math.max(distance + 1.2, 4.4), 7);
  const [w, h, base, height] = [360, 128, 92, 70];
  return { w, h, base, height, right, reach: REACH,
    x: (t) => 12 + ((t + REACH) / (right + REACH)) * (w - 24),
    y: (t) => base - height * bell(t) };
}
