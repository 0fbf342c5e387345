// Seconds that run out, in view of the reader: what happens then, happens by itself unless it is stopped before.
import { h } from "../dom.js";

const tick = 250;  // milliseconds between two looks at the clock

/**
 * `words(seconds)` is shown while it runs; `onEnd` is called once at its end. `since` (milliseconds since 1970) lets one that was
 * begun before a reload go on. Returns { element, stop }.
 */
export function countdown(seconds, words, onEnd, since = Date.now()) {
  const end = since + seconds * 1000;
  const figure = h("span", { role: "timer" });
  const bar = h("progress", { max: seconds, "aria-hidden": "true" });
  const element = h("div", { class: "countdown" }, figure, bar);
  let timer = null;

  function look() {
    const left = Math.max(0, Math.ceil((end - Date.now()) / 1000));
    const said = words(left);
    if (figure.textContent !== said) figure.textContent = said;
    bar.value = left;
    if (left > 0) return;
    stop();
    onEnd();
  }

  function stop() {
    clearInterval(timer);
    timer = null;
  }

  timer = setInterval(look, tick);
  look();
  return { element, stop };
}
