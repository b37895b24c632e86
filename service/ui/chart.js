// uPlot in the page's colours: as wide as its place, drawn again when the theme changes.

import { colour, el } from "./dom.js";

const charts = new Set();

/** A chart's place. `draw(options, data)` shows one; options are uPlot's, with colours by name. */
export function chartPlace(height) {
  const node = el("div", { class: "chart", role: "img" });
  let chart = null, latest = null;
  const build = () => {
    if (!latest || node.clientWidth === 0) return;
    chart?.destroy();
    chart = new uPlot({ ...latest.options(), width: node.clientWidth, height, legend: { show: false } }, latest.data, node);
  };
  new ResizeObserver(() => {
    if (!latest || node.clientWidth === 0) return;
    if (chart) chart.setSize({ width: node.clientWidth, height });
    else build();
  }).observe(node);
  charts.add(() => node.isConnected && build());
  return {
    node,
    draw(options, data, description) {
      latest = { options, data };
      node.setAttribute("aria-label", description);
      build();
    },
    clear() {
      chart?.destroy();
      chart = latest = null;
    },
  };
}

export const redraw = () => charts.forEach((build) => build());

export function axis(label, more = {}) {
  return {
    label, labelSize: 22, labelFont: "12px system-ui, sans-serif", font: "12px system-ui, sans-serif", size: 46,
    stroke: colour("muted"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1, size: 4 },
    ...more,
  };
}
