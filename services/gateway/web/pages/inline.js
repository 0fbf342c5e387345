// A form in place of the button that opened it, until it is saved or left.
import { button, fill, h, mark } from "../dom.js";
import { text } from "../text.js";
import { errorBox } from "./parts.js";

/** `form` has element, focus() and lacking(); `save()` sends what is filled in and may throw; `onSaved` gets its answer. */
export function openForm(slot, opener, form, save, onSaved) {
  const problem = h("div", { "aria-live": "polite" });
  opener.hidden = true;
  fill(slot, h("div", { class: "gap" }, form.element), problem, h("div", { class: "row gap" },
    button(text.setup.save, send, { class: "main" }), button(text.setup.cancel, close)));
  form.focus();

  function close() {
    slot.replaceChildren();
    opener.hidden = false;
    opener.focus();
  }

  async function send() {
    const wrong = form.lacking();
    for (const [input, what] of wrong) mark(input, what);
    if (wrong.length) return wrong[0][0].focus();
    try {
      const saved = await save();
      close();
      await onSaved(saved);
    } catch (error) { fill(problem, errorBox(error)); }
  }
}
