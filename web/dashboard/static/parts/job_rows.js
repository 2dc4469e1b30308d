/** The rows of a list of jobs: made once, and then only the cells change whose words change. */

import { h, keyed, replace } from "../lib/dom.js";
import { link } from "../lib/router.js";
import { badge, duration, relTime } from "../lib/ui.js";
import { hostLink } from "./host_names.js";
import { NEWEST } from "./job_query.js";
import { isOpen, payloadSummary } from "./job_words.js";
import { elapsed, waitShort } from "./wait_words.js";

/** @typedef {import("./job_words.js").Job} Job */

/** What each cell says, as text: when that is the same, the cell stays as it is. */
const SAID = {
  state: (/** @type {Job} */ job) => [job.status],
  job: (/** @type {Job} */ job) => [job.type, job.payload],
  host: (/** @type {Job} */ job) => [job.hostId, job.labels],
  detail: (/** @type {Job} */ job) => [job.status, job.progress, job.wait, job.errorMessage, job.cancelRequested, job.needsUserAction, runOf(job)],
  attempts: (/** @type {Job} */ job) => [job.attempts, job.maxAttempts],
  created: (/** @type {Job} */ job) => [job.createdAt],
  ended: (/** @type {Job} */ job) => [job.completedAt],
  by: (/** @type {Job} */ job) => [job.createdBy],
};
const COLUMNS = { state: "Status", job: "Job", host: "Host", detail: "Now", attempts: "Attempts", created: "Created", ended: "Ended", by: "By" };
/** The columns by which the whole list can be sorted: first in this order, then the other way round. */
const SORTED = /** @type {Record<string, string>} */ ({ state: "status", created: NEWEST, ended: "-completedAt" });

