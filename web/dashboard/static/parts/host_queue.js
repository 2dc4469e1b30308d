/** The line of a host as its actor sees it: what runs, what waits and in which order, what is tried again later. Live. */

import { h, keyed, renew } from "../lib/dom.js";
import { button, idText, relTime } from "../lib/ui.js";
import { link } from "../lib/router.js";
import { may } from "../lib/me.js";
import { since, until } from "./spans.js";

/**
 * A run in the line, as `GET …/queue` shows it.
 * @typedef {{id: string, jobId: string, type: string, attempt: number, status: string, priority: number, createdAt: string,
 *   availableAt: string|null, startedAt: string|null, held: boolean, front: boolean}} LineRun
 */
/**
 * One consistent snapshot.
 * @typedef {{current: LineRun|null, pending: LineRun[], backoff: LineRun[], pendingCount: number}} Line
 */

const RUNS = { offered: "has been offered to its agent", running: "runs", cancelling: "is being stopped", unreachable: "was running when its agent fell silent" };

/**
 * The sections of a host's line.
 * @param {any} ctx as pages get it
 * @param {(op: 'front'|'hold'|'release'|'drop', run: LineRun) => Promise<void>} move asks the host for it and shows the answer
 * @returns {{now: HTMLElement, waiting: HTMLElement, later: HTMLElement, update: (line: Line) => void}}
 */
export function hostQueue(ctx, move) {
  const nowBody = h("div", { class: "now-body" });
  const list = h("ol", { class: "line", "aria-label": "Jobs in line, the next one first" });
  const nobody = h("p", { class: "faint" }, "Nothing waits here.");
  const count = h("span", { class: "count" });
  const more = h("p", { class: "faint", hidden: true });
  const laterList = h("ol", { class: "line", "aria-label": "Jobs that wait for their time" });
  const later = section("Later", "later", laterList);
  let place = new Map();

  function update(line) {
    renew(nowBody, line.current, () => currentOf(ctx.org.id, line.current));
    place = new Map(line.pending.map((run, at) => [run.id, at + 1]));
    show(list, line.pending, (run) => lineRow(ctx, run, move));
    nobody.hidden = line.pending.length > 0;
    const text = line.pendingCount === 0 ? "" : line.pendingCount.toLocaleString();
    if (count.textContent !== text) count.textContent = text;
    const unseen = line.pendingCount - line.pending.length;
    more.hidden = unseen <= 0;
    more.textContent = `and ${unseen.toLocaleString()} more`;
    later.hidden = line.backoff.length === 0;
    show(laterList, line.backoff, (run) => laterRow(ctx, run, move));
  }

  /** Keep the rows that have not changed, with their focus; the place is told by itself. */
  function show(parent, runs, make) {
    keyed(parent, runs, (run) => `${run.id} ${run.held} ${run.front} ${run.priority}`, make, () => {});
    for (const [at, row] of [...parent.children].entries()) {
      const words = parent === list ? `${place.get(runs[at].id)}` : "";
      const shown = row.querySelector(".place");
      if (shown && shown.textContent !== words) shown.textContent = words;
    }
  }

  const waiting = section("Waiting", "waiting", nobody, list, more);
  waiting.querySelector("h2")?.append(" ", count);
  return { now: section("Now", "now", nowBody), waiting, later, update };
}

function section(title, name, ...children) {
  return h("section", { class: `panel panel-${name}`, "aria-label": title }, h("h2", {}, title), children);
}

/** What holds the host's only slot. */
function currentOf(orgId, run) {
  if (run === null) return h("p", { class: "faint" }, "Runs nothing.");
  const job = h("a", { class: "now-type", href: link(orgId, "jobs", run.jobId) }, run.type);
  return [
    h("p", { class: "now-line" }, job, ` ${RUNS[run.status] ?? run.status}`, run.startedAt && run.status === "running" ? [" for ", since(run.startedAt)] : null),
    h("p", { class: "faint facts" }, `attempt ${run.attempt}`, " · job ", idText(run.jobId), run.startedAt ? [" · started ", relTime(run.startedAt)] : null),
  ];
}

function lineRow(ctx, run, move) {
  const marks = [run.front ? h("span", { class: "mark" }, "moved to the front") : null, run.held ? h("span", { class: "mark mark-held" }, "held") : null];
  return h("li", { class: run.held ? "line-row held" : "line-row" },
    h("span", { class: "place", "aria-hidden": "true" }),
    h("span", { class: "line-what" },
      h("a", { href: link(ctx.org.id, "jobs", run.jobId), data: { row: run.jobId } }, run.type), marks,
      h("span", { class: "faint facts" }, run.attempt > 1 ? `attempt ${run.attempt} · ` : null, run.priority === 0 ? null : `priority ${run.priority} · `, "waiting for ", since(run.createdAt))),
    surgery(ctx, run, move));
}

function laterRow(ctx, run, move) {
  return h("li", { class: "line-row" },
    h("span", { class: "line-what" },
      h("a", { href: link(ctx.org.id, "jobs", run.jobId), data: { row: run.jobId } }, run.type), run.held ? h("span", { class: "mark mark-held" }, "held") : null,
      h("span", { class: "faint facts" }, run.attempt > 1 ? `attempt ${run.attempt} starts ` : "starts ", run.availableAt ? until(run.availableAt) : "when it is due")),
    surgery(ctx, run, move, ["hold", "drop"]));
}

/** The buttons that rearrange the line. */
function surgery(ctx, run, move, ops = ["front", "hold", "drop"]) {
  if (!may(ctx.org.role, "operator")) return null;
  const one = (op, text, title, kind = /** @type {"plain" | "danger"} */ ("plain")) => {
    const node = button(text, () => move(op, run), { kind, title });
    node.setAttribute("aria-label", `${text} ${run.type}`);
    return node;
  };
  const all = {
    front: () => (run.front ? null : one("front", "To front", "Move to the front of the line")),
    hold: () => (run.held ? one("release", "Release", "Let it go out again") : one("hold", "Hold", "Hold it back; others overtake it")),
    drop: () => one("drop", "Drop", "Cancel this job", "danger"),
  };
  return h("span", { class: "row-actions" }, ops.map((op) => all[op]()));
}
