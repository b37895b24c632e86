// Bounds that the service guarantees rather than estimates; shown only where its API offers them.

/** {name, low, high} along `xs`, or null where the service gives no such bounds. */
export async function certifiedBand() {
  return null;
}
