// The card, readable.

import { el, num, percent, show } from "./dom.js";
import { meaning } from "./form.js";
import { assumed } from "./noise.js";

const SOURCE = {
  analytic: () => "the model’s exact derivatives",
  finite_difference: () => "differences between neighbouring inputs",
  monte_carlo: ({ draws }) => `${draws.count} draws of the noise`,
};
const QUALITY = { accuracy: percent, majority_share: percent, r2: num };

export function cardView(node, { card, provider, loaded_at }) {
  const pairs = (list) => el("dl", { class: "pairs" }, list.filter(Boolean).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  const features = card.layout ? [] : card.features;
  const scale = card.calibration?.noise_scales.find((one) => one.noise_scale === 1);
  show(node,
    el("p", {}, `${card.name}, version ${card.version}: ${card.task} of ${card.target}`,
      card.layout ? ` from pictures of ${card.layout.width} × ${card.layout.height} pixels` : ` from ${card.features.length} features`,
      card.labels.length ? `, into ${card.labels.join(", ")}.` : "."),
    el("div", { class: "halves" },
      el("div", {}, el("h3", {}, "Quality on cases it had not seen"),
        pairs(Object.entries(card.quality).map(([name, value]) => [name.replaceAll("_", " "), (QUALITY[name] ?? num)(value)]))),
      el("div", {}, el("h3", {}, "How true its stability figures are"),
        el("p", {}, `They come from ${SOURCE[card.method](card)}.`),
        scale ? pairs([
          ["cases run again with drawn noise", `${card.calibration.rows.toLocaleString("en")}, ${card.calibration.draws} times each`],
          scale.calibration_error !== null && scale.calibration_error !== undefined && ["mean error of the flip probability", percent(scale.calibration_error)],
          scale.volatility_ratio && ["volatility over what was counted, median", num(scale.volatility_ratio[1], 3)],
        ]) : el("p", { class: "muted" }, "The card does not say how true they are."),
        el("h3", {}, "Where it comes from"),
        pairs([["trained on", `${card.provenance.training_rows.toLocaleString("en")} rows`], ["parameters", card.provenance.parameters.toLocaleString("en")],
          ["runs on", provider.replace("ExecutionProvider", "")], ["loaded", new Date(loaded_at * 1000).toLocaleString("en-GB")]]))),
    features.length ? el("details", {}, el("summary", {}, `All ${features.length} features`),
      el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Features" }, el("table", {},
        el("thead", {}, el("tr", {}, ["Feature", "Meaning", "Unit", "Training range", "Noise (one step)"].map((name) => el("th", { scope: "col" }, name)))),
        el("tbody", {}, features.map((f) => el("tr", {}, el("th", { scope: "row" }, f.name), el("td", {}, f.description ?? "–"), el("td", {}, f.unit ?? "–"),
          el("td", {}, f.kind === "categorical" ? f.levels.map((level) => meaning(f, level)).join(", ") : `${num(f.low)} to ${num(f.high)}`),
          el("td", {}, f.kind === "categorical" ? "none" : `${num(f.noise, 3)}${assumed(f) ? ", default, not measured" : ""}`))))))) : null);
}
