// Tables: a map of two features with the boundary between answers, the row on it and its noise as an ellipse, to drag.

import { api } from "./api.js";
import { colour, el, num, settled, show } from "./dom.js";
import { assumption } from "./noise.js";
import { headline, reported, withheld } from "./words.js";

const GRID = 25; // points each way, in one request
const BEYOND = 0.1; // of the training range, on either side
const STEP = 1 / 40; // of the map, by an arrow key
const WIDEST = 560; // pixels
const FINGER = 36; // pixels around the dot that a finger drags it from; elsewhere it scrolls the page
const [LEFT, TOP, RIGHT, BOTTOM] = [62, 10, 14, 46];

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const mix = (from, to, share) => from.map((c, n) => c + (to[n] - c) * share);

/** Where between two values zero is passed, as a share of the way. */
const crossing = (a, b) => a / (a - b);

/** Line pieces along which a grid of values is zero, in grid steps: [[x, y], [x, y]] each. */
export function zeroLines(values, size = GRID) {
  const found = [];
  for (let j = 0; j < size - 1; j += 1) {
    for (let i = 0; i < size - 1; i += 1) {
      const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]];
      const cuts = corners.flatMap(([x, y], k) => {
        const [u, v] = corners[(k + 1) % 4];
        const [a, b] = [values[y * size + x], values[v * size + u]];
        const along = crossing(a, b);
        return (a < 0) === (b < 0) ? [] : [[x + (u - x) * along, y + (v - y) * along]];
      });
      for (let k = 0; k + 1 < cuts.length; k += 2) found.push([cuts[k], cuts[k + 1]]);
    }
  }
  return found;
}

/** A value between the points of a grid. */
function between(values, x, y) {
  const [i, j] = [Math.min(GRID - 2, Math.floor(x)), Math.min(GRID - 2, Math.floor(y))];
  const at = (dx, dy) => values[(j + dy) * GRID + i + dx] * (dx ? x - i : 1 - x + i) * (dy ? y - j : 1 - y + j);
  return at(0, 0) + at(1, 0) + at(0, 1) + at(1, 1);
}

