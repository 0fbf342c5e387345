// How files are chosen, named and written beyond the usual: folded away until it is wanted.
import { choices, field, h, mark, select } from "../dom.js";
import { text } from "../text.js";

const words = text.options;
const bytesOfMegabyte = 1e6;
const octal = /^0?[0-7]{3}$/;

/** `draft` is what `draft()` gave before. `source()` and `request()` give the request's parts, `shown()` says them in words. */
export function optionsPart(draft = {}) {
  let folders = draft.folders ?? "KEEP";
  let letters = draft.letters ?? "UNSPECIFIED";
  let compression = draft.compression ?? "NONE";
  let proof = draft.proof ?? "SHA256";
  const excludes = h("textarea", { rows: 2, spellcheck: "false", autocapitalize: "none" });
  excludes.value = draft.excludes ?? "";
  const template = plainInput(draft.template, { placeholder: "{path}" });
  const rate = plainInput(draft.rate, { inputmode: "decimal" });
  const fileMode = plainInput(draft.fileMode, { inputmode: "numeric", placeholder: "0640" });
  const sidecar = h("input", { type: "checkbox", checked: Boolean(draft.sidecar) });
  const times = h("input", { type: "checkbox", checked: Boolean(draft.times) });
  const conflict = select(Object.entries(text.start.conflicts), draft.conflict ?? "OVERWRITE");
  const box = h("details", { class: "card", open: Boolean(draft.open) }, h("summary", {}, words.title),
    h("div", { class: "grid" },
      field(text.start.conflict, conflict), field(words.template, template, { hint: words.templateHint }),
      field(words.excludes, excludes, { hint: words.excludesHint, wide: true }),
      h("div", {}, choices(words.folders, Object.entries(words.allFolders), folders, (to) => { folders = to; })),
      h("div", {}, choices(words.letters, Object.entries(words.allLetters), letters, (to) => { letters = to; })),
      h("div", { class: "wide" },
        choices(words.compression, Object.entries(words.compressions), compression, (to) => { compression = to; })),
      h("div", { class: "wide" }, choices(words.proof, Object.entries(words.proofs), proof, (to) => { proof = to; })),
      field(words.rate, rate, { hint: words.rateHint }), field(words.fileMode, fileMode, { hint: words.fileModeHint }),
      h("div", { class: "wide checks" }, h("label", {}, sidecar, words.sidecar), h("label", {}, times, words.times))));

  const lines = () => excludes.value.split("\n").map((line) => line.trim()).filter(Boolean);

  return {
    element: box,
    draft: () => ({ folders, letters, compression, proof, excludes: excludes.value, template: template.value, rate: rate.value,
      fileMode: fileMode.value, sidecar: sidecar.checked, times: times.checked, conflict: conflict.value,
      open: box.open }),
    source: () => lines().length ? { excludes: lines() } : {},
    request() {
      const options = { onConflict: `ON_CONFLICT_${conflict.value}`, folders: `FOLDERS_${folders}`,
        compression: `COMPRESSION_${compression}`, proof: `PROOF_${proof}`, checksumSidecar: sidecar.checked, keepTimes: times.checked };
      const names = {};
      if (letters !== "UNSPECIFIED") names.letterCase = `LETTER_CASE_${letters}`;
      if (template.value.trim()) names.template = template.value.trim();
      if (Object.keys(names).length) options.names = names;
      const bytesPerSecond = Math.round(Number(rate.value) * bytesOfMegabyte);
      if (bytesPerSecond > 0) options.bandwidth = { bytesPerSecond: String(bytesPerSecond) };
      if (fileMode.value.trim()) options.fileMode = parseInt(fileMode.value.trim(), 8);
      return options;
    },
    /** What is wrong: [input, message] of each. */
    lacking() {
      const wrong = [];
      if (rate.value.trim() && !(Number(rate.value) > 0)) wrong.push([rate, words.needs.rate]);
      if (fileMode.value.trim() && !octal.test(fileMode.value.trim())) wrong.push([fileMode, words.needs.fileMode]);
      for (const input of [rate, fileMode]) mark(input, "");
      if (wrong.length) box.open = true;
      return wrong;
    },
  };
}

const plainInput = (value, props) => h("input", { value: value ?? "", autocomplete: "off", spellcheck: "false",
  autocapitalize: "none", ...props });

/** A request's options in words, for the last look: pairs of name and value, only where they differ from the usual. */
export function optionsInWords({ source, options }) {
  const word = (name, prefix) => (options[name] ?? "").slice(prefix.length);
  const conflict = word("onConflict", "ON_CONFLICT_");
  const proof = word("proof", "PROOF_") || "SHA256";
  const compression = word("compression", "COMPRESSION_") || "NONE";
  return [
    [words.excludes, source.excludes?.join(", ")],
    [text.start.conflict, conflict === "OVERWRITE" ? null : text.start.conflicts[conflict]],
    [words.folders, options.folders === "FOLDERS_FLATTEN" ? words.allFolders.FLATTEN : null],
    [words.template, options.names?.template],
    [words.letters, options.names?.letterCase ? words.allLetters[options.names.letterCase.slice("LETTER_CASE_".length)]
      : null],
    [words.compression, compression === "NONE" ? null : words.compressions[compression]],
    [words.proof, proof === "SHA256" ? null : words.proofs[proof]],
    [words.rate, options.bandwidth ? String(Number(options.bandwidth.bytesPerSecond) / bytesOfMegabyte) : null],
    [words.fileMode, options.fileMode ? `0${options.fileMode.toString(8)}` : null],
    [words.also, [options.checksumSidecar ? words.sidecar : null, options.keepTimes ? words.times : null]
      .filter(Boolean).join("; ")],
  ];
}
