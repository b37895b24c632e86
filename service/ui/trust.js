// Three answers about the answer: does the model know such inputs, how sure may one be, would it say so again.

import { el, show } from "./dom.js";

const MARK = { good: "•", doubt: "?", bad: "≈", open: "–" };
const PARTS = ["known", "sure", "sentence"]; // the ids of the three reasons

export function trustView() {
  const rows = PARTS.map((id) => {
    const question = el("dt"), word = el("dd", { class: "word" }), why = el("dd", { class: "muted", id });
    return { question, word, why, node: el("div", {}, question, word, why) };
  });
  const node = el("dl", { class: "trust", id: "trust" }, rows.map((row) => row.node));
  return {
    node,
    /** Green, and a tick, only where all three are good: what is merely steady may be wrong. */
    show(answers) {
      const all = answers.every(({ level }) => level === "good");
      node.classList.toggle("good", all);
      answers.forEach(({ question, word, why, level }, at) => {
        rows[at].node.className = level;
        rows[at].question.textContent = question;
        rows[at].why.textContent = why;
        show(rows[at].word, el("span", { class: "mark", "aria-hidden": "true" }, all ? "✓" : MARK[level]), el("span", {}, word));
      });
    },
  };
}
