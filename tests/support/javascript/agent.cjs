// S2's agent as its browser extension has it: Socket.IO's own client, no instance id, answers as events.
// Each event it hears is a line of JSON on stdout. Usage: node agent.cjs URL TOKEN TRANSPORTS
const { io } = require("socket.io-client");

const [url, token, transports] = process.argv.slice(2);
const socket = io(`${url}/agent`, { auth: { token }, transports: transports.split(","), reconnectionDelay: 50, reconnectionDelayMax: 200 });
const agentId = "agent_7";
const say = (event, data) => console.log(JSON.stringify({ event, data: data ?? null }));

socket.on("connect", () => {
  say("connect");
  socket.emit("heartbeat", { agentId });
});
socket.on("connect_error", (error) => say("connect_error", { message: error.message, data: error.data ?? null }));
socket.on("disconnect", (reason) => say("disconnect", { reason }));
socket.onAny((event, data) => say(event, data));

socket.on("job:new", (job) => socket.emit("job:ack", { jobId: job.jobId, agentId }));
socket.on("job:available", (job) => socket.emit("job:ack", { jobId: job.jobId, agentId }));
socket.on("job:ack_success", (job) => {
  if (job.input.wait) return;
  socket.emit("job:progress", { jobId: job.jobId, agentId, progress: 100 / 3, message: "searching" });
  const evidence = [
    { type: "company", title: "Café", source: "google_maps", snippet: "{}", confidence: "high", hash: "mine" },
  ];
  socket.emit("job:evidence", { jobId: job.jobId, agentId, evidence });
  if (job.input.fail) socket.emit("job:error", { jobId: job.jobId, error: "no results", errorCode: "NO_RESULTS" });
  else socket.emit("job:done", { jobId: job.jobId, agentId, output: { found: 1, of: job.input.query } });
});
socket.on("job:cancel", (job) => socket.emit("job:cancelled", { jobId: job.jobId }));

process.stdin.on("data", () => socket.timeout(5000).emit("heartbeat", { agentId, id: 7 }, (late, answer) => {
  say("acknowledged", { answer: late ? null : answer, transport: socket.io.engine.transport.name });
}));
process.stdin.on("end", () => socket.disconnect());
