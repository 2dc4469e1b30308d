/** What a job is called and how it stands, in a few words. Everything here is text; pages put it into text nodes. */

import { now } from "../lib/clock.js";
import { count, duration } from "../lib/ui.js";

/**
 * A run of a job, as the API shows it.
 * @typedef {{id: string, jobId: string, hostId: string|null, attempt: number, status: string, createdAt: string,
 *   availableAt: string|null, offeredAt: string|null, startedAt: string|null, finishedAt: string|null,
 *   result: {durationMs: number|null, errorMessage: string|null, errorCode: string|null, output: unknown}}} JobRun
 */

/**
 * Why a job is not running.
 * @typedef {{reason: string, position: number|null, detail: string, until: string|null}} Wait
 */

/**
 * A job, as the API shows it; only what the pages here look at.
 * @typedef {{id: string, type: string, status: string, progress: number, payload: unknown, output: unknown,
 *   errorCode: string|null, errorMessage: string|null, needsUserAction: boolean, cancelRequested: boolean,
 *   lateReports: {id: string, jobRunId: string, receivedAt: string, body: unknown}[], serverInstanceId: string|null,
 *   hostId: string|null, labels?: Record<string, string>|null, createdBy: {id: string, name: string, email: string}|null,
 *   createdAt: string, runAt: string|null, startedAt: string|null, completedAt: string|null, attempts: number,
 *   maxAttempts: number, priority: number, timeoutSeconds: number|null, startBefore: string|null, wait: Wait|null,
 *   counts: {logs: number, evidence: number}, jobRuns: JobRun[]}} Job
 */

export const STATUSES = ["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"];

const FIELDS = 4; // of a payload, that a title names
const LONGEST = 40; // characters of one value in a title
const ORDINALS = ["First", "Second", "Third", "Fourth", "Fifth", "Sixth", "Seventh", "Eighth", "Ninth", "Tenth"];

/**
 * The job's end has not come.
 * @param {{status: string}} job
 */
export function isOpen(job) {
  return job.status === "PENDING" || job.status === "RUNNING";
}

/**
 * The plain values of a payload on one line, such as `map=de_dust2 slots=12`; empty when there are none.
 * @param {unknown} payload any JSON value
 */
export function payloadSummary(payload) {
  if (payload === null || typeof payload !== "object") return "";
  const parts = [];
  for (const [name, value] of Object.entries(payload)) {
    if (parts.length === FIELDS) break;
    if (value === null || typeof value === "object") continue;
    parts.push(`${cut(name)}=${cut(String(value))}`);
  }
  return parts.join(" ");
}

/**
 * Type and plain values of a job, as people would tell it from its neighbours.
 * @param {{type: string, payload?: unknown}} job
 */
export function jobTitle(job) {
  return [job.type, payloadSummary(job.payload)].filter(Boolean).join(" ");
}

/**
 * `First`, `Second`, … `Tenth`, then `11th`.
 * @param {number} place from 1
 */
export function ordinal(place) {
  if (place <= ORDINALS.length) return ORDINALS[place - 1];
  const teen = place % 100 >= 11 && place % 100 <= 13;
  return place + (teen ? "th" : ({ 1: "st", 2: "nd", 3: "rd" }[place % 10] ?? "th"));
}

/**
 * `1 job`, `2 jobs`, `12,345 jobs`.
 * @param {number} number
 * @param {string} one
 * @param {string} [many]
 */
export function counted(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/**
 * How long since `from`, or between both.
 * @param {string} from RFC 3339
 * @param {string|number|null} [to] RFC 3339 or ms; null: now
 */
export function since(from, to = null) {
  return duration((to === null ? now() : new Date(to).getTime()) - new Date(from).getTime());
}

const EXACT = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

/**
 * A time by the clock and the calendar here.
 * @param {string} at RFC 3339
 */
export function exactTime(at) {
  return EXACT.format(new Date(at));
}

/** @param {string} text */
function cut(text) {
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text;
}