/** A table of jobs, some of them selected. */
export class JobRows {
  /**
   * @param {{id: string}} org
   * @param {{selectable: boolean, selected: Set<string>, onSelect: () => void, open: (jobId: string) => void, sort: (by: string) => void}} told
   */
  constructor(org, { selectable, selected, onSelect, open, sort }) {
    this.org = org;
    this.selected = selected;
    this.selectable = selectable;
    this.body = h("tbody", { role: "rowgroup" }); // the style makes grids of rows, so that some browsers must be told what they are
    /** @type {Map<string, {row: HTMLElement, cells: Record<string, HTMLElement>, said: Record<string, string>}>} */
    this.rows = new Map();
    this.all = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", "aria-label": "Select all jobs on this page" }));
    this.all.addEventListener("change", () => {
      for (const id of this.rows.keys()) this.select(id, this.all.checked);
      onSelect();
    });
    const title = (/** @type {string} */ name, /** @type {string} */ text) => (SORTED[name] ? h("button", { type: "button", class: "jr-sort", title: "Sort the whole list", on: { click: () => sort(this.turned(SORTED[name])) } }, text) : text);
    this.sort = NEWEST;
    this.heads = Object.entries(COLUMNS).map(([name, text]) => h("th", { role: "columnheader", scope: "col", class: `jr-${name}`, data: { name } }, title(name, text)));
    const head = h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, selectable ? h("th", { role: "columnheader", class: "jr-check" }, this.all) : null, this.heads));
    this.node = h("div", { class: "table-box" }, h("table", { role: "table", class: "open job-rows" }, h("caption", { class: "unseen" }, "Jobs"), head, this.body));
    this.body.addEventListener("change", (event) => {
      const row = /** @type {HTMLElement} */ (event.target).closest("tr");
      if (row) this.select(row.dataset.row ?? "", /** @type {HTMLInputElement} */ (event.target).checked);
      onSelect();
    });
    const opens = (/** @type {Event} */ event) => {
      const target = /** @type {Element} */ (event.target);
      const row = /** @type {HTMLElement|null} */ (target.closest("tr[data-row]"));
      if (!row || target.closest("a, button, input, label")) return;
      if (event.type === "click" && String(getSelection())) return;
      open(row.dataset.row ?? "");
    };
    this.body.addEventListener("click", opens);
    this.body.addEventListener("keydown", (event) => event.key === "Enter" && opens(event));
  }

  /**
   * Show these, in this order.
   * @param {Job[]} jobs
   * @param {(job: Job) => boolean} fits false for those that the filter would not find any more
   */
  show(jobs, fits) {
    const kept = new Set(jobs.map(({ id }) => id));
    for (const id of this.rows.keys()) if (!kept.has(id)) this.rows.delete(id);
    keyed(this.body, jobs, ({ id }) => id, (job) => this.make(job));
    for (const job of jobs) this.update(job, fits(job));
    this.showSelection();
  }

  /** The order after a click on a column's head: its own, the other way round, and then the newest first. @param {string} first */
  turned(first) {
    const other = first.startsWith("-") ? first.slice(1) : `-${first}`;
    const next = this.sort === first ? other : this.sort === other ? "" : first;
    return next === NEWEST ? "" : next;
  }

  /** Say which column the list is sorted by. @param {string} asked */
  showSort(asked) {
    const sort = asked || NEWEST;
    this.sort = sort;
    for (const head of this.heads) {
      const by = SORTED[head.dataset.name ?? ""];
      if (by?.replace("-", "") === sort.replace("-", "")) head.setAttribute("aria-sort", sort.startsWith("-") ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
  }

  /** @param {Job} job */
  make(job) {
    const box = h("input", { type: "checkbox", "aria-label": `Select ${job.type} ${job.id.slice(-8)}` });
    const cells = Object.fromEntries(Object.keys(COLUMNS).map((name) => [name, h("td", { role: "cell", class: `jr-${name}` })]));
    const row = h("tr", { role: "row", data: { row: job.id }, tabindex: "0" }, this.selectable ? h("td", { role: "cell", class: "jr-check" }, box) : null, Object.values(cells));
    this.rows.set(job.id, { row, cells, said: {} });
    return row;
  }

  /**
   * @param {Job} job
   * @param {boolean} fits
   */
  update(job, fits) {
    const shown = this.rows.get(job.id);
    if (!shown) return;
    for (const [name, saying] of Object.entries(SAID)) {
      const said = JSON.stringify(saying(job));
      if (shown.said[name] === said) continue;
      shown.said[name] = said;
      replace(shown.cells[name], CELLS[/** @type {keyof typeof CELLS} */ (name)](job, this.org));
    }
    shown.row.classList.toggle("jr-gone", !fits);
    shown.row.title = fits ? "" : "It does not fit the filter any more";
  }

  /**
   * @param {string} id
   * @param {boolean} on
   */
  select(id, on) {
    if (on) this.selected.add(id);
    else this.selected.delete(id);
  }

  showSelection() {
    let here = 0;
    for (const [id, { row }] of this.rows) {
      const box = /** @type {HTMLInputElement|null} */ (row.querySelector(".jr-check input"));
      const on = this.selected.has(id);
      here += Number(on);
      if (box) box.checked = on;
      row.classList.toggle("jr-selected", on);
    }
    this.all.checked = here > 0 && here === this.rows.size;
    this.all.indeterminate = here > 0 && here < this.rows.size;
  }
}

const CELLS = {
  state: (/** @type {Job} */ job) => badge(job.status),
  job: (/** @type {Job} */ job, /** @type {{id: string}} */ org) => [
    h("a", { class: "jr-type", href: link(org, "jobs", job.id), tabindex: "-1" }, job.type),
    " ",
    h("span", { class: "jr-payload" }, payloadSummary(job.payload)),
  ],
  host: (/** @type {Job} */ job, /** @type {{id: string}} */ org) => (job.hostId ? hostLink(org, job.hostId) : h("span", { class: "faint" }, anyHost(job))),
  detail: (/** @type {Job} */ job) => [
    job.needsUserAction ? h("span", { class: "jr-needs" }, "needs you") : null,
    job.cancelRequested && isOpen(job) ? h("span", { class: "jr-note" }, "stopping") : null,
    runOf(job)?.status === "unreachable" ? h("span", { class: "jr-note" }, "unreachable") : null,
    detail(job),
  ],
  attempts: (/** @type {Job} */ job) => (job.maxAttempts > 1 ? `${job.attempts} of ${job.maxAttempts}` : ""),
  created: (/** @type {Job} */ job) => relTime(job.createdAt),
  ended: (/** @type {Job} */ job) => (job.completedAt ? relTime(job.completedAt) : ""),
  by: (/** @type {Job} */ job) => job.createdBy?.name || job.createdBy?.email || "",
};

/** @param {Job} job */
function anyHost(job) {
  const labels = Object.entries(job.labels ?? {}).map(([name, value]) => `${name}=${value}`);
  return labels.length ? labels.join(" ") : "any host";
}

/** @param {Job} job */
function detail(job) {
  const run = runOf(job);
  if (job.status === "PENDING") {
    if (!job.wait) return "";
    const until = job.wait.until && job.wait.reason !== "offered" ? [" · ", relTime(job.wait.until)] : [];
    return h("span", { class: "jr-wait" }, waitShort(job.wait), until);
  }
  if (job.status === "RUNNING") {
    const bar = h("span", { class: "jr-bar", role: "progressbar", "aria-label": "Progress", "aria-valuenow": job.progress, "aria-valuemin": 0, "aria-valuemax": 100 }, h("i", { style: { width: `${job.progress}%` } }));
    return [job.progress ? [bar, ` ${job.progress} % · `] : null, run?.startedAt ? elapsed(run.startedAt) : "has begun"];
  }
  const took = run?.startedAt && run.finishedAt ? new Date(run.finishedAt).getTime() - new Date(run.startedAt).getTime() : null;
  const ended = took === null ? "" : `took ${duration(took)}`;
  if (job.status === "FAILED") return h("span", { class: "jr-error", title: job.errorMessage ?? "" }, job.errorMessage || job.errorCode || ended);
  return ended;
}

/** @param {Job} job */
function runOf(job) {
  return job.jobRuns[job.jobRuns.length - 1];
}
