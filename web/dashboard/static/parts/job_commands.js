/** The same job as commands for a shell. Pure. */

/**
 * @typedef {{type: string, payload?: Record<string, any>, hostId?: string, serverInstanceId?: string,
 *   labels?: Record<string, string>, runAt?: string, startBefore?: string, timeoutSeconds?: number, maxAttempts?: number,
 *   priority?: number}} NewJob what `POST …/jobs` takes; what is absent is as usual
 */

/**
 * @param {string} server without a slash at its end
 * @param {string} orgId
 * @param {NewJob} job
 */
export function asCurl(server, orgId, job) {
  const lines = [
    `curl -H "Authorization: Bearer $INTERLOCK_TOKEN" -H 'Content-Type: application/json'`,
    `  -d ${quoted(JSON.stringify(job))}`,
    `  ${quoted(`${server}/api/orgs/${orgId}/jobs`)}`,
  ];
  return lines.join(" \\\n");
}

/**
 * @param {string} server without a slash at its end
 * @param {string} orgId
 * @param {NewJob} job
 */
export function asCli(server, orgId, job) {
  const options = /** @type {[string, any][]} */ ([
    ["--url", server],
    ["--org", orgId],
    ["--instance", job.serverInstanceId],
    ["--host", job.hostId],
    ...Object.entries(job.labels ?? {}).map(([name, value]) => ["--label", `${name}=${value}`]),
    ["--payload", job.payload && Object.keys(job.payload).length ? JSON.stringify(job.payload) : undefined],
    ["--run-at", job.runAt],
    ["--start-before", job.startBefore],
    ["--timeout-seconds", job.timeoutSeconds],
    ["--max-attempts", job.maxAttempts],
    ["--priority", job.priority],
  ]);
  const given = options.filter(([, value]) => value !== undefined).map(([name, value]) => `  ${name} ${quoted(String(value))}`);
  return [`interlock jobs create ${quoted(job.type || "TYPE")}`, ...given].join(" \\\n");
}

/**
 * A word for a POSIX shell; what is plain stays as it is.
 * @param {string} text
 */
export function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
