/** The jobs that failed last. While somebody points at the list it stays as it is, and says how many are new. */

import { h, replace } from "../lib/dom.js";
import { link } from "../lib/router.js";
import { count, relTime, table } from "../lib/ui.js";
import { hostLink } from "./host_names.js";
import { whileShown } from "./while_shown.js";

const SHOWN = 10;
const READ = 25; // the API has the latest made first, but these are to be the latest ended
const SOON = 1000; // ms between two looks

/** @param {import("../lib/router.js").Context} ctx */
export function latestFailures(ctx) {
  let held = null; // what will be shown when nobody points at the list any more
  const none = h("p", { class: "ov-calm" }, "No job has failed.");
  const list = table({
    rows: /** @type {import("./job_words.js").Job[]} */ ([]), key: (job) => job.id, onOpen: (job) => link(ctx.org, "jobs", job.id), caption: "Latest failures", none,
    columns: [
      { title: "Job", cell: (job) => h("a", { href: link(ctx.org, "jobs", job.id) }, job.type) },
      { title: "Why", class: "ov-why", cell: (job) => [job.errorCode ? h("code", job.errorCode) : null, " ", h("span", job.errorMessage ?? "")] },
      { title: "Host", cell: (job) => (job.hostId ? hostLink(ctx.org, job.hostId) : h("span", { class: "faint" }, "–")) },
      { title: "When", class: "num", cell: (job) => relTime(job.completedAt) },
    ],
  });
  const pill = h("button", { type: "button", class: "ov-new", hidden: true, on: { click: () => present(held) } });
  const all = h("a", { href: `${link(ctx.org, "jobs")}?status=FAILED` }, "All");
  const node = h("section", { class: "panel ov-failures" }, h("div", { class: "panel-head" }, h("h2", "Latest failures"), pill, all), list);
  let shown = new Set();

  function present(jobs) {
    held = null;
    pill.hidden = true;
    shown = new Set(jobs.map((job) => job.id));
    list.update(jobs);
  }
  async function load() {
    const found = await ctx.api.page(`/api/orgs/${ctx.org.id}/jobs`, { query: { status: "FAILED", limit: READ }, signal: ctx.signal });
    const items = found.items.sort((a, b) => (b.completedAt ?? "").localeCompare(a.completedAt ?? "")).slice(0, SHOWN);
    const fresh = items.filter((job) => !shown.has(job.id)).length;
    if (!shown.size || !fresh || !list.matches(":hover, :focus-within")) return present(items);
    held = items;
    pill.hidden = false;
    replace(pill, fresh === SHOWN ? `${count(SHOWN)} or more new` : `${count(fresh)} new`);
  }
  list.addEventListener("pointerleave", () => held && !list.matches(":focus-within") && present(held));
  /** The rest of the page is shown even if this cannot be. */
  const begin = () => load().catch((error) => {
    if (ctx.signal.aborted) throw error;
    replace(none, `The failures could not be read: ${error.detail ?? error}`);
  });
  return { node, begin, soon: whileShown(ctx, load, SOON).soon };
}
