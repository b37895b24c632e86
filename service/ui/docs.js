// The API's page: what openapi.json says of every route, for people.

import { Problem, address, api, useToken } from "./api.js";
import { $, el, show } from "./dom.js";

const DEPTH = 6; // levels of a schema that are spelled out; none of the service's goes deeper

/** Text in which what stands between backquotes is code. */
const prose = (text) => text.split("`").map((part, at) => (at % 2 ? el("code", {}, part) : part));
const paragraphs = (text) => text.split(/\n\s*\n/).map((part) => el("p", {}, prose(part)));

let definitions = {};
const resolved = (schema) => (schema.$ref ? definitions[schema.$ref.split("/").pop()] ?? {} : schema);
const choices = (schema) => schema.anyOf ?? schema.oneOf ?? null;

/** A schema's type in a few words. */
function kind(given) {
  const schema = resolved(given);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (choices(schema)) return [...new Set(choices(schema).map(kind))].join(" or ");
  if (schema.type === "array" && schema.items) return `list of ${kind(schema.items).replace(/^.* or .*$/, "($&)")}`;
  if (schema.type === "array") return "list";
  if (schema.type === "object" || schema.properties) return schema.title && schema.properties ? schema.title : "object";
  return { string: "text", integer: "whole number", boolean: "true or false" }[schema.type] ?? schema.type ?? "any value";
}

/** What a schema demands beyond its type, and what it takes where nothing is given. */
function bounds(schema) {
  const words = [
    ["minimum", "at least"], ["exclusiveMinimum", "more than"], ["maximum", "at most"], ["exclusiveMaximum", "less than"],
    ["minItems", "entries, at least"], ["maxItems", "entries, at most"], ["minLength", "signs, at least"], ["maxLength", "signs, at most"],
  ];
  const said = words.filter(([name]) => schema[name] !== undefined).map(([name, word]) => `${word} ${schema[name]}`);
  if (schema.default !== undefined && schema.default !== null) said.push(`${JSON.stringify(schema.default)} unless given`);
  return said.join(", ");
}

/** The objects that are part of a schema: itself, an alternative of it, or what its lists hold. */
function objects(given, depth = DEPTH) {
  const schema = resolved(given);
  if (depth === 0) return [];
  if (schema.properties) return [schema];
  if (choices(schema)) return choices(schema).flatMap((one) => objects(one, depth - 1));
  if (schema.items) return objects(schema.items, depth - 1);
  return schema.additionalProperties?.properties || schema.additionalProperties?.$ref ? objects(schema.additionalProperties, depth - 1) : [];
}

const row = (name, required, type, words) => el("tr", {},
  el("th", { scope: "row" }, el("code", {}, name), required && el("span", { class: "muted" }, " required")), el("td", {}, type), el("td", {}, words));

const table = (caption, rows) => el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
  el("table", {}, el("thead", {}, el("tr", {}, ["Name", "Type", "Meaning"].map((word) => el("th", { scope: "col" }, word)))), el("tbody", {}, rows)));

const meaning = (schema) => {
  const rest = bounds(schema);
  return [prose(schema.description ?? ""), schema.description && rest ? "; " : "", rest];
};

/** An object's members, and below them those of the objects in it, each kind once. */
function members(schema, seen = new Set()) {
  return objects(schema).filter((one) => !seen.has(one)).map((one) => {
    seen.add(one);
    const listed = Object.entries(one.properties);
    const rows = listed.map(([name, part]) => row(name, one.required?.includes(name), kind(part), meaning({ ...resolved(part), ...part })));
    return el("div", { class: "members" }, one.title && el("h3", {}, one.title), table(`Members of ${one.title ?? "the object"}`, rows),
      seen.size < 40 && listed.map(([, part]) => members(part, seen)));
  });
}

/** Every content type of a question or an answer, with its members. */
const contents = (content) => Object.entries(content ?? {}).map(([type, { schema = {} }]) => {
  const parts = members(schema);
  const words = parts.length ? "" : `: ${schema.description ?? kind(schema)}`;
  return [el("p", {}, el("code", {}, type), words), parts];
});

/** What a shell would ask; values in capitals are the reader's own. */
function call(method, path, operation) {
  const asked = (operation.parameters ?? []).filter((one) => one.in === "query" && one.required).map((one) => `${one.name}=${one.name.toUpperCase()}`);
  const url = address(path.slice(1).replace(/\{(\w+)\}/g, (_, name) => name.toUpperCase())) + (asked.length ? `?${asked.join("&")}` : "");
  const body = method === "POST" ? " \\\n  -H 'Content-Type: application/json' -d @question.json" : "";
  return `curl -s '${url}'${body}`;
}

function problems(operation) {
  const said = Object.entries(operation.responses).filter(([status]) => Number(status) >= 400);
  return said.length > 0 && [el("h2", {}, "Refusals"), el("p", {}, said.map(([status, { description }]) => `${status} ${description}`).join(", "))];
}

function operationView(method, path, operation) {
  const answers = Object.entries(operation.responses).filter(([status]) => Number(status) < 400);
  const parameters = operation.parameters ?? [];
  return el("details", { class: "panel operation", id: `${method} ${path}` },
    el("summary", {}, el("span", { class: "method" }, method), el("code", {}, path), el("span", { class: "muted" }, operation.summary)),
    el("p", {}, prose(operation.description ?? "")),
    el("pre", { tabindex: "0" }, call(method, path, operation)),
    parameters.length > 0 && [el("h2", {}, "Parameters"),
      table("Parameters", parameters.map((one) => row(one.name, one.required, `${kind(one.schema)}, in the ${one.in}`, meaning({ ...one.schema, description: one.description }))))],
    operation.requestBody && [el("h2", {}, operation.requestBody.required ? "Body" : "Body, which may be left out"), contents(operation.requestBody.content)],
    el("h2", {}, "Answer"), answers.map(([, answer]) => (answer.content ? contents(answer.content) : el("p", {}, "empty"))),
    problems(operation));
}

function tokenForm() {
  const field = el("input", { type: "password", id: "token", autocomplete: "off" });
  return el("form", { class: "row", onsubmit: (event) => { event.preventDefault(); useToken(field.value.trim()); start(); } },
    el("label", { for: "token" }, "Token"), field, el("button", {}, "Use it"));
}

function complain(error) {
  show($("routes"));
  show($("problem"), el("strong", {}, error.title ?? "Something went wrong"), " ",
    el("span", {}, error instanceof Problem ? error.message : "The page met something it did not expect."),
    error.status === 401 ? tokenForm() : el("button", { type: "button", class: "quiet", onclick: start }, "Try again"));
  $("problem").hidden = false;
}

async function start() {
  try {
    const said = await api.description();
    definitions = said.components?.schemas ?? {};
    $("title").textContent = `${said.info.title} ${said.info.version}`;
    show($("about"), paragraphs(said.info.description ?? ""));
    show($("routes"), Object.entries(said.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => operationView(method.toUpperCase(), path, operation))));
    $("problem").hidden = true;
  } catch (error) {
    complain(error);
  }
}

document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); $("routes").focus(); });
start();
