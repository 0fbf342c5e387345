// Figures as people read them, and proto3 JSON's forms (64-bit numbers come as strings, absent fields are defaults).
import { text } from "./text.js";

export const number = (value) => Number(value ?? 0);

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
export function bytes(value) {
  let amount = number(value);
  let unit = 0;
  while (amount >= 1024 && unit < units.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  return `${unit === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)} ${units[unit]}`;
}

/** "2.6 of 5.0 GiB": the unit once where both have the same. */
export function bytesOf(done, total) {
  const [amount, unit] = bytes(done).split(" ");
  const all = bytes(total);
  return text.delivery.of(all.endsWith(` ${unit}`) ? amount : bytes(done), all);
}

export const speed = (bytesPerSecond) => `${bytes(bytesPerSecond)}/s`;
export const count = (value) => number(value).toLocaleString();

/** Millionths of a currency: "12.35 USD"; small sums with as many digits as they need. */
export const money = (microunits, currency) =>
  `${(microunits / 1e6).toFixed(microunits >= 1e6 || microunits === 0 ? 2 : microunits >= 1e4 ? 3 : 6)} ${currency}`;

/** Seconds as "4 s", "3 min 20 s", "2 h 5 min". */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return text.unknown;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export function time(stamp) {
  if (!stamp) return "";
  return new Date(stamp).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

export const clock = (stamp) => stamp ? new Date(stamp).toLocaleTimeString(undefined, { timeStyle: "medium" }) : "";

export const secondsBetween = (from, to) => from ? ((to ? Date.parse(to) : Date.now()) - Date.parse(from)) / 1000 : 0;

/** A share from 0 to 1; an unknown total gives 0. */
export function share(done, total) {
  const all = number(total);
  return all > 0 ? Math.min(1, number(done) / all) : 0;
}

/** The rest of an enum's name: enumWord("DELIVERY_STATUS_", "DELIVERY_STATUS_RUNNING") is "RUNNING". */
export const enumWord = (prefix, value) => (value ?? "").startsWith(prefix) ? value.slice(prefix.length)
  : "UNSPECIFIED";
