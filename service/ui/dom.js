// Elements from values, and numbers as text.

const fill = (node, attributes, children) => {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "vars") for (const [key, v] of Object.entries(value)) node.style.setProperty(key, v);
    else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
};

export const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
export const $ = (id) => document.getElementById(id);

/** Put children in the place of what a node holds. */
export const show = (node, ...children) => {
  node.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
};

export const raised = (power) => [...String(power)].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(c)])).join("");

/** A number for reading: four digits, small and large ones as powers of ten. */
export function num(x, digits = 4) {
  if (x === null || x === undefined) return "–";
  if (x !== 0 && (Math.abs(x) < 1e-4 || Math.abs(x) >= 1e7)) {
    const [mantissa, power] = x.toExponential(1).split("e");
    return `${mantissa.replace("-", "−")} × 10${raised(Number(power))}`;
  }
  return new Intl.NumberFormat("en", { maximumSignificantDigits: digits }).format(x + 0).replace("-", "−"); // + 0: no minus zero
}

/** A value with as many digits as its wobble leaves any sense. */
export const beside = (value, wobble) =>
  num(value, wobble > 0 && value ? Math.min(9, Math.max(3, 2 + Math.ceil(Math.log10(Math.abs(value) / wobble)))) : 6);

export const signed = (x) => (x > 0 ? "+" : "") + num(x, 3);

/** A share as per cent. */
export function percent(p) {
  return p === 0 || p === 1 ? `${p * 100}\u00a0%` : chance(p);
}

/** A probability as per cent: never 0 or 100, which nothing is that noise can reach. */
export function chance(p) {
  if (p === null || p === undefined) return "–";
  if (p < 1e-4) return "<\u00a00.01\u00a0%";
  if (p > 0.9999) return ">\u00a099.99\u00a0%";
  const digits = p < 0.01 || p > 0.99 ? 2 : 1;
  return `${(100 * p).toFixed(digits)}\u00a0%`;
}

/** A probability as a count that one can picture. */
export function chances(p) {
  if (p < 1e-4) return "fewer than 1 in 10,000";
  const of = p >= 0.01 ? 100 : p >= 0.001 ? 1000 : 10000;
  return `about ${Math.max(1, Math.round(p * of))} in ${of.toLocaleString("en")}`;
}

/** The numbers that a share counted in draws is compatible with (Wilson's 95% interval). */
export function wilson(hits, draws) {
  const z = 1.959964, share = hits / draws, bend = (z * z) / draws;
  const middle = (share + bend / 2) / (1 + bend);
  const half = (z / (1 + bend)) * Math.sqrt((share * (1 - share)) / draws + bend / (4 * draws));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** Call `action` once things have been quiet for `milliseconds`. */
export function settled(action, milliseconds) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...given), milliseconds);
  };
}
