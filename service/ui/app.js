// The playground: picks a model, and passes every input on to what shows its answer.

import { answerView } from "./answer.js";
import { Problem, api, useToken } from "./api.js";
import { callsView, copy } from "./calls.js";
import { cardView } from "./card.js";
import { redraw } from "./chart.js";
import { $, el, settled, show } from "./dom.js";
import { effectsView } from "./effects.js";
import { experimentView } from "./experiment.js";
import { formInput } from "./form.js";
import { readLink, rowOf, writeLink } from "./link.js";
import { liveView } from "./live.js";
import { mapView } from "./map.js";
import { pictureInput } from "./picture.js";
import { rainView } from "./rain.js";
import { withheld } from "./words.js";

const PATIENCE = 1000; // milliseconds after which a newer input no longer waits for an older one's answer
const NOISE = 1; // the card's, of which the answer speaks
const PARTS = ["input", "age", "answer", "summary", "effects", "map", "experiment", "live", "calls", "card"];

let list = [], session = null, opening = 0;
let again = start; // what "Try again" does; where something is gone, it starts anew

// --- Problems: said as the service says them, until something works again. ---

const saying = (error) =>
  (error instanceof Problem ? `${error.place ? `${error.place.replace("instances[0].", "")}: ` : ""}${error.message}` : "The page met something it did not expect.");

function complain(error) {
  if (error.name === "AbortError") return;
  if (!session) PARTS.forEach((part) => show($(part))); // nothing there would answer any more
  const { title = "Something went wrong", status } = error;
  const box = $("problem");
  show(box, el("strong", {}, title), " ", el("span", {}, saying(error)),
    status === 401 ? tokenForm() : el("button", { type: "button", class: "quiet", onclick: () => { calm(); (status === 404 ? start : again)(); } }, "Try again"));
  box.hidden = false;
}

const calm = () => { $("problem").hidden = true; };

/** What of a link could not be restored, in sentences; none where all could. */
function admit(lost) {
  show($("notice"), lost.length ? [el("span", {}, lost.join(" ")), " ",
    el("button", { type: "button", class: "quiet", onclick: () => { show($("notice")); $("input-title").focus(); } }, "Dismiss")] : null);
}

function tokenForm() {
  const field = el("input", { type: "password", id: "token", autocomplete: "off" });
  return el("form", { class: "row", onsubmit: (event) => { event.preventDefault(); useToken(field.value.trim()); calm(); start(); } },
    el("label", { for: "token" }, "Token"), field, el("button", {}, "Use it"));
}

// --- One model version at a time. ---

async function open(name, version, link = {}, lost = []) {
  const turn = (opening += 1);
  session?.live?.stop();
  session?.abort();
  session = null;
  again = () => open(name, version, link, lost);
  document.body.classList.add("busy");
  try {
    const model = await api.model(name, version);
    if (turn !== opening) return; // another has been picked meanwhile
    if (!model.card?.features?.length) throw new Problem(200, "Damaged answer", "The model’s card lacks what it should hold.");
    begin(model, link, lost);
    calm();
  } catch (error) {
    if (turn === opening) complain(error);
  } finally {
    if (turn === opening) document.body.classList.remove("busy");
  }
}

