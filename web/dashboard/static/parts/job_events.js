/** What an event makes of a job that is on the screen, without asking the server again. Pure. */

/** @typedef {import("./job_words.js").Job} Job */

/** The events that tell of a job. */
export const JOB_EVENTS = ["job.created", "job_run.started", "job_run.done", "job.updated", "job.cancelled"];

/**
 * The job as it is after the event; what the event does not say stays. `stale`: more has changed than it says.
 * @param {Job} job
 * @param {string} event
 * @param {any} data
 * @param {string} at RFC 3339
 * @returns {{job: Job, stale: boolean}}
 */
export function after(job, event, data, at) {
  const last = job.jobRuns[job.jobRuns.length - 1];
  const same = last?.id === data.jobRunId;
  if (last && !same && data.attempt < last.attempt) return { job, stale: true };
  const run = runAfter(same ? last : newRun(job, data, at), event, data, at);
  const fresh = {
    ...job,
    status: data.jobStatus,
    hostId: data.hostId ?? job.hostId,
    attempts: Math.max(job.attempts, event === "job.created" ? 0 : data.attempt),
    progress: data.progress ?? (data.jobStatus === "COMPLETED" ? 100 : job.progress),
    needsUserAction: data.jobStatus === "RUNNING" ? (data.needsUserAction ?? job.needsUserAction) : false,
    errorMessage: data.jobStatus === "FAILED" ? (data.errorMessage ?? job.errorMessage) : null,
    errorCode: data.jobStatus === "FAILED" ? (data.errorCode ?? job.errorCode) : null,
    startedAt: run.startedAt ?? job.startedAt,
    completedAt: ["COMPLETED", "FAILED", "CANCELLED"].includes(data.jobStatus) ? (job.completedAt ?? at) : null,
    wait: waitAfter(job, data),
    jobRuns: same ? [...job.jobRuns.slice(0, -1), run] : [...job.jobRuns, run],
  };
  return { job: fresh, stale: data.jobStatus === "PENDING" };
}

/**
 * @param {Job} job
 * @param {any} data
 */
function waitAfter(job, data) {
  if (data.jobStatus !== "PENDING") return null;
  if (data.willRetry) return { reason: "backoff", position: null, detail: "", until: null };
  return job.wait ?? { reason: "behind", position: null, detail: "", until: null };
}

/**
 * @param {Job} job
 * @param {any} data
 * @param {string} at
 * @returns {import("./job_words.js").JobRun}
 */
function newRun(job, data, at) {
  const result = { durationMs: null, errorMessage: null, errorCode: null, output: null };
  return { id: data.jobRunId, jobId: job.id, hostId: data.hostId, attempt: data.attempt, status: data.status, createdAt: at, availableAt: at, offeredAt: null, startedAt: null, finishedAt: null, result };
}

/**
 * @param {import("./job_words.js").JobRun} run
 * @param {string} event
 * @param {any} data
 * @param {string} at
 */
function runAfter(run, event, data, at) {
  const ended = event === "job_run.done" || (event === "job.cancelled" && data.status === "cancelled");
  return {
    ...run,
    status: data.status,
    hostId: data.hostId ?? run.hostId,
    startedAt: event === "job_run.started" ? (run.startedAt ?? at) : run.startedAt,
    finishedAt: ended ? (run.finishedAt ?? at) : run.finishedAt,
    result: { ...run.result, durationMs: data.durationMs ?? run.result.durationMs, errorMessage: data.errorMessage ?? run.result.errorMessage },
  };
}
