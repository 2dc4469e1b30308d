/** From the times of a run to the pieces of its bar, and from times to places on a common axis. Pure. */

/** @typedef {import("./job_words.js").JobRun} JobRun */

/**
 * A piece of a run's time, in ms since 1970. `open`: it still goes on.
 * @typedef {{kind: "scheduled"|"backoff"|"waiting"|"offered"|"running", from: number, to: number, open: boolean}} Segment
 */

const IDLE = 0.25; // of all other time, that a pause between runs may take on the axis at most
const LEAST = 40_000; // ms that this is a part of at least: the usual backoff of seconds is drawn to scale

/**
 * The pieces of one run, in order; each kind once at most.
 * @param {JobRun} run
 * @param {JobRun|null} before the attempt before it
 * @param {number} now ms since 1970
 * @returns {Segment[]}
 */
export function segmentsOf(run, before, now) {
  const ended = ms(run.finishedAt);
  const end = ended ?? Math.max(now, ms(run.createdAt) ?? now);
  const steps = [
    [before ? "backoff" : "scheduled", ms(run.createdAt)],
    ["waiting", ms(run.availableAt) ?? ms(run.createdAt)],
    ["offered", ms(run.offeredAt)],
    ["running", ms(run.startedAt)],
  ].filter(([, at]) => at !== null);
  const segments = [];
  for (let place = 0; place < steps.length; place += 1) {
    const [kind, at] = steps[place];
    const from = Math.min(/** @type {number} */ (at), end);
    const to = Math.min(Math.max(/** @type {number} */ (steps[place + 1]?.[1] ?? end), from), end);
    const last = place === steps.length - 1 || /** @type {number} */ (steps[place + 1][1]) > end;
    if (to > from || (last && kind === "running")) segments.push({ kind, from, to, open: last && ended === null });
    if (last) break;
  }
  return /** @type {Segment[]} */ (segments);
}

/**
 * Where a time stands between 0 and 1. Time in which nothing waits in line or runs is shortened where it is long.
 * @param {Segment[]} segments of all runs
 * @returns {{at: (ms: number) => number, shortened: boolean}}
 */
export function axisOf(segments) {
  const edges = [...new Set(segments.flatMap(({ from, to }) => [from, to]))].sort((a, b) => a - b);
  const busy = segments.filter(({ kind }) => kind !== "scheduled" && kind !== "backoff");
  const pieces = edges.slice(1).map((to, place) => {
    const from = edges[place];
    return { from, to, busy: busy.some((segment) => segment.from <= from && segment.to >= to) };
  });
  const work = pieces.reduce((sum, piece) => sum + (piece.busy ? piece.to - piece.from : 0), 0);
  const most = Math.max(work, LEAST) * IDLE;
  const wide = pieces.map(({ from, to, busy: full }) => (full ? to - from : Math.min(to - from, most)));
  const total = wide.reduce((sum, one) => sum + one, 0) || 1;
  const starts = wide.reduce((found, one) => [...found, /** @type {number} */ (found.at(-1)) + one], [0]);
  return {
    shortened: pieces.some((piece, place) => wide[place] < piece.to - piece.from),
    at: (time) => {
      const place = pieces.findIndex(({ from, to }) => time >= from && time <= to);
      if (place < 0) return time < (edges[0] ?? 0) ? 0 : 1;
      const { from, to } = pieces[place];
      return (starts[place] + ((time - from) / (to - from)) * wide[place]) / total;
    },
  };
}

/** @param {string|null} at RFC 3339 */
function ms(at) {
  return at === null ? null : new Date(at).getTime();
}
