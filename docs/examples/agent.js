// An agent in JavaScript, over Socket.IO, with `npm install socket.io-client`:
//   INTERLOCK_URL=http://127.0.0.1:8080 INTERLOCK_AGENT_KEY=… node agent.js
// The same events go over a plain WebSocket at /agent. The server offers a job, the agent acks it, and only then does it run.
const { randomUUID } = require("node:crypto");
const { io } = require("socket.io-client");

const instanceId = randomUUID(); // of this process: the server then knows what an older one has left behind
const runs = new Map(); // jobId → AbortController of what runs now

const socket = io(`${process.env.INTERLOCK_URL}/agent`, {
  transports: ["websocket"],
  // Asked afresh at each connection: what runs now is not lost, what does not is.
  auth: (reply) => reply({ token: process.env.INTERLOCK_AGENT_KEY, instanceId, running: [...runs.values()].map((run) => run.id) }),
});

socket.on("connect", () => console.error("connected"));
socket.on("connect_error", ({ message, data }) => console.error("cannot connect:", data?.code ?? message));
socket.on("error", ({ code, message, event }) => console.error("refused:", event, code, message));

socket.on("job:new", ({ jobId }) => socket.emit("job:ack", { jobId }));
socket.on("job:available", ({ jobId }) => socket.emit("job:ack", { jobId })); // the first of all idle agents gets it
socket.on("job:cancel", ({ jobId }) => runs.get(jobId)?.abort());

socket.on("job:ack_success", async ({ jobId, jobRunId, type, payload }) => {
  const known = runs.get(jobId);
  if (known?.id === jobRunId) return; // handed out again: it runs already
  const run = Object.assign(new AbortController(), { id: jobRunId });
  runs.set(jobId, run);
  try {
    const output = await work(type, payload, run.signal, (progress, message) =>
      socket.emit("job:progress", { jobId, jobRunId, progress, message }),
    );
    await surely("job:done", { jobId, jobRunId, output });
  } catch (error) {
    if (run.signal.aborted) await surely("job:cancelled", { jobId, jobRunId });
    else await surely("job:error", { jobId, jobRunId, error: String(error?.message ?? error) });
  } finally {
    runs.delete(jobId);
  }
});

// Says it until it is answered: through a lost connection, and a restart of the server.
async function surely(event, data) {
  for (;;) {
    try {
      return await socket.timeout(10_000).emitWithAck(event, data);
    } catch {
      await new Promise((done) => setTimeout(done, 1_000));
    }
  }
}

setInterval(() => socket.emit("heartbeat", { instanceId, running: [...runs.values()].map((run) => run.id) }), 15_000);

// The work itself. It throws when it fails, and ends early when `signal` says so.
async function work(type, payload, signal, progress) {
  for (let step = 0; step < 3; step++) {
    signal.throwIfAborted();
    progress((100 * step) / 3, `step ${step + 1} of 3`);
    await new Promise((done) => setTimeout(done, payload.milliseconds ?? 100));
  }
  if (payload.fail) throw new Error("it was asked to fail");
  return { done: type, found: Object.keys(payload).length };
}
