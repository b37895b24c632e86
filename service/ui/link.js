// What the address after # holds: model, version, input and noise, so that a link brings them all back.

import { gappy } from "./form.js";

/** An image's grey levels as text: base64url of the bytes, runs of zeros as 0 and their length. */
function packed(pixels) {
  const bytes = [];
  for (let at = 0; at < pixels.length; ) {
    const level = Math.min(255, Math.max(0, Math.round(pixels[at])));
    bytes.push(level);
    at += 1;
    if (level === 0) {
      let run = 1;
      while (run < 255 && at < pixels.length && Math.round(pixels[at]) === 0) { run += 1; at += 1; }
      bytes.push(run);
    }
  }
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function unpacked(text, size) {
  const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const pixels = [];
  for (let at = 0; at < bytes.length && pixels.length <= size; at += 1) {
    if (bytes[at] !== 0) pixels.push(bytes[at]);
    else for (let run = bytes[(at += 1)] ?? 0; run > 0; run -= 1) pixels.push(0);
  }
  return pixels.length === size ? pixels : null;
}

const MEMBERS = ["model", "version", "x", "noise"];

/** What the address names, null for what it does not; `strange` are members that no link of this page has. */
export function readLink() {
  const given = new URLSearchParams(location.hash.slice(1));
  const members = Object.fromEntries(MEMBERS.map((name) => [name, given.get(name)]));
  return { ...members, strange: [...given.keys()].filter((name) => !MEMBERS.includes(name)), empty: given.size === 0 };
}

/** A link's row for a model, or null where it does not fit. */
export function rowOf(x, card) {
  if (x === null || x === undefined) return null;
  try {
    if (card.layout) return unpacked(x, card.features.length);
    const row = JSON.parse(x);
    const fits = (value, feature) => (value === null && gappy(feature)) ||
      (feature.kind === "categorical" ? feature.levels.includes(value) : Number.isFinite(value));
    return Array.isArray(row) && row.length === card.features.length && card.features.every((f, at) => fits(row[at], f)) ? row : null;
  } catch {
    return null;
  }
}

export function writeLink({ model, version, row, card, noise }) {
  const given = new URLSearchParams({ model, version, x: card.layout ? packed(row) : JSON.stringify(row), noise });
  history.replaceState(null, "", `${location.pathname}${location.search}#${given}`);
}
