// The input of an image model: a canvas to draw on, whose pixels are the row.

import { colour, el } from "./dom.js";
import { named } from "./form.js";

const BRUSH = 0.045; // radius, as a share of the longer side: a pen as thick as the digits' own

/** The input of an image model: `onInput(row, done)` after every change; `done` at the end of a stroke. */
export function pictureInput(card, start, onInput) {
  const { height, width } = card.layout;
  const white = card.features[0].high;
  const radius = Math.max(0.7, BRUSH * Math.max(height, width));
  const scale = Math.max(1, Math.floor(448 / Math.max(height, width)));
  const sure = card.task === "classification"; // there an effect is one on the label's probability
  let pixels = start ? Float32Array.from(start) : new Float32Array(height * width);
  let effects = null, last = null, cursor = null, undo = [];

  const canvas = el("canvas", {
    id: "drawing", width: width * scale, height: height * scale, tabindex: 0, role: "application",
    "aria-roledescription": "drawing", "aria-describedby": "drawing-help",
    "aria-label": `Picture of ${width} by ${height} pixels. Arrow keys move the pen, Space draws, Backspace erases.`,
  });
  const pen = canvas.getContext("2d");
  const eraser = el("input", { type: "checkbox", id: "eraser" });
  const overlay = el("input", { type: "checkbox", id: "overlay", checked: true, onchange: () => paint() });

  function paint() {
    const image = new ImageData(width, height);
    const peak = effects ? Math.max(...effects.map(Math.abs), 1e-300) : 0;
    const [up, down] = [rgb(colour("raise")), rgb(colour("lower"))];
    for (let at = 0; at < pixels.length; at += 1) {
      const level = Math.min(255, Math.max(0, (pixels[at] / white) * 255));
      let shade = [level, level, level];
      if (effects && overlay.checked) {
        const weight = (Math.abs(effects[at]) / peak) ** 0.8 * 0.75;
        const tint = effects[at] > 0 ? up : down;
        shade = shade.map((c, n) => c * (1 - weight) + tint[n] * weight);
      }
      image.data.set([...shade, 255], 4 * at);
    }
    const small = new OffscreenCanvas(width, height);
    small.getContext("2d").putImageData(image, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(small, 0, 0, canvas.width, canvas.height);
    pen.lineWidth = 1;
    pen.setLineDash([4, 6]);
    pen.strokeStyle = "rgba(255,255,255,0.28)";
    const [top, left] = [(height / 7) * scale, (width / 7) * scale];
    pen.strokeRect(left, top, canvas.width - 2 * left, canvas.height - 2 * top);
    pen.setLineDash([]);
    if (cursor && document.activeElement === canvas) {
      pen.lineWidth = 3;
      pen.strokeStyle = "#ffb86b";
      pen.strokeRect(cursor.x * scale - 1, cursor.y * scale - 1, scale + 2, scale + 2);
    }
    if (!pixels.some((level) => level > 0)) {
      pen.fillStyle = "rgba(255,255,255,0.75)";
      pen.font = "22px system-ui, sans-serif";
      pen.textAlign = "center";
      pen.fillText("Draw here", canvas.width / 2, canvas.height / 2);
    }
  }

  const told = (done) => onInput(row(), done);
  const row = () => Array.from(pixels, (level) => Math.round(level));
  let waiting = false;
  const changed = (done) => {
    effects = null;
    if (done) { paint(); told(true); return; }
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; paint(); told(false); });
  };
  const remember = () => { undo.push(pixels.slice()); undo = undo.slice(-30); };

  /** A line from one point to another, in pixels; the eraser takes away what the pen would add. */
  function stroke(from, to, erase) {
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const long = dx * dx + dy * dy;
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        const [px, py] = [x + 0.5 - from.x, y + 0.5 - from.y];
        const along = long === 0 ? 0 : Math.min(1, Math.max(0, (px * dx + py * dy) / long));
        const ink = Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(px - along * dx, py - along * dy)));
        const at = y * width + x;
        pixels[at] = erase ? Math.min(pixels[at], white * (1 - ink)) : Math.max(pixels[at], white * ink);
      }
    }
  }

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: ((event.clientX - box.left) / box.width) * width, y: ((event.clientY - box.top) / box.height) * height };
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button === 1 || !event.isPrimary) return; // a second finger would draw a line to the first
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    cursor = null;
    remember();
    last = place(event);
    stroke(last, last, eraser.checked || event.button === 2);
    changed(false);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last || !event.isPrimary) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) {
      const next = place(each);
      stroke(last, next, eraser.checked || event.buttons === 2);
      last = next;
    }
    changed(false);
  });
  const lift = (event) => { if (last && event.isPrimary) { last = null; changed(true); } };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("focus", () => paint());
  canvas.addEventListener("blur", () => paint());
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const inks = event.key === " " || event.key === "Backspace";
    if (!step && !inks) return;
    event.preventDefault();
    cursor ??= { x: Math.floor(width / 2), y: Math.floor(height / 2) };
    if (step) {
      cursor = { x: Math.min(width - 1, Math.max(0, cursor.x + step[0])), y: Math.min(height - 1, Math.max(0, cursor.y + step[1])) };
      paint();
      return;
    }
    remember();
    const middle = { x: cursor.x + 0.5, y: cursor.y + 0.5 };
    stroke(middle, middle, event.key === "Backspace");
    changed(true);
  });

  /** As the digits of the data are: 20 pixels of 28 high or wide, around the centre of mass. */
  function centre() {
    const inked = [...pixels.keys()].filter((at) => pixels[at] > white / 8);
    if (inked.length === 0) return;
    const xs = inked.map((at) => at % width), ys = inked.map((at) => Math.floor(at / width));
    const [x0, y0] = [Math.min(...xs), Math.min(...ys)];
    const [w, h] = [Math.max(...xs) - x0 + 1, Math.max(...ys) - y0 + 1];
    const grow = Math.min((width * 5) / 7 / w, (height * 5) / 7 / h);
    const mass = inked.reduce((sum, at) => sum + pixels[at], 0);
    const cx = inked.reduce((sum, at) => sum + ((at % width) + 0.5) * pixels[at], 0) / mass;
    const cy = inked.reduce((sum, at) => sum + (Math.floor(at / width) + 0.5) * pixels[at], 0) / mass;
    const image = new ImageData(width, height);
    pixels.forEach((level, at) => image.data.set([(level / white) * 255, 0, 0, 255], 4 * at));
    const source = new OffscreenCanvas(width, height), target = new OffscreenCanvas(width, height);
    source.getContext("2d").putImageData(image, 0, 0);
    const brush = target.getContext("2d");
    brush.fillRect(0, 0, width, height);
    brush.imageSmoothingQuality = "high";
    brush.setTransform(grow, 0, 0, grow, width / 2 - grow * cx, height / 2 - grow * cy);
    brush.drawImage(source, 0, 0);
    const moved = brush.getImageData(0, 0, width, height).data;
    remember();
    pixels = pixels.map((_, at) => (moved[4 * at] / 255) * white);
    changed(true);
  }

  const put = (next) => { remember(); pixels = Float32Array.from(next); changed(true); };
  const button = (id, text, action) => el("button", { type: "button", id, onclick: action }, text);
  const node = el("div", { class: "picture" },
    el("div", { class: "easel" }, canvas),
    el("div", { class: "row" },
      button("clear", "Clear", () => put(new Float32Array(height * width))),
      button("undo", "Undo", () => { const before = undo.pop(); if (before) { pixels = before; changed(true); } }),
      button("centre", "Centre", centre),
      el("label", { class: "check" }, eraser, "Eraser"),
      el("label", { class: "check" }, overlay, "Show effects")),
    el("p", { class: "muted legend", id: "drawing-help" },
      "Draw with mouse, pen or touch, about as large as the dashed frame. The colours show what every pixel does when it gets brighter: ",
      el("span", { class: "swatch raise" }), sure ? " makes the answer surer, " : " raises the value, ",
      el("span", { class: "swatch lower" }), sure ? " less sure." : " lowers it."),
    examplesOf(card, put));
  paint();
  return {
    node, row, redraw: paint, unread: () => [],
    /** Show the signed effect of every pixel on the answer. */
    explain(sensitivities) {
      const of = new Map(sensitivities.map((one) => [one.feature, one.effect]));
      effects = card.features.map((feature) => of.get(feature.name) ?? 0);
      paint();
    },
    thumbnail: () => thumbnail(row(), card, 64),
  };
}

/** A small canvas with a row's picture. */
export function thumbnail(row, card, size, label = null) {
  const { height, width } = card.layout;
  const image = new ImageData(width, height);
  row.forEach((level, at) => {
    const grey = Math.min(255, Math.max(0, (level / card.features[0].high) * 255));
    image.data.set([grey, grey, grey, 255], 4 * at);
  });
  const node = el("canvas", { width, height, class: "thumbnail", vars: { "--size": `${size}px` },
    ...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" }) });
  node.getContext("2d").putImageData(image, 0, 0);
  return node;
}

function examplesOf(card, put) {
  if (!card.examples?.length) return null;
  return el("div", { class: "examples", role: "group", "aria-label": "Examples to start from" },
    named(card.examples).map(([name, example]) => el("button", { type: "button", class: "example", "aria-label": name, title: name,
      onclick: () => put(example.features) }, thumbnail(example.features, card, 30))));
}

function rgb(hex) {
  const value = parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}
