/** The list of jobs: narrowed, live, and with many changed at once. Behind it may be millions; one page of them is here. */

import { h, perFrame, replace } from "../lib/dom.js";
import { may } from "../lib/me.js";
import { link } from "../lib/router.js";
import { button, empty, icon } from "../lib/ui.js";
import { JobBulk } from "../parts/job_bulk.js";
import { JOB_EVENTS, after } from "../parts/job_events.js";
import { JobFilters } from "../parts/job_filters.js";
import { asAddress, asFilter, belongsAbove, isPlain, mayFit, queryFrom, readPage } from "../parts/job_query.js";
import { JobRows } from "../parts/job_rows.js";
import { counted } from "../parts/job_words.js";
import { refreshElapsed } from "../parts/wait_words.js";

const TICK = 1000; // ms between looks at what runs
const RENEW = 10_000; // ms between readings of a page of which events have said too little
const MOST_FRESH = 2000; // that are kept count of; above 999 their number is not told

/** @param {import("../lib/router.js").Context} ctx */
export async function show(ctx) {
  const page = new JobsPage(ctx);
  await page.load();
  return { node: page.node, close: () => page.close(), keys: page.keys() };
}

class JobsPage {
  /** @param {import("../lib/router.js").Context} ctx */
  constructor(ctx) {
    this.ctx = ctx;
    this.org = /** @type {{id: string, name: string, role: string}} */ (ctx.org);
    this.query = queryFrom(ctx.query);
    /** @type {Map<string, import("../parts/job_words.js").Job>} */
    this.jobs = new Map();
    this.nextCursor = /** @type {string|null} */ (null);
    /** @type {Set<string>} */
    this.selected = new Set();
    /** @type {Set<string>} */
    this.fresh = new Set(); // jobs that belong above those here
    this.changed = new Set();
    this.stale = false;
    this.reading = new AbortController();
    const operator = may(this.org.role, "operator");
    const told = { selectable: operator, selected: this.selected, onSelect: () => this.showSelection(), open: (/** @type {string} */ id) => this.ctx.go(link(this.org, "jobs", id)), sort: (/** @type {string} */ sort) => this.narrow({ sort }) };
    this.filters = new JobFilters(this.org, this.query, (changes) => this.narrow(changes));
    this.rows = new JobRows(this.org, told);
    this.bulk = new JobBulk(this.org, { selected: this.selected, filter: () => asFilter(this.query), clear: () => this.unselect(), done: () => this.unselect(true) });
    this.pill = h("button", { type: "button", class: "pill", hidden: true, on: { click: () => this.newest() } });
    this.list = h("div", { class: "jobs-list" });
    this.foot = h("nav", { class: "jobs-foot", "aria-label": "Pages of the list" });
    const create = h("a", { class: "button primary", href: link(this.org, "jobs", "new") }, icon("add"), h("span", "New job"));
    const head = h("header", { class: "page-head" }, h("h1", "Jobs"), operator ? create : null);
    this.node = h("section", { class: "page wide jobs-page" }, head, this.filters.node, h("div", { class: "pill-place", role: "status" }, this.pill), this.list, this.foot, this.bulk.node);
    this.flush = perFrame(() => this.paint());
    this.ends = [
      ctx.live.on(JOB_EVENTS, (event, data, _seq, at) => this.hear(event, data, at)),
      ctx.live.on("gap", () => this.reload()),
      stopper(setInterval(() => refreshElapsed(this.rows.node), TICK)),
      stopper(setInterval(() => this.stale && !document.hidden && this.renew(), RENEW)),
    ];
  }

  keys() {
    return {
      x: () => {
        const row = /** @type {HTMLElement|null} */ (document.activeElement?.closest("tr[data-row]"));
        const box = /** @type {HTMLInputElement|null} */ (row?.querySelector(".jr-check input"));
        box?.click();
        return Boolean(box);
      },
    };
  }

  /** Read the page that the query asks for, and show it. */
  async load() {
    this.reading.abort();
    const reading = (this.reading = new AbortController());
    const { items, nextCursor } = await readPage(this.ctx.api, this.org.id, this.query, reading.signal);
    this.jobs = new Map(items.map((job) => [job.id, job]));
    this.nextCursor = nextCursor;
    this.fresh.clear();
    this.stale = false;
    this.showAll();
  }

  /** @param {boolean} [quietly] */
  async reload(quietly = false) {
    this.list.setAttribute("aria-busy", "true");
    try {
      await this.load();
    } catch (error) {
      const { name, message } = /** @type {Error} */ (error);
      if (name !== "AbortError" && !quietly) replace(this.list, h("p", { class: "bad", role: "alert" }, `The list could not be read: ${message} `, button("Try again", () => this.reload())));
    } finally {
      this.list.removeAttribute("aria-busy");
    }
  }

