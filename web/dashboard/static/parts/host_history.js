/** The jobs of a host, newest first, page by page; the first page is kept fresh. */

import { h } from "../lib/dom.js";
import { badge, button, duration, relTime, table } from "../lib/ui.js";
import { link } from "../lib/router.js";
import { fullPage } from "./all_pages.js";

const PAGE = 20;
const MOST = 1000; // jobs; a host that goes on and on begins again with its first page

/**
 * The section of a host's jobs.
 * @param {any} ctx as pages get it @param {string} hostId
 * @returns {{node: HTMLElement, load: () => Promise<void>}}
 */
export function hostHistory(ctx, hostId) {
  const path = `/api/orgs/${ctx.org.id}/jobs`;
  let jobs = [];
  let cursor = null;
  const shown = table({
    caption: "Jobs of this host, newest first", rows: /** @type {import("./job_words.js").Job[]} */ ([]), key: (job) => job.id, onOpen: (job) => link(ctx.org.id, "jobs", job.id), none: h("p", { class: "faint" }, "No job was ever for this host."),
    columns: [
      { title: "Job", cell: (job) => h("a", { href: link(ctx.org.id, "jobs", job.id) }, job.type) },
      { title: "State", cell: (job) => badge(job.status) },
      { title: "Came to", class: "wide", cell: (job) => job.errorMessage ?? job.errorCode ?? "" },
      { title: "Attempts", class: "num", cell: (job) => job.attempts },
      { title: "Took", class: "num", cell: (job) => (job.startedAt && job.completedAt ? duration(Date.parse(job.completedAt) - Date.parse(job.startedAt)) : "") },
      { title: "Created", cell: (job) => relTime(job.createdAt) },
    ],
  });
  const more = h("div", { class: "pager", hidden: true }, button("More", next));
  const all = h("a", { class: "faint", href: `${link(ctx.org.id, "jobs")}?hostId=${encodeURIComponent(hostId)}` }, "Open in jobs");
  const node = h("section", { class: "panel panel-history", "aria-label": "Jobs" }, h("div", { class: "panel-head" }, h("h2", {}, "Jobs"), all), shown, more);

  const ask = (after) => fullPage(ctx.api, path, { query: { hostId, limit: PAGE, cursor: after }, signal: ctx.signal });

  async function load() {
    const page = await ask(null);
    const known = new Set(page.items.map((job) => job.id));
    const joined = jobs.length > PAGE && jobs.length < MOST && jobs.some((job) => known.has(job.id)); // else there may be others between them
    if (!joined) cursor = page.nextCursor;
    jobs = joined ? [...page.items, ...jobs.filter((job) => !known.has(job.id))] : page.items;
    show();
  }

  async function next() {
    const page = await ask(cursor);
    cursor = page.nextCursor;
    jobs = [...jobs, ...page.items];
    show();
  }

  function show() {
    shown.update(jobs);
    more.hidden = cursor === null;
  }
  return { node, load };
}
