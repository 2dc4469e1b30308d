/** Why a job is not running, in words with links: the first question that users ask. */

import { now } from "../lib/clock.js";
import { h } from "../lib/dom.js";
import { link } from "../lib/router.js";
import { relTime } from "../lib/ui.js";
import { counted, exactTime, jobTitle, ordinal, since } from "./job_words.js";

/** @typedef {import("./job_words.js").Job} Job */
/** @typedef {import("./job_words.js").Wait} Wait */

/**
 * What is known of the place where the job waits.
 * @typedef {{orgId: string, host: any|null, queue: any|null, current: Job|null}} Place
 *   `host` and `queue` as the API shows them; `current`: the job that the host runs now
 */

const AHEAD = 5; // jobs before it that are named

/** A few words for a row of a list, by reason. */
const SHORT = {
  behind: "in line",
  host_busy: "host is busy",
  host_offline: "host is offline",
  host_paused: "host is paused",
  host_unhealthy: "host is unhealthy",
  host_draining: "host is draining",
  awaiting_idle: "host has yet to say it is idle",
  scheduled: "not due yet",
  backoff: "waits to try again",
  held: "held back",
  no_matching_host: "no host carries its labels",
  offered: "offered to the agent",
};

/**
 * A few words for a row of a list.
 * @param {Wait} wait
 */
export function waitShort(wait) {
  return SHORT[/** @type {keyof typeof SHORT} */ (wait.reason)] ?? wait.reason;
}

/**
 * One or two sentences.
 * @param {Job} job one that waits
 * @param {Place} place
 * @returns {(Node|string)[]}
 */
export function waitWords(job, place) {
  const wait = /** @type {Wait} */ (job.wait);
  const words = WORDS[wait.reason];
  return words ? words(job, wait, place).filter((part) => part !== "") : [sentence(wait.detail || wait.reason)];
}

/** @type {Record<string, (job: Job, wait: Wait, place: Place) => (Node|string)[]>} */
const WORDS = {
  behind: inLine,
  host_busy: inLine,
  host_offline: (job, wait, place) => {
    if (!job.hostId) return pooled(wait);
    const seen = place.host?.lastSeenAt;
    const when = seen ? [" is offline. It was last seen ", relTime(seen), "."] : [" has never connected."];
    return ["Its host ", host(job, place), ...when, inPlace(wait, " once the host is back")];
  },
  host_paused: (job, wait, place) => {
    const note = place.host?.note;
    const until = wait.until ? [", until ", relTime(wait.until)] : [];
    return ["Its host ", host(job, place), " is paused", ...until, note ? `: “${note}”.` : ".", inPlace(wait, " then")];
  },
  host_unhealthy: (job, wait, place) => {
    const why = wait.detail.includes(":") ? wait.detail.slice(wait.detail.indexOf(":") + 1).trim() : wait.detail;
    return ["Nothing is offered to its host ", host(job, place), `, which is unhealthy: ${sentence(why)}`, inPlace(wait, " then")];
  },
  host_draining: (job, wait, place) => {
    const until = place.host?.drainUntil;
    const ends = until ? [" What runs there may run until ", relTime(until), "."] : [];
    return ["Its host ", host(job, place), " is being drained and takes nothing new.", ...ends, inPlace(wait, " once the drain ends")];
  },
  awaiting_idle: (job, wait, place) => [
    "The server ended a run on ", host(job, place), ", and the agent there has yet to say that nothing runs any more.", inPlace(wait, " then"),
  ],
  scheduled: (job, wait) => ["It is not due yet: it may start ", due(wait), wait.until ? `, at ${exactTime(wait.until)}` : "", ".", startBefore(job)],
  backoff: (job, wait) => {
    const last = job.jobRuns.length > 1 ? job.jobRuns[job.jobRuns.length - 2] : null;
    const why = last?.result.errorMessage ? ` The last one ${outcome(last.status)}: ${sentence(last.result.errorMessage)}` : "";
    const next = job.jobRuns[job.jobRuns.length - 1]?.attempt ?? job.attempts + 1;
    return [`Attempt ${next} of ${job.maxAttempts} starts `, due(wait), ".", why];
  },
  held: (job, wait, place) => {
    if (!wait.until) return ["It is held back on ", host(job, place), ", until somebody releases it."];
    return [`${sentence(wait.detail)} That is due `, relTime(wait.until), "."];
  },
  no_matching_host: (_job, wait) => [sentence(wait.detail), " It waits until one does."],
  offered: (job, wait, place) => [
    "It has been offered to the agent on ", host(job, place), ", which has not accepted it yet",
    ...(wait.until ? ["; the offer ends ", relTime(wait.until)] : []), ".",
  ],
};

