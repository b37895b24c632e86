// The input of a tabular model: a form made from the card.

import { el, num } from "./dom.js";

const BEYOND = 0.2; // of the training range, on either side: values that the model has not seen can be tried

/** A row to start from: every number at its mean, every category at its first level. */
export const typicalRow = (card) =>
  card.features.map((feature) => (feature.kind === "categorical" ? feature.levels[0] : rounded(feature.mean, feature)));

const places = (feature) => Math.max(0, 3 - Math.floor(Math.log10((feature.high - feature.low) || 1)));
const rounded = (value, feature) => Number(value.toFixed(Math.min(12, places(feature))));

/** Whether a feature may be left out. */
export const gappy = (feature) => (feature.fill ?? null) !== null;

/** A level with what it stands for, where the card says so. */
export const meaning = (feature, level) => (feature.meanings?.[level] ? `${level}: ${feature.meanings[level]}` : level);

const KINDS = { typical: "Typical", borderline: "Borderline", novel: "Unusual" };

/** The card's examples, each with a name that no other one has: why it was chosen, and what it really is. */
export function named(examples) {
  const names = examples.map(({ kind, label }) => [KINDS[kind] ?? "Example", label].filter(Boolean).join(": "));
  return examples.map((example, at) => {
    const alike = names.filter((name) => name === names[at]).length;
    const number = names.slice(0, at + 1).filter((name) => name === names[at]).length;
    return [alike > 1 ? `${names[at]} ${number}` : names[at], example];
  });
}

/** What the card says a feature is, read out with its field. */
function about(feature, field, at) {
  if (!feature.description) return null;
  field.setAttribute("aria-describedby", [`about-${at}`, field.getAttribute("aria-describedby")].filter(Boolean).join(" "));
  return el("span", { class: "about", id: `about-${at}` }, feature.description);
}

/** The input of a tabular model: `onInput(row, true)` after every change; `unread()` names what cannot be asked as it stands. */
export function formInput(card, start, onInput) {
  const row = start ? [...start] : typicalRow(card);
  const unread = new Set(); // features whose fields hold no number; `row` keeps what they held before
  const told = () => onInput([...row], true);
  const fields = card.features.map((feature, at) => (feature.kind === "categorical" ? category(feature, at) : number(feature, at)));

  function category(feature, at) {
    const levels = gappy(feature) ? [null, ...feature.levels] : feature.levels;
    const select = el("select", { id: `field-${at}`, "data-feature": feature.name,
      onchange: () => { row[at] = levels[select.selectedIndex]; told(); } },
      levels.map((level) => el("option", {}, level === null ? `left out: as ${feature.fill}` : meaning(feature, level))));
    const set = (value) => { row[at] = value; select.selectedIndex = levels.indexOf(value); };
    set(row[at]);
    return { node: el("div", { class: "field" }, el("label", { for: select.id }, feature.name), select, about(feature, select, at)), set };
  }

  function number(feature, at) {
    const span = feature.high - feature.low || 1;
    const low = feature.low >= 0 ? Math.max(0, feature.low - BEYOND * span) : feature.low - BEYOND * span;
    const high = feature.high + BEYOND * span;
    const note = el("span", { class: "note", id: `note-${at}`, "aria-live": "polite" });
    const box = el("input", { type: "number", id: `field-${at}`, step: "any", "data-feature": feature.name, "aria-describedby": note.id });
    const slider = el("input", { type: "range", min: low, max: high, step: "any", "aria-label": `${feature.name}, slider`, "data-slider": feature.name,
      vars: { "--from": `${(100 * (feature.low - low)) / (high - low)}%`, "--to": `${(100 * (feature.high - low)) / (high - low)}%` } });
    const flag = () => {
      unread.delete(feature.name);
      const value = row[at] ?? feature.fill;
      const outside = row[at] !== null && (value < feature.low || value > feature.high);
      box.setAttribute("aria-invalid", "false");
      slider.value = value;
      node.classList.toggle("outside", outside);
      note.textContent = row[at] === null ? `left out: as ${num(value)}`
        : outside ? `outside the training range, ${num(feature.low)} to ${num(feature.high)}` : "";
      slider.setAttribute("aria-valuetext", `${num(value)}${feature.unit ? ` ${feature.unit}` : ""}`);
    };
    const set = (value) => { row[at] = box.value = value; flag(); };
    box.addEventListener("input", () => {
      const value = box.value === "" && !box.validity.badInput && gappy(feature) ? null : box.valueAsNumber;
      if (value !== null && !Number.isFinite(value)) {
        box.setAttribute("aria-invalid", "true");
        note.textContent = "a number, please";
        unread.add(feature.name);
        told();
        return;
      }
      row[at] = value;
      flag();
      told();
    });
    slider.addEventListener("input", () => {
      set(rounded(slider.valueAsNumber, feature));
      told();
    });
    const node = el("div", { class: "field" },
      el("label", { for: box.id }, feature.name, feature.unit ? el("span", { class: "unit" }, ` ${feature.unit}`) : null),
      box, about(feature, box, at), slider, note);
    set(row[at]);
    return { node, set };
  }

  const put = (next) => { next.forEach((value, at) => fields[at].set(value)); told(); };
  const move = (places) => { places.forEach(([at, value]) => fields[at].set(value)); told(); };
  const button = (text, features) => el("button", { type: "button", onclick: () => put(features) }, text);
  const many = fields.length > 12;
  const found = el("p", { class: "muted", role: "status" });
  const search = el("input", { type: "search", id: "find", placeholder: "Find a feature", "aria-label": "Find a feature", oninput: () => {
    const wanted = search.value.trim().toLowerCase();
    const hits = card.features.filter((feature, at) => {
      const hit = `${feature.name} ${feature.description ?? ""}`.toLowerCase().includes(wanted);
      fields[at].node.hidden = !hit;
      return hit;
    });
    found.textContent = wanted ? `${hits.length} of ${fields.length} features` : "";
  } });
  const node = el("div", { class: "form" },
    el("div", { class: "row examples", role: "group", "aria-label": "Rows to start from" },
      button("Average values", typicalRow(card)),
      named(card.examples ?? []).map(([name, example]) => button(name, example.features))),
    el("p", { class: "muted legend" }, "The thick part of a slider is the range that the model was trained on."),
    many ? el("div", { class: "row" }, search, found) : null,
    el("div", { class: many ? "fields many" : "fields", ...(many ? { tabindex: 0, role: "group", "aria-label": "Features" } : {}) },
      fields.map((field) => field.node)));
  return { node, row: () => [...row], unread: () => [...unread], move, redraw() {}, explain() {}, thumbnail: () => null };
}
