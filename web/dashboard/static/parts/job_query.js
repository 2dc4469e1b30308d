/** The filters of a list of jobs: as they stand in the address bar, and as the API is asked. */

import { now } from "../lib/clock.js";
import { STATUSES, jobTitle } from "./job_words.js";

/**
 * All are text, "" where nothing is asked. `sort` is one of `SORTS`; "" is the newest first. `since` is a span back from now (`1h`) or an RFC 3339 time.
 * @typedef {{status: string, type: string, host: string, by: string, since: string, q: string, sort: string, size: number, cursor: string}} JobQuery
 */

export const SIZES = [50, 100, 200, 1000]; // rows of a page
export const NEWEST = "-createdAt"; // how a list stands where no order is asked for

/** The orders that the API knows, by its own names. */
export const SORTS = [
  { value: "", text: "Newest first" },
  { value: "createdAt", text: "Oldest first" },
  { value: "-completedAt", text: "Last ended first" },
  { value: "completedAt", text: "First ended first" },
  { value: "status", text: "By status" },
  { value: "-status", text: "By status, backwards" },
];

const AT_ONCE = 200; // rows that the API gives at once
const LOOKS = 12; // requests for one page: a filter that few jobs fit is looked for part by part
const UNITS = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Spans that are offered. */
export const SINCE = [
  { value: "", text: "Any time" },
  { value: "15m", text: "Last 15 minutes" },
  { value: "1h", text: "Last hour" },
  { value: "24h", text: "Last 24 hours" },
  { value: "7d", text: "Last 7 days" },
  { value: "30d", text: "Last 30 days" },
];

/**
 * @param {URLSearchParams} query
 * @returns {JobQuery}
 */
export function queryFrom(query) {
  const text = (/** @type {string} */ name) => query.get(name) ?? "";
  const status = text("status").toUpperCase();
  const size = Number(text("size"));
  const sort = text("sort");
  return {
    status: STATUSES.includes(status) ? status : "",
    type: text("type"),
    host: text("hostId") || text("host"),
    by: text("createdBy") || text("by"),
    since: text("since"),
    q: text("q"),
    sort: SORTS.some(({ value }) => value === sort) ? sort : "",
    size: SIZES.includes(size) ? size : SIZES[0],
    cursor: text("cursor"),
  };
}

/**
 * As the address bar has it: null for what is as usual.
 * @param {JobQuery} query
 * @returns {Record<string, string|null>}
 */
export function asAddress(query) {
  const { status, type, host, by, since, q, sort, size, cursor } = query;
  const said = { status, type, hostId: host, createdBy: by, since, q, sort, size: size === SIZES[0] ? "" : String(size), cursor };
  return Object.fromEntries([...Object.entries(said), ["host", null], ["by", null]].map(([name, value]) => [name, value || null]));
}

/**
 * The filter as the API's bulk operations take it.
 * @param {JobQuery} query
 * @returns {Record<string, string>}
 */
export function asFilter({ status, type, host, by, since, q }) {
  const said = { status, type, hostId: host, createdBy: by, since: instant(since), q };
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value));
}

/**
 * Nothing is narrowed.
 * @param {JobQuery} query
 */
export function isPlain(query) {
  return !Object.keys(asFilter(query)).length;
}

/**
 * Whether a job of an event belongs into the list, as far as the event says it.
 * @param {JobQuery} query
 * @param {{type: string, hostId: string|null, jobStatus: string}} data
 */
export function mayFit(query, data) {
  if (query.status && data.jobStatus !== query.status) return false;
  if (query.type && data.type !== query.type) return false;
  return !query.host || data.hostId === query.host;
}

/**
 * One page of the list. More than the API gives at once is read part by part; fewer come where few of very many fit, and
 * the cursor leads on.
 * @param {typeof import("../lib/api.js").api} api
 * @param {string} orgId
 * @param {JobQuery} query
 * @param {AbortSignal} signal
 * @returns {Promise<{items: import("./job_words.js").Job[], nextCursor: string|null}>}
 */
export async function readPage(api, orgId, query, signal) {
  const items = [];
  let cursor = query.cursor || null;
  let looks = 0;
  do {
    const limit = Math.min(AT_ONCE, query.size - items.length);
    const page = await api.page(`/api/orgs/${orgId}/jobs`, { query: { ...asFilter(query), sort: query.sort || null, limit, cursor }, signal });
    items.push(...page.items);
    cursor = page.nextCursor;
    looks += 1;
  } while (cursor && items.length < query.size && looks < LOOKS);
  return { items, nextCursor: cursor };
}

const ENTERS = /** @type {Record<string, string>} */ ({ PENDING: "job.created", RUNNING: "job_run.started" }); // what brings a job into a list of that status
const ENDED = ["COMPLETED", "FAILED", "CANCELLED"];

/**
 * Whether an event tells of a job that now stands before those of the first page.
 * @param {JobQuery} query
 * @param {string} event
 * @param {{type: string, hostId: string|null, jobStatus: string}} data
 */
export function belongsAbove(query, event, data) {
  if (!mayFit(query, data) || event === "job.updated") return false;
  const { sort, status } = query;
  const open = status === "PENDING" || status === "RUNNING"; // then no job of the list has ended, and the newest come first
  if (sort === "createdAt" || (sort === "completedAt" && !open)) return false;
  if (sort === "-completedAt" && !open) return ENDED.includes(data.jobStatus);
  if (status) return event === (ENTERS[status] ?? event);
  return sort === "-status" ? data.jobStatus === "CANCELLED" : event === "job.created";
}

/** @param {string} since */
function instant(since) {
  const found = /^(\d{1,4})([mhd])$/.exec(since);
  if (!found) return since;
  return new Date(now() - Number(found[1]) * UNITS[/** @type {"m"|"h"|"d"} */ (found[2])]).toISOString();
}