function begin(model, link, lost) {
  const { card } = model;
  const target = { model: card.name, version: card.version };
  const linked = rowOf(link.x, card);
  const doubtful = link.welcome && card.layout ? card.examples?.find(({ kind }) => kind === "borderline") : null; // there is something to see
  const first = linked ?? (doubtful ?? card.examples?.[0])?.features ?? null;
  let noise = link.noise > 0 && link.noise <= 100 ? Number(link.noise) : NOISE, observe = false, wanted = null, asking = null, since = 0;

  const input = (card.layout ? pictureInput : formInput)(card, first, (row, done) => ask(row, done));
  show($("input"), input.node);
  const answer = answerView({ node: $("answer"), age: $("age"), line: $("summary") }, card, input.thumbnail);
  $("effects-panel").hidden = Boolean(card.layout);
  const rain = card.task === "classification" && card.method === "analytic" ? rainView(answer.rain, card, { eager: Boolean(doubtful) }) : null;
  const effects = card.layout ? null : effectsView($("effects"), card, target, complain);
  show($("map"));
  const map = card.layout ? null : mapView($("map"), card, target, { onMove: input.move, onProblem: complain });
  const write = () => writeLink({ ...target, card, row: input.row(), noise });
  const remember = settled(() => session === mine && write(), 200);
  const experiment = experimentView($("experiment"), card, target, noise, {
    onNoise(scale) { noise = scale; remember(); }, onProblem: complain,
    onCopies(made) { rain?.copies(made); },
  });
  noise = Number($("noise").value); // as far as the slider goes
  admit([...lost,
    ...((link.x ?? null) !== null && !linked ? [`The link’s input does not fit this model; ${first ? "its first example" : card.layout ? "an empty picture" : "the average"} stands here instead.`] : []),
    ...((link.noise ?? null) !== null && Number(link.noise) !== noise ? [`The link’s noise, ${brief(link.noise)}, is not on the slider; this is × ${noise}.`] : [])]);
  const live = liveView($("live"), card, target, { onObserve(on) { observe = on; }, onProblem: complain, onRefresh: relist });
  const calls = callsView($("calls"), card);
  cardView($("card"), model);
  $("version").value = card.version;
  $("model").value = card.name;
  $("lede").textContent = card.layout
    ? "Draw. The model says what it reads, and how much the picture may wobble before it reads something else."
    : "Move the values. The model says what it makes of them, and how much they may wobble before it says something else.";

  function ask(row, done) {
    const unread = input.unread();
    if (unread.length) {
      wanted = null;
      asking?.abort();
      effects?.outdated();
      answer.outdated(`Refused: ${unread.join(" and ")} ${unread.length === 1 ? "is not a number" : "are not numbers"}.`);
      return;
    }
    answer.outdated();
    effects?.outdated();
    map?.outdated(row);
    rain?.wait();
    wanted = { row, done };
    if (!asking) { loop(); return; }
    const slow = asking;
    setTimeout(() => { if (asking === slow && wanted) slow.abort(); }, since + PATIENCE - performance.now());
  }

  async function loop() {
    while (wanted) {
      const { row, done } = wanted;
      wanted = null;
      asking = new AbortController();
      since = performance.now();
      const { signal } = asking;
      const slow = setTimeout(() => answer.outdated("Waiting for the answer."), 400);
      let answered = false;
      try {
        const [prediction] = await api.predict(target, [row], { signal, observe: observe && done, measure: true });
        if (session !== mine) return;
        if (signal.aborted) continue;
        clearTimeout(slow);
        answered = true;
        const held = withheld(prediction);
        if (held) { answer.outdated(held); continue; }
        answer.show(prediction, done);
        if (!wanted) answer.current();
        calm();
        if (wanted || !done) continue;
        calls.input(target, row);
        experiment.input(row);
        remember();
        const [explained] = await api.sensitivity(target, [row], { signal });
        if (session !== mine || wanted) continue;
        if (!Array.isArray(explained.sensitivities)) throw new Problem(200, "Damaged answer", "The answer lacks its sensitivities.");
        answer.explain(explained);
        input.explain(explained.sensitivities);
        effects?.explain(row, explained);
        map?.explain(row, explained);
        rain?.explain(explained);
        if (observe) live.refresh();
      } catch (error) {
        if (session !== mine) return;
        if (error.status === 404) write(); // the version is gone: what starts anew goes on from this input
        if (wanted || signal.aborted) continue;
        complain(error);
        if (!answered) answer.outdated(error.status === 422 ? `Refused: ${saying(error)}.` : "This input got no answer.");
      } finally {
        clearTimeout(slow);
      }
    }
    asking = null;
  }

  const mine = { input, ask, live, abort: () => asking?.abort(), redraw() { input.redraw(); map?.redraw(); experiment.redraw(); } };
  session = mine;
  again = () => ask(input.row(), true);
  again();
}

