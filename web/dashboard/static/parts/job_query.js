/** The filters of a list of jobs: as they stand in the address bar, and as the API is asked. */

import { now } from "../lib/clock.js";
import { STATUSES, jobTitle } from "./job_words.js";

/**
 * All are text, "" where nothing is asked. `sort` is a column of the rows of this page, `-` before it turns it round. `since` is a span back from now (`1h`) or an RFC 3339 time.
 * @typedef {{status: string, type: string, host: string, by: string, since: string, q: string, sort: string, size: number, cursor: string}} JobQuery
 */

export const SIZES = [50, 100, 200, 1000]; // rows of a page
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
  return {
    status: STATUSES.includes(status) ? status : "",
    type: text("type"),
    host: text("hostId") || text("host"),
    by: text("createdBy") || text("by"),
    since: text("since"),
    q: text("q"),
    sort: text("sort"),
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
    const page = await api.page(`/api/orgs/${orgId}/jobs`, { query: { ...asFilter(query), limit, cursor }, signal });
    items.push(...page.items);
    cursor = page.nextCursor;
    looks += 1;
  } while (cursor && items.length < query.size && looks < LOOKS);
  return { items, nextCursor: cursor };
}

/** What a row is sorted by, for each column that can be. */
const KEYS = /** @type {Record<string, (job: import("./job_words.js").Job, hostName: (id: string) => string) => string|number>} */ ({
  state: (job) => STATUSES.indexOf(job.status),
  job: (job) => jobTitle(job).toLowerCase(),
  host: (job, hostName) => (job.hostId ? hostName(job.hostId).toLowerCase() : ""),
  attempts: (job) => job.attempts,
  created: (job) => job.createdAt,
  by: (job) => (job.createdBy?.name ?? "").toLowerCase(),
});

/** The columns that can be sorted by. */
export const SORTED = Object.keys(KEYS);

/**
 * The rows of a page in another order; the server's, newest first, where none is asked for.
 * @param {import("./job_words.js").Job[]} jobs
 * @param {string} sort
 * @param {(id: string) => string} hostName
 */
export function inOrder(jobs, sort, hostName) {
  const key = KEYS[sort.replace("-", "")];
  if (!key) return jobs;
  const sign = sort.startsWith("-") ? -1 : 1;
  const keyed = jobs.map((job) => ({ job, by: key(job, hostName) }));
  return keyed.sort((a, b) => sign * (a.by < b.by ? -1 : a.by > b.by ? 1 : 0)).map(({ job }) => job);
}

/** @param {string} since */
function instant(since) {
  const found = /^(\d{1,4})([mhd])$/.exec(since);
  if (!found) return since;
  return new Date(now() - Number(found[1]) * UNITS[/** @type {"m"|"h"|"d"} */ (found[2])]).toISOString();
}
