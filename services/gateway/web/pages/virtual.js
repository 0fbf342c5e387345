// A list of any length in a box: only the rows in sight are elements. Rows are equally high, lie at their own places, and keep
// their elements while they stay in sight, so that nothing that has the focus is made anew. Tab comes to one row alone and goes
// on behind the list; the arrow keys go from row to row ("roving tabindex", WAI-ARIA Authoring Practices).
import { h } from "../dom.js";

const rowHeight = 52;  // pixels, as in style.css
const spare = 8;  // rows above and below those in sight

/** `row(item)` makes an li; `onEnd()` is called when the last rows come into sight. Returns { element, show(items), top(), each(visit) }. */
export function virtualList({ row, onEnd, label }) {
  const list = h("ul", { class: "entries", "aria-label": label });
  const box = h("div", { class: "entries-box" }, list);
  const rows = new Map();  // by index
  let items = [];
  let asked = false;
  let current = 0;  // the row that Tab comes to
  box.addEventListener("scroll", render, { passive: true });
  list.addEventListener("focusin", (event) => {
    const at = event.target.closest("li");
    if (at) turnTo(Number(at.dataset.index));
  });
  list.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(box.clientHeight / rowHeight) - 1);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -items.length, End: items.length }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = Math.min(items.length - 1, Math.max(0, current + step));
    const kind = event.target.localName;
    turnTo(next);
    box.scrollTop = Math.min(next * rowHeight, Math.max(box.scrollTop, (next + 1) * rowHeight - box.clientHeight));
    render();
    const row = rows.get(next);
    (row?.querySelector(kind) ?? row?.querySelector("input"))?.focus({ preventScroll: true });
  });

  function turnTo(index) {
    const before = rows.get(current);
    current = index;
    if (before) reachable(before, false);
    const now = rows.get(index);
    if (now) reachable(now, true);
  }

  function reachable(element, isCurrent) {
    for (const control of element.querySelectorAll("input, button")) control.tabIndex = isCurrent ? 0 : -1;
  }
  new ResizeObserver(render).observe(box);

  function show(next, { anew = false } = {}) {
    if (anew) {
      for (const element of rows.values()) element.remove();
      rows.clear();
      current = 0;
    }
    items = next;
    for (const element of rows.values()) element.setAttribute("aria-setsize", items.length);
    list.style.height = `${items.length * rowHeight}px`;
    render();
  }

  function render() {
    const first = Math.max(0, Math.floor(box.scrollTop / rowHeight) - spare);
    const last = Math.min(items.length, Math.ceil((box.scrollTop + box.clientHeight) / rowHeight) + spare);
    for (const [index, element] of rows) {
      if (index >= first && index < last || index === current || element.contains(document.activeElement)) continue;
      element.remove();
      rows.delete(index);
    }
    if (current < items.length && !rows.has(current)) insert(current);
    for (let index = first; index < last; index += 1) if (!rows.has(index)) insert(index);
    if (last === items.length && items.length > 0 && !asked) {
      // Asked once for each look: what comes is shown, and that looks again.
      asked = true;
      Promise.resolve().then(() => { asked = false; onEnd?.(); });
    }
  }

  /** In the order of the items, which is the order that Tab goes through them. */
  function insert(index) {
    const element = row(items[index]);
    element.style.top = `${index * rowHeight}px`;
    element.setAttribute("aria-posinset", index + 1);
    element.setAttribute("aria-setsize", items.length);
    element.dataset.index = index;
    const after = [...list.children].find((other) => Number(other.dataset.index) > index);
    list.insertBefore(element, after ?? null);
    reachable(element, index === current);
    rows.set(index, element);
  }

  return { element: box, show, top() { box.scrollTop = 0; }, each: (visit) => { for (const one of rows.values()) visit(one); } };
}
