/** Keys for all pages. They rest while somebody types, and while a dialog is open. */

import { h, stand } from "./dom.js";
import { context, go, link, pageKeys } from "./router.js";
import { dialog } from "./ui.js";

const GOALS = { o: ["overview"], j: ["jobs"], h: ["hosts"], i: ["instances"], t: ["types"], s: ["settings"], m: ["members"], a: ["audit"] };
const HELP = [
  ["/", "search in this list"],
  ["j, k", "down and up in a list"],
  ["Enter", "open"],
  ["c", "create a job"],
  ["g o", "overview"],
  ["g j", "jobs"],
  ["g h", "hosts"],
  ["g i", "instances"],
  ["g t", "job types"],
  ["g m", "members"],
  ["g s", "settings"],
  ["g a", "audit trail"],
  ["?", "this help"],
];
const PATIENCE = 1500; // ms between `g` and the next key

let began = 0;

function typing(target) {
  return target instanceof Element && target.closest("input, textarea, select, [contenteditable]") !== null;
}

function move(step) {
  const rows = [.../** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("main [data-row]"))].filter((row) => row.getClientRects().length);
  if (!rows.length) return false;
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const row = rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.max(0, Math.min(rows.length - 1, at + step))];
  stand(row);
  row.scrollIntoView({ block: "nearest" });
  return true;
}

/** The keys that there are. */
export function help() {
  const lines = HELP.map(([keys, text]) => [h("dt", keys.split(/(, | )/).map((part) => (/^[, ]+$/.test(part) ? part : h("kbd", part)))), h("dd", text)]);
  return dialog({ title: "Keys", body: h("dl", { class: "keys" }, lines) });
}

function onKey(event) {
  if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey || typing(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  const second = Date.now() - began < PATIENCE;
  began = 0;
  if (second ? goes(event.key) : acts(event)) event.preventDefault();
}

function goes(key) {
  const org = context()?.org;
  if (!org || !GOALS[key]) return false;
  go(link(org, ...GOALS[key]));
  return true;
}

function acts(event) {
  const own = pageKeys()[event.key];
  if (own) return own(event) !== false;
  if (event.key === "g") return Boolean((began = Date.now()));
  if (event.key === "?") return Boolean(help());
  if (event.key === "j" || event.key === "ArrowDown") return event.key === "j" || inList() ? move(1) : false;
  if (event.key === "k" || event.key === "ArrowUp") return event.key === "k" || inList() ? move(-1) : false;
  if (event.key === "/") return search();
  if (event.key === "c") return create();
  return false;
}

const inList = () => document.activeElement?.matches("[data-row]") ?? false;

function search() {
  const place = /** @type {HTMLInputElement | null} */ (document.querySelector("main input[type=search]"));
  place?.focus();
  place?.select();
  return place !== null;
}

function create() {
  const org = context()?.org;
  if (org && org.role !== "viewer") go(link(org, "jobs", "new"));
  return Boolean(org);
}

document.addEventListener("keydown", onKey);