  /** The same page again, for what events do not say: rows stay where they are, new ones stay behind the pill. */
  async renew() {
    this.stale = false;
    try {
      const { items } = await readPage(this.ctx.api, this.org.id, this.query, this.reading.signal);
      for (const job of items.filter(({ id }) => this.jobs.has(id))) {
        this.jobs.set(job.id, job);
        this.changed.add(job.id);
      }
      this.flush();
    } catch {
      this.stale = true; // at the next turn, then
    }
  }

  /** @param {Partial<import("../parts/job_query.js").JobQuery>} changes */
  narrow(changes) {
    this.query = { ...this.query, cursor: "", ...changes };
    this.ctx.setQuery(asAddress(this.query));
    this.filters.show(this.query);
    this.selected.clear();
    return this.reload();
  }

  newest() {
    return this.narrow({ cursor: "" });
  }

  /** @param {boolean} [again] */
  unselect(again = false) {
    this.selected.clear();
    this.showSelection();
    if (again) this.reload(true);
  }

  // ---- events

  /**
   * @param {string} event
   * @param {any} data
   * @param {string} at
   */
  hear(event, data, at) {
    const job = this.jobs.get(data.jobId);
    if (job) {
      const { job: now, stale } = after(job, event, data, at);
      this.jobs.set(job.id, { ...now, jobRuns: now.jobRuns.slice(-1) }); // only the last is shown, and a job may be tried for ever
      this.changed.add(job.id);
      this.stale ||= stale;
      this.flush();
    } else if (belongsAbove(this.query, event, data)) {
      if (this.fresh.size < MOST_FRESH) this.fresh.add(data.jobId);
      this.flush();
    } else if (this.fresh.has(data.jobId) && this.query.status) {
      this.fresh.delete(data.jobId); // it has come and gone
      this.flush();
    }
    if (this.waits(data.hostId)) this.stale = true;
  }

  /** Somebody here waits for that host. @param {string|null} hostId */
  waits(hostId) {
    if (this.stale || hostId === null) return false;
    for (const job of this.jobs.values()) if (job.status === "PENDING" && job.hostId === hostId) return true;
    return false;
  }

  paint() {
    for (const id of this.changed) {
      const job = this.jobs.get(id);
      if (job) this.rows.update(job, this.fits(job));
    }
    this.changed.clear();
    this.showPill();
  }

  // ---- what is shown

  /** @param {import("../parts/job_words.js").Job} job */
  fits(job) {
    return mayFit(this.query, { type: job.type, hostId: this.query.host ? job.hostId : null, jobStatus: job.status });
  }

  showAll() {
    for (const id of this.selected) if (!this.jobs.has(id)) this.selected.delete(id);
    const rows = this.jobs.size ? this.rows.node : this.nothing();
    if (this.list.firstChild !== rows) replace(this.list, rows);
    this.showRows();
    this.showFoot();
    this.showPill();
  }

  showRows() {
    this.changed.clear();
    this.rows.showSort(this.query.sort);
    this.rows.show([...this.jobs.values()], (job) => this.fits(job));
    this.showSelection();
  }

  showSelection() {
    this.rows.showSelection();
    this.bulk.show(this.nextCursor !== null || this.query.cursor !== "");
  }

  showPill() {
    const many = this.fresh.size;
    this.pill.hidden = !many;
    this.pill.textContent = `${many > 999 ? "999+" : many} new`;
    this.pill.setAttribute("aria-label", `Show ${counted(many, "new job")}`);
  }

  showFoot() {
    const address = (/** @type {string} */ cursor) => {
      const said = new URLSearchParams();
      for (const [name, value] of Object.entries(asAddress({ ...this.query, cursor }))) if (value) said.set(name, value);
      return `${link(this.org, "jobs")}?${said}`;
    };
    const { sort } = this.query;
    replace(
      this.foot,
      this.query.cursor ? h("a", { class: "button plain", href: address("") }, sort ? "First page" : "Newest") : null,
      h("span", { class: "faint" }, this.jobs.size ? counted(this.jobs.size, "job") : ""),
      this.nextCursor ? h("a", { class: "button plain", rel: "next", href: address(this.nextCursor) }, this.jobs.size < this.query.size ? "Look further" : sort ? "Next" : "Older", icon("right")) : null,
    );
  }

  nothing() {
    if (this.nextCursor) return empty({ title: "Nothing among the newest of these jobs", text: "There are very many, and few that fit. Look further back, or narrow it by a status, a type or a host." });
    if (!isPlain(this.query) || this.query.cursor) {
      return empty({ title: "No job matches", text: "Nothing fits this filter.", action: button("Clear the filter", () => this.filters.clearAll()) });
    }
    const command = "interlock jobs create SEARCH_SINGLE --payload '{\"query\": \"coffee\"}'";
    return empty({ title: "No jobs yet", text: "A job is work for one of your hosts. Make one here, or on the command line:", command, action: may(this.org.role, "operator") ? h("a", { class: "button primary", href: link(this.org, "jobs", "new") }, "New job") : undefined });
  }

  close() {
    this.reading.abort();
    this.filters.close();
    this.bulk.close();
    for (const end of this.ends) end();
  }
}

/** @param {number} timer */
function stopper(timer) {
  return () => clearInterval(timer);
}
