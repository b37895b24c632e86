// The service's public API; what goes wrong comes as a Problem that says what the service said.

const TIMEOUT = 20_000; // milliseconds

export class Problem extends Error {
  constructor(status, title, detail, place = null) {
    super(detail);
    Object.assign(this, { status, title, place });
  }
}

let token = null;
try { token = sessionStorage.getItem("chainzrule-token"); } catch { /* storage is switched off */ }

export function useToken(given) {
  token = given;
  try { sessionStorage.setItem("chainzrule-token", given); } catch { /* then for this page alone */ }
}

export const hasToken = () => Boolean(token);

/** Addresses are relative to the page, so that they hold behind any path prefix. */
export const address = (path) => new URL(path, document.baseURI).href;

async function ask(path, { body, signal, text = false } = {}) {
  const limit = AbortSignal.timeout(TIMEOUT);
  const options = { headers: {}, signal: signal ? AbortSignal.any([signal, limit]) : limit };
  if (body) Object.assign(options, { method: "POST", body: JSON.stringify(body) });
  if (body) options.headers["Content-Type"] = "application/json";
  if (token) options.headers.Authorization = `Bearer ${token}`;
  let answer, content;
  try {
    answer = await fetch(address(path), options);
    content = await answer.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    if (limit.aborted) throw new Problem(0, "No answer in time", `The service has not answered within ${TIMEOUT / 1000} seconds.`);
    throw new Problem(0, "No answer", "The service cannot be reached.");
  }
  if (text && answer.ok) return content;
  let document_;
  try { document_ = JSON.parse(content); } catch { document_ = null; }
  if (document_ === null || typeof document_ !== "object") {
    throw new Problem(answer.status, "Damaged answer", "What came back is not what this service says; something on the way may have changed it.");
  }
  if (!answer.ok) {
    throw new Problem(answer.status, document_.title ?? "Refused", document_.detail ?? "The service gave no reason.", document_.place);
  }
  return document_;
}

/** An answer's predictions, with the confidence of their sets and intervals, or a Problem where some are missing. */
const predictionsOf = (answer, rows) => {
  const list = answer.predictions;
  if (!Array.isArray(list) || list.length !== rows || list.some((one) => !one?.stability)) {
    throw new Problem(200, "Damaged answer", "The answer lacks what it should hold.");
  }
  return list.map((one) => ({ ...one, confidence: answer.confidence }));
};

const query = (version) => (version ? `?version=${encodeURIComponent(version)}` : "");

export const api = {
  models: () => ask("models"),
  model: (name, version) => ask(`models/${encodeURIComponent(name)}${query(version)}`),
  stability: (name, version) => ask(`models/${encodeURIComponent(name)}/stability${query(version)}`),
  metrics: () => ask("metrics", { text: true }),
  description: () => ask("openapi.json"),

  /**
   * Predictions of rows; `observe` only where the caller means them to count as traffic. Without `measure` they may
   * come without stability, where the model has no derivatives and finding it out takes further runs.
   */
  async predict(target, instances, { noise_scale = 1, observe = false, measure = false, signal } = {}) {
    const answer = await ask("predict", { body: { ...target, instances, noise_scale, observe, measure }, signal });
    return predictionsOf(answer, instances.length);
  },

  async sensitivity(target, instances, { signal, ...more } = {}) {
    const answer = await ask("sensitivity", { body: { ...target, instances, ...more }, signal });
    return predictionsOf(answer, instances.length);
  },
};
