// S1's dashboard: each event of its org is a line of JSON on stdout. Usage: node dashboard.cjs URL TOKEN ORG [AFTER]
const { io } = require("socket.io-client");

const [url, token, orgId, after] = process.argv.slice(2);
const socket = io(url, { auth: after === undefined ? { token, orgId } : { token, orgId, after: Number(after) } });
const say = (event, data) => console.log(JSON.stringify({ event, data: data ?? null }));

socket.on("connect", () => say("connect"));
socket.on("connect_error", (error) => say("connect_error", { message: error.message, data: error.data ?? null }));
socket.on("disconnect", (reason) => say("disconnect", { reason }));
for (const event of ["job.created", "job_run.started", "job_run.done"]) {
  socket.on(event, ({ jobId, jobRunId, status, seq, at }) => say(event, { jobId, jobRunId, status, seq, at }));
}
process.stdin.resume().on("end", () => socket.disconnect());
