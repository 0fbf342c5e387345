// What a dry run found: what would move, how long it would take, what the cloud would charge, what would stop it and what
// is worth knowing.
import { h } from "../dom.js";
import { bytes, count, duration, money, number } from "../format.js";
import { text } from "../text.js";
import { problemBox } from "./parts.js";

const words = text.plan;

export function planView(answer) {
  const problems = answer.problems ?? [];
  const what = words.planned(count(answer.files), bytes(answer.bytes), answer.destination ?? "");
  const facts = [time(answer), ...costs(answer)];
  return [
    problems.length ? [h("p", {}, what, ". ", words.bad), problems.map((one) => problemBox(one)), facts]
      : h("div", { class: "note good" }, h("strong", {}, what), h("p", {}, words.good), facts),
    (answer.warnings ?? []).map((one) => h("div", { class: "note warn" }, `${one.message} ${one.nextStep}`)),
  ];
}

function time({ secondsLow, secondsHigh, durationBasis }) {
  const [low, high] = [duration(number(secondsLow)), duration(number(secondsHigh))];
  return number(secondsHigh) ? h("p", {}, words.takes(low, high, durationBasis)) : null;
}

/** A sum for each cloud's bill, with its parts to unfold. */
function costs({ costs = [], priceList }) {
  return [...new Set(costs.map((one) => one.payer))].map((payer) => {
    const parts = costs.filter((one) => one.payer === payer);
    const sum = parts.reduce((all, one) => all + number(one.microunits), 0);
    return h("details", {}, h("summary", {}, words.costs(money(sum, parts[0].currency), payer, priceList)),
      h("ul", {}, parts.map((one) =>
        h("li", {}, `${money(number(one.microunits), one.currency)}: ${one.item}, ${one.quantity}. ${one.note}`))));
  });
}
