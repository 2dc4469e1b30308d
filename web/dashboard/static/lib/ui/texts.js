/** States, times, ids and values as people read them; all of it text. */

import { now } from "../clock.js";
import { h, svg } from "../dom.js";
import { icon } from "../icons.js";

const TONES = {
  good: ["COMPLETED", "success", "succeeded", "online", "ok", "live", "active"],
  run: ["RUNNING", "running", "dispatched", "taken"],
  warn: ["offered", "cancelling", "cancel_requested", "unreachable", "draining", "paused", "held", "unhealthy", "backoff"],
  bad: ["FAILED", "failed", "lost", "timed_out", "timeout", "rejected", "error", "expired"],
  off: ["CANCELLED", "cancelled", "offline", "never_connected", "superseded", "revoked"],
};
const TONE = new Map(Object.entries(TONES).flatMap(([tone, names]) => names.map((name) => [name, tone])));
const SHAPES = {
  good: "M3.5 8.500l3 3 6-6.5",
  run: "M5 3.500v9l7.5-4.500z",
  wait: "M8 13.500a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11zM8 5.200v3l2 1.2",
  warn: "M8 2.500L14 13.500H2zM8 6.800v2.800M8 11.500v.1",
  bad: "M4 4l8 8M12 4l-8 8",
  off: "M3.5 8h9",
};

/** How grave a state is: good, run, wait, warn, bad or off. @param {string} status */
export const toneOf = (status) => TONE.get(status) ?? "wait";

/** A state as a word, with a shape and a colour. @param {string} status @param {string} [text] another word for it */
export function badge(status, text) {
  const tone = toneOf(status);
  const word = text ?? String(status).toLowerCase().replaceAll("_", " ");
  const shape = svg("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: SHAPES[tone] }));
  return h("span", { class: `badge ${tone}`, data: { status } }, shape, word);
}

/** Spans from the largest unit down, two of them at most: `4 min 3 s`, `2 d 4 h`, `350 ms`. @param {number | null | undefined} ms */
export function duration(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return "–";
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  const s = Math.floor(ms / 1000);
  /** @type {[number, string, number, string][]} */
  const pairs = [[86_400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]];
  for (const [size, unit, small, lesser] of pairs) {
    if (s < size) continue;
    const rest = Math.floor((s % size) / small);
    return `${Math.floor(s / size)} ${unit}${rest ? ` ${rest} ${lesser}` : ""}`;
  }
  return `${s} s`;
}

const NUMBERS = new Intl.NumberFormat("en-GB");

/** A number with its thousands apart. @param {number} number */
export const count = (number) => NUMBERS.format(number);

const EXACT = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });

/** How long ago, or in how long. @param {number} at ms since 1970 */
function relative(at) {
  const off = at - now();
  const s = Math.round(Math.abs(off) / 1000);
  if (s < 2) return "now";
  const [size, unit] = s < 60 ? [1, "s"] : s < 3600 ? [60, "min"] : s < 172_800 ? [3600, "h"] : /** @type {[number, string]} */ ([86_400, "d"]);
  const told = `${Math.floor(s / size)} ${unit}`;
  return off > 0 ? `in ${told}` : `${told} ago`;
}

/** A time that keeps itself fresh; the exact one on hover. @param {string | null | undefined} iso RFC 3339 */
export function relTime(iso) {
  if (!iso) return h("span", { class: "faint" }, "–");
  const at = Date.parse(iso);
  if (Number.isNaN(at)) return h("span", String(iso));
  return h("time", { datetime: iso, title: EXACT.format(at), data: { at } }, relative(at));
}

setInterval(() => {
  if (document.hidden) return;
  for (const node of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("time[data-at]"))) {
    const text = relative(Number(node.dataset.at));
    if (node.textContent !== text) node.textContent = text;
  }
}, 1000);

/** The end of an id, which is its own part; a click copies all of it. @param {string} id */
export function idText(id) {
  const node = h("button", { type: "button", class: "id", title: `${id} – click to copy`, "aria-label": `${String(id).slice(-8)}: copy the id ${id}` }, String(id).slice(-8));
  node.addEventListener("click", async (event) => {
    event.stopPropagation();
    event.preventDefault();
    flash(node, await copyText(id));
  });
  return node;
}

function flash(node, copied) {
  node.dataset.told = copied ? "copied" : "press Ctrl-C";
  setTimeout(() => delete node.dataset.told, 1500);
}

/**
 * Copy to the clipboard; over plain HTTP browsers have none for pages, so the text is selected and copied as of old.
 *
 * @param {string} text
 * @returns {Promise<boolean>} whether it was copied
 */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelected(text);
  }
}

function copySelected(text) {
  const focused = document.activeElement;
  const place = h("textarea", { class: "unseen", readonly: true, "aria-hidden": "true" });
  place.value = text;
  (document.querySelector("dialog[open]") ?? document.body).append(place);
  place.select();
  let copied = false;
  try {
    copied = document.execCommand("copy");
  } catch {
    copied = false;
  }
  place.remove();
  if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  return copied;
}

/**
 * Text to be taken elsewhere, such as a command, with a button that copies it. @param {string} text
 * @param {{label?: string, unfit?: string}} [options] `unfit`: why it is not to be copied as it stands
 */
export function copyBox(text, { label = "Copy", unfit = "" } = {}) {
  const shown = h("pre", { class: "copy-text", tabindex: "0" }, text);
  const node = h("button", { type: "button", class: "button plain", "aria-label": label, title: unfit || label, disabled: Boolean(unfit) }, icon("copy"));
  node.addEventListener("click", async () => {
    const copied = await copyText(text);
    node.replaceChildren(icon(copied ? "check" : "copy"));
    if (!copied) getSelection()?.selectAllChildren(shown);
    node.title = copied ? "Copied" : "Press Ctrl-C to copy";
    setTimeout(() => node.replaceChildren(icon("copy")), 1500);
  });
  return h("div", { class: "copy-box" }, shown, node);
}

/** What stands where there is nothing yet: what it means, and what to do next. @param {{title: string, text?: any, command?: string, action?: Node}} told */
export function empty({ title, text, command, action }) {
  return h("div", { class: "empty" }, h("h2", title), text ? h("p", text) : null, command ? copyBox(command) : null, action ? h("p", action) : null);
}

/** Any JSON value, indented. Nothing is said of `undefined`. @param {any} value */
export function json(value) {
  const text = value === undefined ? "–" : JSON.stringify(value, null, 2);
  return h("pre", { class: "json", tabindex: "0" }, text);
}