/**
 * The line of its host, as far as the job's place in it.
 * @param {Job} job
 * @param {Wait} wait
 * @param {Place} place
 */
function inLine(job, wait, place) {
  if (!job.hostId) return pooled(wait);
  const first = wait.position === 1 ? "Next in line" : wait.position ? `${ordinal(wait.position)} in line` : "In line";
  const before = wait.position === null || wait.position > 1;
  const current = place.current;
  if (!current) {
    const goes = before ? "." : ": it goes out with the next poll.";
    return [`${first} on host `, host(job, place), goes];
  }
  const started = current.jobRuns[current.jobRuns.length - 1]?.startedAt;
  const runs = started ? [", which has run for ", elapsed(started), "."] : [", which has been offered to its agent."];
  return [`${first}, behind `, jobLink(place.orgId, current), " on host ", host(job, place), ...runs];
}

/** @param {Wait} wait */
function pooled(wait) {
  const at = wait.position ? ` ${ordinal(wait.position)} of those that want the same labels.` : "";
  return [sentence(wait.detail), at];
}

/**
 * @param {Wait} wait
 * @param {string} then
 */
function inPlace(wait, then) {
  if (!wait.position) return "";
  return wait.position === 1 ? ` It is next${then}.` : ` It is ${ordinal(wait.position).toLowerCase()} in line${then}.`;
}

/**
 * The jobs that go before it on its host, the next one first; null when there are none, or nobody knows.
 * @param {Job} job
 * @param {Place} place
 */
export function aheadOf(job, place) {
  const pending = place.queue?.pending ?? [];
  const at = pending.findIndex((/** @type {any} */ run) => run.jobId === job.id);
  const ahead = at < 0 ? [] : pending.slice(0, at);
  if (!ahead.length) return null;
  const shown = ahead.slice(0, AHEAD).map((/** @type {any} */ run) =>
    h("li", null, h("a", { href: link(place.orgId, "jobs", run.jobId) }, run.type), priority(run), run.held ? " (held back)" : ""),
  );
  const more = ahead.length > AHEAD ? h("li", { class: "quiet" }, `and ${counted(ahead.length - AHEAD, "more job")}`) : null;
  return h("details", { class: "ahead" }, h("summary", null, `${counted(ahead.length, "job")} ahead of it`), h("ol", null, ...shown, more));
}

/** @param {any} run */
function priority(run) {
  return run.priority ? ` (priority ${run.priority})` : "";
}

/**
 * @param {Job} job
 * @param {Place} place
 */
function host(job, place) {
  if (!job.hostId) return "its host";
  return h("a", { href: link(place.orgId, "hosts", job.hostId) }, place.host?.name ?? `…${job.hostId.slice(-8)}`);
}

/**
 * @param {string} orgId
 * @param {Job} job
 */
function jobLink(orgId, job) {
  return h("a", { href: link(orgId, "jobs", job.id) }, jobTitle(job));
}

/**
 * A span that pages keep fresh by `refreshElapsed`.
 * @param {string} from
 */
export function elapsed(from) {
  return h("span", { class: "elapsed", data: { from } }, since(from));
}

/**
 * Bring all spans of a part of the page up to now.
 * @param {ParentNode} root
 */
export function refreshElapsed(root) {
  for (const span of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll(".elapsed[data-from]"))) {
    const now = since(span.dataset.from ?? "");
    if (span.textContent !== now) span.textContent = now;
  }
}

/** @param {Wait} wait */
function due(wait) {
  if (!wait.until) return "when its time comes";
  return new Date(wait.until).getTime() <= now() ? "any moment now" : relTime(wait.until);
}

/** @param {Job} job */
function startBefore(job) {
  return job.startBefore ? ` If it has not started by ${exactTime(job.startBefore)}, it is not started any more.` : "";
}

/** @param {string} status */
function outcome(status) {
  return { timed_out: "ran out of time", lost: "was lost", failed: "failed" }[status] ?? "ended";
}

/** @param {string} text */
function sentence(text) {
  return /[.!?…]$/.test(text.trim()) ? text.trim() : `${text.trim()}.`;
}
