// Elements, made by hand: text is always set as text, so that nothing a server or a file name says can become markup.

let nextID = 1;

/** An element: h("a", { class: "x", href: "#/", on: { click } }, child, [children]). Null children are left out. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    else if (name === "value" || name === "checked" || name === "disabled"
      || name === "selected") element[name] = value;
    else element.setAttribute(name === "class" ? "class" : name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/** A labelled input. `input` gets an id; the hint and, later, what is wrong are tied to it for screen readers. */
export function field(label, input, { hint, wide } = {}) {
  input.id ||= `f${nextID++}`;
  const wrong = h("span", { class: "wrong", id: `${input.id}-wrong`, hidden: true });
  const hinted = hint ? h("span", { class: "hint", id: `${input.id}-hint` }, hint) : null;
  input.setAttribute("aria-describedby", hint ? `${input.id}-hint ${input.id}-wrong` : `${input.id}-wrong`);
  input.addEventListener("input", () => mark(input, ""));
  return h("div", { class: wide ? "field wide" : "field" }, h("label", { for: input.id }, label), input, hinted, wrong);
}

/** Says what is wrong with an input, or that nothing is ("" clears it). */
export function mark(input, message) {
  const wrong = document.getElementById(`${input.id}-wrong`);
  input.toggleAttribute("aria-invalid", Boolean(message));
  if (message) input.setAttribute("aria-invalid", "true");
  if (wrong) {
    wrong.textContent = message;
    wrong.hidden = !message;
  }
}

export function select(options, value, props = {}) {
  const element = h("select", props, options.map(([key, label]) => h("option", { value: key }, label)));
  if (value !== undefined && value !== null) element.value = value;
  return element;
}

/** A group of radio buttons that looks like one control. `onChange(value)` follows the choice. */
export function choices(legend, options, value, onChange) {
  const name = `c${nextID++}`;
  return h("fieldset", { class: "choices" }, h("legend", { class: "label" }, legend),
    options.map(([key, label]) => h("label", {},
      h("input", { type: "radio", name, value: key, checked: key === value, on: { change: () => onChange(key) } }),
        label)));
}

/** Tells screen readers, politely, what has just changed. */
export function announce(message) {
  const live = document.getElementById("live");
  if (live.textContent !== message) live.textContent = message;
}

/** Runs an action of a button once at a time; the button shows that it works. */
export function button(label, action, props = {}) {
  const element = h("button", { type: "button", ...props }, label);
  element.addEventListener("click", async () => {
    element.disabled = true;
    element.setAttribute("aria-busy", "true");
    try { await action(element); } finally {
      element.disabled = false;
      element.removeAttribute("aria-busy");
    }
  });
  return element;
}
