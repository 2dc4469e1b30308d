/** Spans that keep themselves fresh: how long something has run, or how long until it is due. One timer serves them all. */

import { now } from "../lib/clock.js";
import { h } from "../lib/dom.js";

/** @type {Set<Clock>} */
const shown = new Set();
/** @type {ReturnType<typeof setInterval>|undefined} */
let timer;

/**
 * A span of time to the second below an hour, then to the minute.
 * @param {number} ms @returns {string} such as `4 min 05 s`
 */
export function spanWords(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
  return `${Math.floor(minutes / 1440)} days`;
}

class Clock extends HTMLElement {
  connectedCallback() {
    shown.add(this);
    this.tell();
    timer ??= setInterval(() => shown.forEach((each) => each.tell()), 1000);
  }

  disconnectedCallback() {
    shown.delete(this);
    if (shown.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  }

  /** Say it again, if it has changed. */
  tell() {
    const left = this.dataset.until;
    const at = Date.parse(left ?? this.dataset.since ?? "");
    const text = left === undefined ? spanWords(now() - at) : at <= now() ? "now" : `in ${spanWords(at - now())}`;
    if (this.textContent !== text) this.textContent = text;
  }
}
customElements.define("il-clock", Clock);

/**
 * How long it has been since then.
 * @param {string} iso @returns {HTMLElement}
 */
export const since = (iso) => h("il-clock", { class: "clock", data: { since: iso }, title: absolute(iso) });

/**
 * How long it is until then, `now` once it has come.
 * @param {string} iso @returns {HTMLElement}
 */
export const until = (iso) => h("il-clock", { class: "clock", data: { until: iso }, title: absolute(iso) });

/** The instant in the reader's own place and language. @param {string} iso @returns {string} */
export const absolute = (iso) => new Date(iso).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