// --- The page around it. ---

const isReady = ({ state }) => state === "READY";

/** Put choices into a picker, and choose again what was chosen. */
function fill(picker, options) {
  const chosen = picker.value;
  show(picker, options);
  picker.value = chosen;
}

const fillModels = () => fill($("model"), list.map(({ name, versions }) => el("option", { value: name, disabled: !versions.some(isReady) }, name)));

/** The picker of a model's versions; answers with the newest that is ready. */
function fillVersions(name) {
  const versions = list.find((model) => model.name === name)?.versions ?? [];
  fill($("version"), versions.map((one) =>
    el("option", { value: one.version, disabled: !isReady(one) }, isReady(one) ? one.version : `${one.version} (${one.state.toLowerCase()})`)));
  return versions.find(isReady)?.version;
}

/** Models and versions come and go while the page is open. */
async function relist() {
  const { models } = await api.models().catch(() => ({}));
  if (!session || !Array.isArray(models) || JSON.stringify(models) === JSON.stringify(list)) return;
  list = models;
  fillModels();
  fillVersions($("model").value);
}

const brief = (text) => `“${text.length > 40 ? `${text.slice(0, 39)}…` : text}”`;

/** What of a link could not be restored before its model was asked for. */
function lostOf(link, named, picked, version) {
  if (link.empty) return [];
  if (!named) {
    const why = link.model ? `There is no model ${brief(link.model)} here that is ready` : "The link names no model";
    return [`${why}, so nothing of the link could be restored. This is ${picked.name}.`];
  }
  return [
    ...(link.version !== null && link.version !== version ? [`There is no version ${brief(link.version)} of ${picked.name} here that is ready; this is version ${version}.`] : []),
    ...(link.strange.length ? [`The link holds what no link of this page does: ${link.strange.map(brief).join(", ")}.`] : []),
  ];
}

async function start() {
  again = start;
  try {
    const answer = await api.models();
    if (!Array.isArray(answer.models)) throw new Problem(200, "Damaged answer", "The list of models lacks what it should hold.");
    list = answer.models;
    const ready = list.filter((model) => model.versions.some(isReady));
    if (ready.length === 0) throw new Problem(503, "No model is ready", "The service has no model that answers yet.");
    fillModels();
    const link = readLink();
    const named = ready.find(({ name }) => name === link.model);
    const picked = named ?? ready.find(({ name }) => name === "digits") ?? ready.find((model) => model.default) ?? ready[0];
    const newest = fillVersions(picked.name);
    const version = picked.versions.some((one) => one.version === link.version && isReady(one)) ? link.version : newest;
    await open(picked.name, version, named ? link : { welcome: link.empty }, lostOf(link, named, picked, version));
  } catch (error) {
    complain(error);
  }
}

$("model").addEventListener("change", () => open($("model").value, fillVersions($("model").value)));
$("version").addEventListener("change", () => open($("model").value, $("version").value, readLink())); // with the same input
$("share").addEventListener("click", () => copy(location.href, $("share")));
addEventListener("hashchange", start);
$("summary").addEventListener("click", () => $("answer-title").focus());
document.querySelector(".skip").addEventListener("click", (event) => { // the address holds the input, and has no room for a place
  event.preventDefault();
  $("input-title").focus();
});

const root = document.documentElement.dataset;
function repaint() {
  $("theme").setAttribute("aria-pressed", String(root.theme === "dark"));
  redraw();
  session?.redraw();
}
$("theme").addEventListener("click", () => {
  root.theme = root.theme === "dark" ? "light" : "dark";
  try { localStorage.setItem("chainzrule-theme", root.theme); } catch { /* then for this page alone */ }
  repaint();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
repaint();
start();
