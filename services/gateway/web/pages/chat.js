// Questions about a delivery, and what the assistant answers from what is known of it. The conversation is kept for the tab.
import { part, post } from "../api.js";
import { button, field, fill, h } from "../dom.js";
import { text } from "../text.js";
import { errorBox } from "./parts.js";

const words = text.chat;
const remembered = 20;  // messages that go along with a question
const maxQuestion = 1000;

/** A card; `id` is the delivery's. */
export function chatCard(id) {
  const key = `fileferry.chat.${id}`;
  const messages = kept(key);
  const talk = h("div", { class: "chat", role: "log", tabindex: 0, "aria-label": words.title });
  const input = h("input", { maxlength: maxQuestion, autocomplete: "off" });
  const problem = h("div", {});
  const next = h("div", { class: "row gap" });
  const submit = (event) => {
    event.preventDefault();
    const question = input.value.trim();
    if (question) ask(question);
  };
  show();
  suggest(messages.length ? [] : words.first);

  function show() {
    fill(talk, messages.map((one) => h("p", { class: one.role === "CHAT_ROLE_USER" ? "mine" : "theirs" },
      h("span", { class: "unseen" }, one.role === "CHAT_ROLE_USER" ? words.you : words.assistant), one.text)));
    talk.hidden = messages.length === 0;
    talk.scrollTop = talk.scrollHeight;
  }

  function suggest(questions) {
    fill(next, questions.map((question) => button(question, () => ask(question), { class: "small" })));
  }

  async function ask(question) {
    fill(problem);
    input.disabled = true;
    const asked = { role: "CHAT_ROLE_USER", text: question };
    try {
      const answer = await post(`deliveries/${part(id)}/chat`, { messages: [...messages, asked].slice(-remembered) });
      messages.push(asked, { role: "CHAT_ROLE_ASSISTANT", text: answer.text ?? "" });
      messages.splice(0, Math.max(0, messages.length - remembered));
      sessionStorage.setItem(key, JSON.stringify(messages));
      input.value = "";
      show();
      suggest(answer.suggestions ?? []);
    } catch (error) {
      // What was asked stays where it was typed.
      input.value = question;
      fill(problem, errorBox(error, { again: () => ask(question) }));
    }
    input.disabled = false;
    input.focus({ preventScroll: true });
  }

  return h("section", { class: "card" }, h("h2", {}, words.title), talk, problem,
    h("form", { class: "gap", on: { submit } }, field(words.question, input, { hint: words.hint }),
      h("div", { class: "row gap" }, h("button", { type: "submit" }, words.ask))), next);
}

function kept(key) {
  try { return JSON.parse(sessionStorage.getItem(key) ?? "[]"); } catch { return []; }
}
