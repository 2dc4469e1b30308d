/** Jobs by state, each number a link to those jobs. */

import { h, replace } from "../lib/dom.js";
import { link } from "../lib/router.js";
import { count } from "../lib/ui.js";
import { toneOf } from "../lib/ui/texts.js";

/** @type {{name: string, text: string, note?: string, status: string, query: Record<string, string>}[]} */
const TILES = [
  { name: "pending", text: "Waiting", status: "PENDING", query: { status: "PENDING" } },
  { name: "running", text: "Running", status: "RUNNING", query: { status: "RUNNING" } },
  { name: "completed", text: "Completed", note: "last 24 h", status: "COMPLETED", query: { status: "COMPLETED", since: "24h" } },
  { name: "failed", text: "Failed", note: "last 24 h", status: "FAILED", query: { status: "FAILED", since: "24h" } },
  { name: "cancelled", text: "Cancelled", note: "last 24 h", status: "CANCELLED", query: { status: "CANCELLED", since: "24h" } },
];
const ENDED = { COMPLETED: "completed", FAILED: "failed", CANCELLED: "cancelled" };

/** @param {{id: string}} org */
export function countTiles(org) {
  let counts = {};
  let most = Infinity;
  const tiles = TILES.map(({ name, text, note, status, query }) => {
    const number = h("strong", { class: "ov-number" }, "–");
    const node = h("a", { class: `ov-tile ${toneOf(status)}`, href: `${link(org, "jobs")}?${new URLSearchParams(query)}` }, number, h("span", { class: "ov-tile-name" }, text, note ? h("span", { class: "faint" }, ` ${note}`) : null));
    return { name, number, node };
  });
  const users = h("a", { class: "ov-users", hidden: true, href: `${link(org, "jobs")}?status=RUNNING` });
  const node = h("section", { class: "ov-tiles", "aria-label": "Jobs" }, tiles.map((each) => each.node), users);

  function draw() {
    for (const { name, number } of tiles) {
      const known = counts[name] ?? 0;
      const text = known >= most ? `${count(most)}+` : count(known);
      if (number.textContent !== text) replace(number, text);
    }
    const waiting = counts.waitingForUser ?? 0;
    users.hidden = !waiting;
    replace(users, waiting === 1 ? "1 job waits for its user" : `${count(waiting)} jobs wait for their user`);
  }
  return {
    node,
    draw,
    update(summary) {
      counts = { ...summary.jobs };
      most = summary.countedTo;
      draw();
    },
    /** Between two summaries: what has come and gone for certain. */
    hear(event, data) {
      if (event === "job.created") counts.pending += 1;
      if (event === "job_run.started") [counts.pending, counts.running] = [Math.max(0, counts.pending - 1), counts.running + 1];
      const name = event === "job_run.done" && !data.willRetry ? ENDED[data.jobStatus] : null;
      if (!name) return;
      counts[name] += 1;
      if (data.durationMs !== undefined) counts.running = Math.max(0, counts.running - 1);
    },
  };
}
