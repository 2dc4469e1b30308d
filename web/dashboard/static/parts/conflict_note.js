/** Somebody has saved meanwhile: what they changed and what is being changed here, and which of both shall count. */

import { h } from "../lib/dom.js";
import { button } from "../lib/ui.js";
import { changesOf, diffTable, merged } from "./diff.js";

/**
 * @param {{what: string, before: any, mine: () => any, theirs: any, take: () => any, keep: (both: any) => any}} told `before` is what both
 *   began with, `mine` reads what stands in the fields; `take` goes on with theirs, `keep` with theirs and on top of it what was changed here
 * @returns {HTMLElement}
 */
export function conflictNote({ what, before, mine, theirs, take, keep }) {
  const theirChanges = changesOf(before, theirs);
  const both = () => merged(before, mine(), theirs);
  return h("div", { class: "conflict", role: "alert" },
    h("p", {}, h("strong", {}, `Somebody else has saved this ${what} since you opened it.`), " Nothing of yours is lost: it is still in the fields."),
    theirChanges.length ? h("details", { open: true }, h("summary", {}, "What they changed"), diffTable(theirChanges)) : h("p", { class: "soft" }, "What they saved says the same as what you began with."),
    h("details", {}, h("summary", {}, "What you would change of it"), diffTable(changesOf(theirs, both()))),
    h("div", { class: "form-actions" }, button("Go on with theirs", take), button("Keep mine, on top of theirs", () => keep(both()))));
}

/**
 * Somebody has saved while this is being edited: said, and nothing of what was typed is touched.
 * @param {{what: string, compare: () => any}} told `compare` shows both, and asks which shall count
 * @returns {HTMLElement}
 */
export function changedNote({ what, compare }) {
  return h("div", { class: "conflict", role: "status" },
    h("p", {}, h("strong", {}, `Somebody else has changed this ${what} meanwhile.`), " What you have typed is still here."),
    h("div", { class: "form-actions" }, button("Show what has changed", compare)));
}
