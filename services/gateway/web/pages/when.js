// When a schedule runs: the usual rhythms to choose from, or crontab's own five fields; and the same in words.
import { field, fill, h, select } from "../dom.js";
import { text } from "../text.js";

const words = text.when;
const weekdays = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];
const noon = "T12:00:00";
// 2024-01-01 was a Monday.
const weekdayNames = weekdays.map((_, index) => new Date(`2024-01-0${index + 1}${noon}`)
  .toLocaleDateString(undefined, { weekday: "long" }));

export const ownZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** { element, focus(), lacking(), cron(), timeZone() } */
export function whenPart() {
  const rhythm = select(Object.entries(words.rhythms), "WORKDAYS");
  const at = h("input", { type: "time", value: "06:00", required: true });
  const weekday = select(weekdays.map((day, index) => [day, weekdayNames[index]]), "MON");
  const day = h("input", { type: "number", value: "1", min: 1, max: 31 });
  const minute = h("input", { type: "number", value: "0", min: 0, max: 59 });
  const cron = h("input", { value: "30 6 * * MON-FRI", spellcheck: "false", autocapitalize: "none", autocomplete: "off" });
  const zone = h("input", { value: ownZone(), spellcheck: "false", autocapitalize: "none", autocomplete: "off" });
  const parts = { at: field(words.at, at), weekday: field(words.weekday, weekday), day: field(words.day, day,
    { hint: words.dayHint }), minute: field(words.minute, minute), cron: field(words.cron, cron, { hint: words.cronHint }) };
  const shown = { HOURLY: ["minute"], DAILY: ["at"], WORKDAYS: ["at"], WEEKLY: ["weekday", "at"], MONTHLY: ["day", "at"],
    CRON: ["cron"] };
  const slot = h("div", { class: "grid wide" });
  const show = () => fill(slot, shown[rhythm.value].map((name) => parts[name]));
  rhythm.addEventListener("change", show);
  show();

  function expression() {
    const [hours, minutes] = at.value.split(":").map(Number);
    switch (rhythm.value) {
    case "HOURLY": return `${Number(minute.value)} * * * *`;
    case "DAILY": return `${minutes} ${hours} * * *`;
    case "WORKDAYS": return `${minutes} ${hours} * * MON-FRI`;
    case "WEEKLY": return `${minutes} ${hours} * * ${weekday.value}`;
    case "MONTHLY": return `${minutes} ${hours} ${Number(day.value)} * *`;
    default: return cron.value.trim();
    }
  }

  const within = (input, low, high) => /^\d+$/.test(input.value) && input.value >= low && input.value <= high;
  const checks = { at: [at, () => at.value !== "", words.needs.at], day: [day, () => within(day, 1, 31), words.needs.day],
    minute: [minute, () => within(minute, 0, 59), words.needs.minute],
    cron: [cron, () => cron.value.trim() !== "", words.needs.cron] };
  return {
    element: h("div", { class: "grid" }, field(words.rhythm, rhythm), field(words.zone, zone, { hint: words.zoneHint }), slot),
    focus: () => rhythm.focus(),
    lacking: () => shown[rhythm.value].map((name) => checks[name]).filter((one) => one && !one[1]())
      .map(([input, , what]) => [input, what]),
    cron: expression,
    timeZone: () => zone.value.trim(),
  };
}

/** "Monday to Friday at 06:30"; what is none of the usual rhythms stays as it is written. */
export function inWords(cron, timeZone) {
  const zone = timeZone || "UTC";
  const found = cron.match(/^(\d+) (\d+|\*) (\d+|\*) \* (\*|[A-Z]{3}|MON-FRI)$/);
  if (!found) return words.other(cron, zone);
  const [, minute, hour, day, weekday] = found;
  const two = (value) => String(value).padStart(2, "0");
  const index = weekdays.indexOf(weekday);
  if (hour === "*") return day === "*" && weekday === "*" ? words.hourly(two(minute), zone) : words.other(cron, zone);
  const at = `${two(hour)}:${two(minute)}`;
  if (day !== "*") return weekday === "*" ? words.monthly(day, at, zone) : words.other(cron, zone);
  if (weekday === "MON-FRI") return words.workdays(at, zone);
  return index < 0 ? words.daily(at, zone) : words.weekly(weekdayNames[index], at, zone);
}
