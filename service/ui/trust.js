// Three answers about the answer: does the model know such inputs, how sure may one be, would it say so again.

import { el, show } from "./dom.js";

const MARK = { good: "•", doubt: "?", bad: "≈", open: "–" };

/** Green, and a tick, only where all three are good: what is merely steady may be wrong. */
const allGood = (answers) => answers.every(({ level }) => level === "good");
const badge = ({ level, word }, all) => [el("span", { class: "mark", "aria-hidden": "true" }, all ? "✓" : MARK[level]), el("span", {}, word)];

/** The answer in one line, which stays in view where the page is one column. */
export function summaryLine(node, headline, answers) {
  const all = allGood(answers);
  node.classList.toggle("good", all);
  show(node, el("strong", {}, headline), answers.map((one) => el("span", { class: `tone ${one.level}` }, badge(one, all))));
}

const PARTS = ["known", "sure", "sentence"]; // the ids of the three reasons

export function trustView() {
  const rows = PARTS.map((id) => {
    const question = el("dt"), word = el("dd", { class: "word" }), why = el("dd", { class: "muted", id });
    return { question, word, why, node: el("div", {}, question, word, why) };
  });
  const node = el("dl", { class: "trust", id: "trust" }, rows.map((row) => row.node));
  return {
    node,
    show(answers) {
      const all = allGood(answers);
      node.classList.toggle("good", all);
      answers.forEach((one, at) => {
        rows[at].node.className = `tone ${one.level}`;
        rows[at].question.textContent = one.question;
        rows[at].why.textContent = one.why;
        show(rows[at].word, badge(one, all));
      });
    },
  };
}
