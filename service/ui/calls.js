// The current input as a command line and as a program, to copy.

import { address } from "./api.js";
import { el, show } from "./dom.js";

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

function curl(body) {
  return `curl -s ${quoted(address("predict"))} \\\n  -H 'Content-Type: application/json' \\\n  -d ${quoted(JSON.stringify(body))}`;
}

function python(body) {
  const row = JSON.stringify(body.instances[0]);
  return `import json
import urllib.request

question = {
    "model": ${JSON.stringify(body.model)},
    "version": ${JSON.stringify(body.version)},
    "instances": [${row}],
}
request = urllib.request.Request(
    ${JSON.stringify(address("predict"))},
    data=json.dumps(question).encode(),
    headers={"Content-Type": "application/json"},
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

export function callsView(node) {
  const make = (id, title) => {
    const text = el("pre", { id, tabindex: 0, role: "region", "aria-label": title });
    const button = el("button", { type: "button", class: "quiet", onclick: () => copy(text.textContent, button) }, "Copy");
    return { text, node: el("div", {}, el("div", { class: "row between" }, el("h3", {}, title), button), text) };
  };
  const shell = make("curl", "Command line"), program = make("python", "Python");
  show(node, el("div", { class: "halves" }, shell.node, program.node));
  return {
    input(target, row) {
      const body = { ...target, instances: [row] };
      shell.text.textContent = curl(body);
      program.text.textContent = python(body);
    },
  };
}
