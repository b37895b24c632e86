// The current input as a command line and as a program, to copy.

import { address, hasToken } from "./api.js";
import { el, show } from "./dom.js";

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

function curl(body) {
  const token = hasToken() ? ` \\\n  -H "Authorization: Bearer $TOKEN"` : "";
  return `curl -s ${quoted(address("predict"))} \\\n  -H 'Content-Type: application/json'${token} \\\n  -d ${quoted(JSON.stringify(body))}`;
}

const literal = (value) =>
  value === null ? "None" : value === true ? "True" : Array.isArray(value) ? `[${value.map(literal).join(", ")}]` : JSON.stringify(value);

function python(body) {
  const members = Object.entries(body).map(([name, value]) => `    ${literal(name)}: ${literal(value)},\n`);
  return `import json${hasToken() ? "\nimport os" : ""}
import urllib.request

question = {
${members.join("")}}
request = urllib.request.Request(
    ${JSON.stringify(address("predict"))},
    data=json.dumps(question).encode(),
    headers={"Content-Type": "application/json"${hasToken() ? `, "Authorization": "Bearer " + os.environ["TOKEN"]` : ""}},
)
with urllib.request.urlopen(request) as response:
    prediction = json.load(response)["predictions"][0]
print(prediction["stability"]["verdict"], prediction)
`;
}

/** Put text on the clipboard, or say that it cannot be had. */
export async function copy(text, button) {
  const said = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select it and copy";
  }
  setTimeout(() => { button.textContent = said; }, 1600);
}

export function callsView(node, card) {
  const make = (id, title) => {
    const text = el("pre", { id, tabindex: 0, role: "region", "aria-label": title });
    const button = el("button", { type: "button", class: "quiet", onclick: () => copy(text.textContent, button) }, "Copy");
    return { text, node: el("div", {}, el("div", { class: "row between" }, el("h3", {}, title), button), text) };
  };
  const shell = make("curl", "Command line"), program = make("python", "Python");
  show(node, el("div", { class: "halves" }, shell.node, program.node));
  return {
    input(target, row) {
      // Where measuring takes further runs of the model, it is done on request.
      const body = { ...target, instances: [row], ...(card.method === "analytic" ? {} : { measure: true }) };
      shell.text.textContent = curl(body);
      program.text.textContent = python(body);
    },
  };
}
