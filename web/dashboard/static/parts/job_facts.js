/** The quiet parts of a job's page: what was asked for, what came of it, and who did what. */

import { h } from "../lib/dom.js";
import { link } from "../lib/router.js";
import { duration, idText, json, relTime } from "../lib/ui.js";
import { hostLink } from "./host_names.js";
import { exactTime, since } from "./job_words.js";

/** @typedef {import("./job_words.js").Job} Job */

/**
 * @param {{id: string}} org
 * @param {Job} job
 */
export function facts(org, job) {
  const own = job.hostId ? hostLink(org, job.hostId) : labels(job);
  const lines = /** @type {[string, any][]} */ ([
    ["Id", h("span", { class: "mono" }, job.id)],
    ["Host", own],
    ["Server instance", job.serverInstanceId ? h("a", { href: `${link(org, "instances")}?q=${job.serverInstanceId}` }, `…${job.serverInstanceId.slice(-8)}`) : null],
    ["Created", [relTime(job.createdAt), by(job)]],
    ["Not before", job.runAt ? [exactTime(job.runAt), ", ", relTime(job.runAt)] : null],
    ["Start before", job.startBefore ? exactTime(job.startBefore) : null],
    ["Started", job.startedAt ? relTime(job.startedAt) : null],
    ["Ended", job.completedAt ? relTime(job.completedAt) : null],
    ["From start to end", job.startedAt && job.completedAt ? since(job.startedAt, job.completedAt) : null],
    ["Attempts", `${job.attempts} of ${job.maxAttempts}`],
    ["Time for one attempt", job.timeoutSeconds === null ? null : duration(job.timeoutSeconds * 1000)],
    ["Priority", job.priority ? String(job.priority) : null],
  ]);
  const shown = lines.filter(([, value]) => value !== null);
  return h("dl", { class: "job-lines" }, shown.map(([name, value]) => [h("dt", name), h("dd", value)]));
}

/** @param {Job} job */
function labels(job) {
  const pairs = Object.entries(job.labels ?? {});
  if (!pairs.length) return "any host";
  return ["any host with ", h("span", { class: "mono" }, pairs.map(([name, value]) => `${name}=${value}`).join(" "))];
}

/** @param {Job} job */
function by(job) {
  return job.createdBy ? h("span", { class: "faint", title: job.createdBy.email }, ` by ${job.createdBy.name || job.createdBy.email}`) : null;
}

/**
 * Payload, output and late reports.
 * @param {Job} job
 */
export function values(job) {
  const late = job.lateReports.map((report) => h("li", h("p", { class: "faint" }, relTime(report.receivedAt), " of run ", idText(report.jobRunId)), json(report.body)));
  return [
    job.output === null || job.output === undefined ? null : h("section", { class: "panel job-output" }, h("h2", "Output"), json(job.output)),
    h("section", { class: "panel job-payload" }, h("h2", "Payload"), json(job.payload)),
    late.length ? h("section", { class: "panel job-late" }, h("h2", "Late reports"), h("p", { class: "hint" }, "They came after their run had ended, changed nothing, and are kept as they came."), h("ol", late)) : null,
  ];
}

/**
 * @param {any[]} lines of the audit trail
 * @param {Map<string, string>} names of people, as far as they are known, by their ids
 */
export function trail(lines, names) {
  return h("ol", { class: "job-trail" }, lines.map((line) => {
    const detail = line.detail && typeof line.detail === "object" && Object.keys(line.detail).length ? h("code", JSON.stringify(line.detail)) : null;
    const person = names.get(line.actorId);
    const who = person ? `by ${person}` : line.actorId ? [`by ${line.actorKind} `, idText(line.actorId)] : `by ${line.actorKind}`;
    return h("li", h("strong", line.action), " ", h("span", { class: "faint" }, who, " · ", relTime(line.at)), detail);
  }));
}
