/** Which hosts are shown, and in which order: pure, and all of it from the page's URL. */

import { STATES, stateOf } from "./host_words.js";

/** @typedef {import('./host_words.js').Host} Host */

const RANK = new Map(["unreachable", "unhealthy", "running", "idle", "paused", "draining", "offline", "new"].map((state, at) => [state, at]));
const NAMES = new Intl.Collator(undefined, { numeric: true });
const byName = (one, other) => NAMES.compare(one.name, other.name) || (one.id < other.id ? -1 : 1);
const seenAt = (host) => (host.lastSeenAt === null ? 0 : Date.parse(host.lastSeenAt));

/** How hosts may be sorted, as the URL's `sort` names it. @type {Map<string, {word: string, by: (one: Host, other: Host) => number}>} */
export const SORTS = new Map([
  ["name", { word: "Name", by: byName }],
  ["state", { word: "State", by: (one, other) => (RANK.get(stateOf(one)) ?? 9) - (RANK.get(stateOf(other)) ?? 9) }],
  ["queue", { word: "Longest queue", by: (one, other) => other.pendingCount - one.pendingCount }],
  ["seen", { word: "Longest silent", by: (one, other) => seenAt(one) - seenAt(other) }],
  ["new", { word: "Newest", by: (one, other) => (one.id < other.id ? 1 : -1) }],
]);

/**
 * Whether a host is meant by a search: each word is part of its name, its id, its kind or a label.
 * @param {Host} host @param {string} words
 */
export function isMeant(host, words) {
  const labels = Object.entries(host.labels).map(([key, value]) => `${key}=${value}`);
  const text = [host.name, host.id, host.kind, ...labels].join("\n").toLowerCase();
  return words.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

/**
 * The hosts that are shown, in order.
 * @param {Iterable<Host>} hosts @param {{q: string, state: string, sort: string}} wanted
 * @returns {Host[]}
 */
export function arranged(hosts, { q, state, sort }) {
  const only = STATES.find((each) => each.state === state);
  const by = SORTS.get(sort)?.by ?? byName;
  const kept = [...hosts].filter((host) => (!only || only.is(host)) && (q === "" || isMeant(host, q)));
  return kept.sort((one, other) => by(one, other) || byName(one, other));
}

/** How many hosts there are of each state. @param {Iterable<Host>} hosts @returns {Map<string, number>} */
export function counted(hosts) {
  const counts = new Map(STATES.map((each) => [each.state, 0]));
  for (const host of hosts) for (const { state, is } of STATES) if (is(host)) counts.set(state, (counts.get(state) ?? 0) + 1);
  return counts;
}