/** Null where a card has no two numbers to make a map of. `onMove` takes the places and values of the two features. */
export function mapView(node, card, target, { onMove, onProblem }) {
  const numbers = card.features.flatMap((feature, at) => (feature.kind !== "categorical" && feature.high > feature.low ? [{ ...feature, at }] : []));
  if (numbers.length < 2) { show(node); return null; }
  const regression = card.task === "regression";
  const canvas = el("canvas", { id: "map-canvas", tabindex: 0, role: "application", "aria-roledescription": "map" });
  const brush = canvas.getContext("2d");
  const pick = (id, text) => el("label", {}, `${text} `, el("select", { id, onchange: choose }, numbers.map(({ name, at }) => el("option", { value: at }, name))));
  const across = pick("map-x", "Across"), up = pick("map-y", "Up");
  const key = el("ul", { class: "key" });
  let dot = null; // where the row is, in pixels
  let plot = null; // its width and height in pixels, without the margins
  let axes = null, latest = null, grid = null, turn = 0, dragging = false;

  show(node,
    el("p", { class: "muted" }, "What the model would say if two features were other than they are. Drag the dot, or move it with the arrow keys."),
    el("div", { class: "row pickers" }, across, up), canvas, key);

  const valueOf = (feature) => latest.row[feature.at] ?? feature.fill;

  /** The part of an axis that the map shows. */
  function span(feature) {
    const margin = BEYOND * (feature.high - feature.low), now = valueOf(feature);
    return [Math.min(now, feature.low - margin), Math.max(now, feature.high + margin)];
  }

  function choose() {
    const [first, second] = [across, up].map((label) => numbers.find(({ at }) => at === Number(label.querySelector("select").value)));
    axes = [first, second];
    ask();
  }

  const ask = settled(async () => {
    const mine = (turn += 1);
    const { row, prediction } = latest, chosen = axes, spans = axes.map(span);
    const at = ([low, high], k) => low + ((high - low) * k) / (GRID - 1);
    const rows = Array.from({ length: GRID * GRID }, (_, k) =>
      row.with(chosen[1].at, at(spans[1], Math.floor(k / GRID))).with(chosen[0].at, at(spans[0], k % GRID)));
    try {
      const answers = await api.predict(target, rows);
      if (mine !== turn) return;
      const { label, value } = prediction;
      if (answers.some(withheld)) {
        grid = null;
        show(key, el("li", {}, "There is no map here: the service’s policy withholds some of its answers."));
        return;
      }
      const sure = ({ probabilities }) => probabilities[label] - Math.max(...Object.entries(probabilities).flatMap(([name, p]) => (name === label ? [] : [p])));
      grid = { chosen, spans, row, label, values: answers.map(regression ? (one) => one.value - value : sure) };
      node.classList.remove("earlier");
      draw();
    } catch (error) {
      if (mine === turn) onProblem(error);
    }
  }, 120);

  const place = ([low, high], value) => (value - low) / (high - low);

  function draw() {
    if (!grid || node.clientWidth === 0) return;
    const { chosen, spans, values, label } = grid;
    const ratio = devicePixelRatio, wide = Math.min(WIDEST, node.clientWidth), high = Math.round(0.7 * wide);
    plot = { w: wide - LEFT - RIGHT, h: high - TOP - BOTTOM };
    Object.assign(canvas, { width: wide * ratio, height: high * ratio });
    canvas.style.setProperty("width", `${wide}px`);
    brush.scale(ratio, ratio);
    const [panel, same, other] = ["panel", "accent", "lower"].map((name) => rgb(colour(name)));
    const size = [plot.w / 4, plot.h / 4].map(Math.round), peak = Math.max(...values.map(Math.abs), 1e-300);
    const image = new ImageData(...size);
    for (let k = 0; k < size[0] * size[1]; k += 1) {
      const x = ((k % size[0]) / (size[0] - 1)) * (GRID - 1), y = (1 - Math.floor(k / size[0]) / (size[1] - 1)) * (GRID - 1);
      const v = between(values, x, y) / (regression ? peak : 1);
      image.data.set([...mix(panel, v >= 0 ? same : other, 0.06 + 0.5 * Math.min(1, Math.abs(v))), 255], 4 * k);
    }
    const small = new OffscreenCanvas(...size);
    small.getContext("2d").putImageData(image, 0, 0);
    brush.drawImage(small, LEFT, TOP, plot.w, plot.h);
    const px = (share) => LEFT + share * plot.w, py = (share) => TOP + (1 - share) * plot.h;
    brush.save();
    brush.beginPath();
    brush.rect(LEFT, TOP, plot.w, plot.h);
    brush.clip();
    brush.strokeStyle = colour("unstable");
    brush.lineWidth = 2;
    brush.beginPath();
    const edges = zeroLines(values);
    for (const [a, b] of edges) {
      brush.moveTo(px(a[0] / (GRID - 1)), py(a[1] / (GRID - 1)));
      brush.lineTo(px(b[0] / (GRID - 1)), py(b[1] / (GRID - 1)));
    }
    brush.stroke();
    const [x, y] = chosen.map((feature, k) => place(spans[k], valueOf(feature)));
    dot = [px(x), py(y)];
    brush.strokeStyle = brush.fillStyle = colour("ink");
    for (const steps of [1, 2]) {
      const [rx, ry] = chosen.map((feature, k) => (steps * feature.noise) / (spans[k][1] - spans[k][0]));
      brush.setLineDash(steps === 1 ? [] : [4, 4]);
      brush.lineWidth = 1.5;
      brush.beginPath();
      brush.ellipse(px(x), py(y), rx * plot.w, ry * plot.h, 0, 0, 2 * Math.PI);
      brush.stroke();
    }
    brush.setLineDash([]);
    brush.beginPath();
    brush.arc(px(x), py(y), 3.5, 0, 2 * Math.PI);
    brush.fill();
    brush.restore();
    brush.fillStyle = colour("muted");
    brush.font = "12px system-ui, sans-serif";
    const title = ({ name, unit }) => `${name}${unit ? ` (${unit})` : ""}`;
    brush.textAlign = "center";
    brush.fillText(title(chosen[0]), LEFT + plot.w / 2, high - 8);
    for (const share of [0, 0.5, 1]) {
      const [a, b] = spans.map(([low, high]) => num(low + share * (high - low), 3));
      brush.textAlign = share === 0 ? "left" : share === 1 ? "right" : "center";
      brush.fillText(a, px(share), high - BOTTOM + 18);
      brush.textAlign = "right";
      brush.fillText(b, LEFT - 6, py(share) + (share === 1 ? 10 : share === 0 ? 0 : 4));
    }
    brush.save();
    brush.translate(13, TOP + plot.h / 2);
    brush.rotate(-Math.PI / 2);
    brush.textAlign = "center";
    brush.fillText(title(chosen[1]), 0, 0);
    brush.restore();
    const unmeasured = assumption(card);
    canvas.setAttribute("aria-label", `Map of ${chosen[0].name}, now ${num(valueOf(chosen[0]))}, and ${chosen[1].name}, now ${num(valueOf(chosen[1]))}: the model says ${headline(card, latest.prediction)}. Arrow keys move the input.`);
    show(key,
      el("li", {}, el("span", { class: "swatch same" }), regression ? "more than at the start" : `“${label}”, the surer the deeper`),
      edges.length === 0 ? el("li", {}, "no other answer on this map") : [
        el("li", {}, el("span", { class: "swatch other" }), regression ? "less" : "another answer"),
        el("li", {}, el("span", { class: "line edge" }), regression ? `the same ${reported(card, latest.prediction)}` : "where the answer changes"),
      ],
      el("li", {}, `ellipses: one and two steps of the noise${unmeasured ? ` (${unmeasured})` : ""}`));
  }

  function move(shares) {
    const values = grid.chosen.map((feature, k) => {
      const [low, high] = grid.spans[k];
      const digits = Math.min(12, Math.max(0, 3 - Math.floor(Math.log10(feature.high - feature.low))));
      return Number((low + Math.min(1, Math.max(0, shares[k])) * (high - low)).toFixed(digits));
    });
    grid.chosen.forEach((feature, k) => { latest.row = latest.row.with(feature.at, values[k]); });
    draw();
    onMove(grid.chosen.map(({ at }, k) => [at, values[k]]));
  }

  function follow(event) {
    const box = canvas.getBoundingClientRect();
    move([(event.clientX - box.left - LEFT) / plot.w, 1 - (event.clientY - box.top - TOP) / plot.h]);
  }
  function near(event) {
    const box = canvas.getBoundingClientRect();
    return Math.hypot(event.clientX - box.left - dot[0], event.clientY - box.top - dot[1]) < FINGER;
  }
  canvas.addEventListener("touchstart", (event) => { if (grid && near(event.touches[0])) event.preventDefault(); }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    if (!grid || !event.isPrimary || event.button !== 0 || (event.pointerType === "touch" && !near(event))) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    dragging = true;
    follow(event);
  });
  canvas.addEventListener("pointermove", (event) => { if (dragging && event.isPrimary) follow(event); });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { dragging = false; });
  canvas.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!by || !grid) return;
    event.preventDefault();
    move(grid.chosen.map((feature, k) => place(grid.spans[k], valueOf(feature)) + by[k] * STEP));
  });
  new ResizeObserver(() => draw()).observe(node);

  /** Whether the map still holds: the row differs from the one it was made for in its own two features alone. */
  const holds = ({ row }) => grid && grid.chosen.every(({ at }, k) => {
    const [low, high] = grid.spans[k];
    return axes[k].at === at && row[at] >= low && row[at] <= high;
  }) && row.every((value, at) => value === grid.row[at] || grid.chosen.some((one) => one.at === at));

  return {
    outdated(row) { if (!grid || row.some((value, at) => value !== latest.row[at] && !axes.some((one) => one.at === at))) node.classList.add("earlier"); },
    redraw: draw,
    explain(row, prediction) {
      latest = { row: dragging ? latest.row : row, prediction };
      if (!axes) { // the two that move it most
        const strong = prediction.sensitivities.flatMap(({ feature }) => numbers.filter(({ name }) => name === feature)).slice(0, 2);
        axes = strong.length === 2 ? strong : numbers.slice(0, 2);
        [across, up].forEach((label, k) => { label.querySelector("select").value = axes[k].at; });
      }
      if (holds(latest)) { node.classList.remove("earlier"); draw(); } else ask();
    },
  };
}
