/** What goes on in the organization now: counts, rates, the fleet, and what went wrong last. */

import { h, perFrame, replace } from "../lib/dom.js";
import { may } from "../lib/me.js";
import { link } from "../lib/router.js";
import { icon } from "../lib/ui.js";
import { whileShown } from "../parts/while_shown.js";
import { countTiles } from "../parts/count_tiles.js";
import { firstSteps, isNew } from "../parts/first_steps.js";
import { fleetStrip } from "../parts/fleet_strip.js";
import { latestFailures } from "../parts/latest_failures.js";
import { ratePanels } from "../parts/rate_panels.js";
import { troubledHosts } from "../parts/troubled_hosts.js";

const SOON = 2000; // ms between two summaries while something happens: as long as the server keeps one
const ANYWAY = 30_000; // ms after which one is fetched if nothing happens
const UNKNOWN = ""; // as the time of a summary: none has come yet
const JOB_EVENTS = ["job.created", "job_run.started", "job_run.done", "job.updated", "job.cancelled"];
const HOST_EVENTS = ["host.online", "host.offline", "host.updated"];

/** @param {import("../lib/router.js").Context} ctx */
export async function show(ctx) {
  const path = `/api/orgs/${ctx.org.id}`;
  const summary = await ctx.api.get(`${path}/summary`, { signal: ctx.signal });
  const tiles = countTiles(ctx.org);
  const rates = ratePanels();
  const strip = fleetStrip(ctx.org);
  const troubled = troubledHosts(ctx.org);
  const failures = latestFailures(ctx);
  const steps = firstSteps(ctx);
  const parts = [tiles, rates, strip, troubled];
  const all = [tiles.node, rates.node, strip.node, h("div", { class: "ov-columns" }, failures.node, troubled.node)];
  const body = h("div", { class: "overview" });
  const node = h("section", { class: "page" }, head(ctx.org), body);

  const present = (fresh) => {
    const wanted = isNew(fresh) ? [steps.node] : all;
    if (isNew(fresh)) steps.update(fresh);
    if (body.firstChild !== wanted[0]) replace(body, wanted);
    for (const part of parts) part.update(fresh);
  };
  // The server may answer with what it knew before something happened, and for longer than two seconds where it takes long to
  // know it. So when something has happened it is asked until it says something else than it said first.
  let before = /** @type {string | null} */ (null); // when the summary was made that may be older than the news
  const { soon } = whileShown(ctx, look, SOON);
  async function look() {
    const fresh = await ctx.api.get(`${path}/summary`, { signal: ctx.signal });
    present(fresh);
    if (before === null) return;
    if (before === UNKNOWN) before = fresh.at;
    else if (before !== fresh.at) before = null;
    if (before !== null) soon();
  }
  const draw = perFrame(() => [tiles, rates, strip].forEach((part) => part.draw()));
  const off = ctx.live.on([...JOB_EVENTS, ...HOST_EVENTS, "gap"], (event, data) => {
    if (event === "gap") failures.soon();
    tiles.hear(event, data);
    rates.hear(event, data);
    strip.hear(event, data);
    if (event === "job_run.done" && data.jobStatus === "FAILED" && !data.willRetry) failures.soon();
    draw();
    before = UNKNOWN;
    soon();
  });
  const timer = setInterval(() => document.hidden || soon(), ANYWAY);
  present(summary);
  before = summary.at;
  soon();
  await failures.begin();
  return {
    node,
    close() {
      off();
      clearInterval(timer);
    },
  };
}

function head(org) {
  const create = may(org.role, "operator") ? h("a", { class: "button primary", href: link(org, "jobs", "new") }, icon("add"), h("span", "New job")) : null;
  return h("header", { class: "page-head" }, h("h1", org.name), create);
}
