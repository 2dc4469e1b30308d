/** What a host does now, in words, shapes and colours: the same on the grid, on its page and in lists. */

import { h } from "../lib/dom.js";
import { badge } from "../lib/ui.js";
import { toneOf as badgeTone } from "../lib/ui/texts.js";

/**
 * A host as the API gives it.
 * @typedef {{
 *   id: string, name: string, kind: string, labels: Record<string, string>, presence: string, health: string,
 *   lastSeenAt: string|null, paused: boolean, note: string|null, pausedUntil: string|null, draining: boolean,
 *   drainUntil: string|null, pendingCount: number, currentJobRunId: string|null, createdAt: string,
 * }} Host
 */

/**
 * The states by which hosts are counted and filtered, the busiest first. `status` is what its badge
 * looks like; a host may be in several: one that is paused may still run its last job.
 * @type {{state: string, word: string, status: string, is: (host: Host) => boolean}[]}
 */
export const STATES = [
  { state: "running", word: "Running", status: "running", is: (host) => host.currentJobRunId !== null && host.presence !== "unreachable" },
  { state: "idle", word: "Idle", status: "online", is: (host) => stateOf(host) === "idle" },
  { state: "paused", word: "Paused", status: "paused", is: (host) => host.paused },
  { state: "draining", word: "Draining", status: "draining", is: (host) => host.draining },
  { state: "unhealthy", word: "Unhealthy", status: "unhealthy", is: (host) => host.health === "unhealthy" },
  { state: "unreachable", word: "Unreachable", status: "unreachable", is: (host) => host.presence === "unreachable" },
  { state: "offline", word: "Offline", status: "offline", is: (host) => host.presence === "offline" },
  { state: "new", word: "Never connected", status: "never_connected", is: (host) => host.presence === "never_connected" },
];
const BY_STATE = new Map(STATES.map((each) => [each.state, each]));

/**
 * The one state that matters most of a host: what is wrong comes before what it does.
 * @param {Host} host
 * @returns {string} a `state` of `STATES`
 */
export function stateOf(host) {
  if (host.presence === "unreachable") return "unreachable";
  if (host.health === "unhealthy") return "unhealthy";
  if (host.currentJobRunId !== null) return "running";
  if (host.presence === "never_connected") return "new";
  if (host.presence === "offline") return "offline";
  if (host.draining) return "draining";
  return host.paused ? "paused" : "idle";
}

/** The word of a state. @param {string} state @returns {string} */
export const wordOf = (state) => BY_STATE.get(state)?.word ?? state;

/** The tone of a state, as of a badge. @param {string} state @returns {string} */
export const toneOf = (state) => badgeTone(BY_STATE.get(state)?.status ?? "offline");

/** A state as a word with its shape and colour. @param {string} state @returns {HTMLElement} */
export const stateBadge = (state) => badge(BY_STATE.get(state)?.status ?? state, wordOf(state).toLowerCase());

/**
 * The badges of a host: its state, then what else holds it back.
 * @param {Host} host
 * @returns {HTMLElement[]}
 */
export function badgesOf(host) {
  const main = stateOf(host);
  const rest = STATES.filter((each) => each.state !== main && each.is(host));
  return [main, ...rest.map((each) => each.state)].map(stateBadge);
}

/**
 * Labels as small text, in the order of their keys.
 * @param {Record<string, string>} labels @param {number} [most] how many; the rest is counted
 * @returns {HTMLElement[]}
 */
export function labelChips(labels, most = 50) {
  const pairs = Object.entries(labels).sort(([one], [other]) => (one < other ? -1 : 1));
  const shown = pairs.slice(0, most).map(([key, value]) => h('span', { class: 'label', title: `${key}=${value}` }, h('b', {}, key), value === '' ? null : `=${value}`));
  return pairs.length > most ? [...shown, h("span", { class: "label label-more" }, `+${pairs.length - most}`)] : shown;
}
