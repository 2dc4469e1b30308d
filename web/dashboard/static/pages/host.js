/** One host: what it does now, its line and how to rearrange it, its agent and keys, its instances and its jobs. Live. */

import { h, renew } from "../lib/dom.js";
import { may } from "../lib/me.js";
import { link } from "../lib/router.js";
import { button, confirm, copyBox, menu, toast } from "../lib/ui.js";
import { agentNeeds, startCommand } from "../parts/connect_agent.js";
import { deleteHost, drainHost, editHost, pauseHost, resumeHost, undrainHost } from "../parts/host_changes.js";
import { hostFacts } from "../parts/host_facts.js";
import { hostHistory } from "../parts/host_history.js";
import { hostInstances } from "../parts/host_instances.js";
import { hostKeys } from "../parts/host_keys.js";
import { hostNotices } from "../parts/host_notices.js";
import { hostQueue } from "../parts/host_queue.js";
import { badgesOf } from "../parts/host_words.js";
import { whileShown } from "../parts/while_shown.js";

const LOOK_MS = 250; // after an event; more of them together are one look
const HISTORY_MS = 1000;
const HOST_EVENTS = ["host.online", "host.offline", "host.updated"];
const JOB_EVENTS = ["job.created", "job_run.started", "job_run.done", "job.cancelled", "job.updated"];

/** @param {import("../lib/router.js").Context} ctx */
export async function show(ctx) {
  const { hostId } = ctx.params;
  const path = `/api/orgs/${ctx.org.id}/hosts/${encodeURIComponent(hostId)}`;
  const admin = may(ctx.org.role, "admin");
  let host = await ctx.api.get(path, { signal: ctx.signal });
  let line = null;

  const head = hostHead(ctx, act);
  const notices = hostNotices();
  const facts = hostFacts();
  const queue = hostQueue(ctx, move);
  const history = hostHistory(ctx, host.id);
  const instances = hostInstances(ctx, host.id, () => look.soon());
  const keys = admin ? hostKeys(ctx, host.id) : null;

  function update() {
    ctx.title(host.name);
    head.update(host);
    notices.update(host, line);
    facts.update(host, line);
    connect.hidden = host.presence === "online";
    if (line) queue.update(line);
  }

  async function read() {
    [host, line] = await Promise.all([ctx.api.get(path, { signal: ctx.signal }), ctx.api.get(`${path}/queue`, { signal: ctx.signal })]);
    update();
  }

  /** The same later on, when somebody else may have deleted it. */
  async function readAgain() {
    try {
      await read();
    } catch (problem) {
      if (problem.status !== 404) throw problem;
      toast(`${host.name} is gone: somebody has deleted it`);
      await ctx.go(link(ctx.org.id, "hosts"), { replace: true });
    }
  }

  /** One of the buttons of the head. */
  async function act(change) {
    const changed = await change(ctx, host);
    if (changed === undefined || changed === false) return;
    if (changed === true) return void ctx.go(link(ctx.org.id, "hosts"));
    host = changed;
    update();
    look.soon();
  }

  async function move(op, run) {
    const text = `${run.type} is cancelled; it can be retried later.`;
    if (op === "drop" && !(await confirm({ title: "Drop this job?", text, verb: "Drop it", danger: true }))) return;
    line = await ctx.api.post(`${path}/queue`, { op, jobId: run.jobId });
    update();
    if (op === "drop") toast("The job is cancelled");
  }

  const connect = connectPanel(keys !== null);
  const look = whileShown(ctx, readAgain, LOOK_MS);
  const lookBack = whileShown(ctx, history.load, HISTORY_MS);
  const heard = (event, data) => {
    if (data.hostId !== host.id && event !== "gap") return;
    look.soon();
    if (event !== "job.updated" && !HOST_EVENTS.includes(event)) lookBack.soon();
  };
  const off = ctx.live.on([...HOST_EVENTS, ...JOB_EVENTS, "gap"], heard);
  ctx.signal.addEventListener("abort", off);

  await Promise.all([read(), history.load(), instances.load(), keys?.load()]);
  const node = h("section", { class: "page fleet host" }, head.node, notices.node,
    h("div", { class: "host-columns" },
      h("div", { class: "column" }, queue.now, queue.waiting, queue.later, instances.node),
      h("div", { class: "column" }, connect, facts.node, keys?.node)),
    history.node);
  return { node };
}

function hostHead(ctx, act) {
  const title = h("h1", {});
  const badges = h("span", { class: "chips" });
  const actions = h("div", { class: "actions" });
  const create = h("a", { class: "button", href: `${link(ctx.org.id, "jobs", "new")}?hostId=${ctx.params.hostId}` }, h("span", "New job"));
  const update = (host) => {
    if (title.textContent !== host.name) title.textContent = host.name;
    renew(badges, [host.paused, host.draining, host.health, host.presence, host.currentJobRunId === null], () => badgesOf(host));
    renew(actions, [host.paused, host.draining], () => [may(ctx.org.role, "operator") ? create : null, may(ctx.org.role, "admin") ? buttons(host, act) : null]);
  };
  const back = h("a", { href: link(ctx.org.id, "hosts") }, "Hosts");
  return { node: h("header", { class: "page-head" }, h("div", { class: "head-words" }, h("p", { class: "crumbs" }, back), h("div", { class: "head-line" }, title, badges)), actions), update };
}

function buttons(host, act) {
  return [
    host.paused ? button("Resume", () => act(resumeHost), { icon: "play", kind: "primary" }) : button("Pause", () => act(pauseHost), { icon: "pause" }),
    host.draining ? button("End the drain", () => act(undrainHost)) : button("Drain", () => act(drainHost)),
    button("Edit", () => act(editHost)),
    menu("", [{ text: "Its audit trail", href: `${link(host.orgId, "audit")}?targetId=${host.id}` }, { text: "Delete the host…", danger: true, onclick: () => act(deleteHost) }], { label: "More" }),
  ];
}

/** How its agent comes here, while it is not here. */
function connectPanel(canIssue) {
  const from = canIssue ? "Issue a key below, then on the machine:" : "An admin issues a key for it; then on the machine:";
  return h("section", { class: "panel panel-connect", "aria-label": "Connect its agent" }, h("h2", {}, "Connect its agent"), h("p", {}, from), copyBox(startCommand("…")), agentNeeds());
}
