/** One job: what it is, how it stands, why it is not running, what its agents said and found, and what can be done. */

import { h, renew, replace } from "../lib/dom.js";
import { may } from "../lib/me.js";
import { link } from "../lib/router.js";
import { badge, button, idText, relTime } from "../lib/ui.js";
import { EvidenceView } from "../parts/evidence_view.js";
import { hostLink, hostNames } from "../parts/host_names.js";
import { jobActions, userActionBanner } from "../parts/job_actions.js";
import { JOB_EVENTS } from "../parts/job_events.js";
import { facts, trail, values } from "../parts/job_facts.js";
import { isOpen, payloadSummary } from "../parts/job_words.js";
import { LogView } from "../parts/log_view.js";
import { aheadOf, refreshElapsed, waitWords } from "../parts/wait_words.js";
import { Waterfall } from "../parts/waterfall.js";

const TICK = 1000; // ms between looks at what takes time
const PAUSE = 300; // ms between readings of the job while events come
const HOST_PAUSE = 2000; // the same when its host, not the job, has changed
const MOVES = ["job_run.started", "job_run.done", "job.cancelled", "host.online", "host.offline", "host.updated"];

/** @param {import("../lib/router.js").Context} ctx */
export async function show(ctx) {
  const org = /** @type {{id: string, role: string}} */ (ctx.org);
  const job = await ctx.api.get(`/api/orgs/${org.id}/jobs/${ctx.params.jobId}`, { signal: ctx.signal });
  const page = new JobPage(ctx, org, job);
  await page.begin();
  return { node: page.node, close: () => page.close() };
}

class JobPage {
  /**
   * @param {import("../lib/router.js").Context} ctx
   * @param {{id: string, role: string}} org
   * @param {import("../parts/job_words.js").Job} job
   */
  constructor(ctx, org, job) {
    this.ctx = ctx;
    this.org = org;
    this.job = job;
    this.path = `/api/orgs/${org.id}/jobs/${job.id}`;
    this.place = /** @type {import("../parts/wait_words.js").Place} */ ({ orgId: org.id, host: null, queue: null, current: null });
    this.due = 0;
    this.reading = false;
    this.again = false;
    this.closed = false;
    const words = [job.type, " ", h("span", { class: "job-summary" }, payloadSummary(job.payload))];
    const title = h("div", { class: "job-title" }, h("nav", { "aria-label": "Where you are" }, h("a", { href: link(org, "jobs") }, "Jobs"), " / ", idText(job.id)), h("h1", words));
    this.actions = h("div", { class: "job-actions" });
    this.state = h("div", { class: "job-state", role: "status" });
    const head = h("header", { class: "page-head job-head" }, title, this.actions, this.state);
    this.banner = h("div", { class: "job-banners" });
    this.waterfall = new Waterfall(this.org);
    this.log = new LogView(`${this.path}/logs`, this.job, () => this.job.needsUserAction && this.showBanner());
    this.evidence = new EvidenceView(this.ctx, this.path);
    this.facts = h("section", { class: "panel job-facts" });
    this.values = h("div", { class: "job-values" });
    this.trail = h("section", { class: "panel", hidden: true });
    this.evidencePlace = h("section", { class: "panel job-evidence", hidden: true }, h("h2", "Evidence and files"), this.evidence.node);
    const attempts = h("section", { class: "panel" }, h("h2", "Attempts"), this.waterfall.node);
    const log = h("section", { class: "panel job-log", "aria-label": "Log" }, this.log.node);
    const main = h("div", { class: "job-main" }, attempts, log, this.evidencePlace);
    const side = h("div", { class: "job-side" }, this.facts, this.values, this.trail);
    this.node = h("article", { class: "page job-page" }, head, this.banner, h("div", { class: "job-columns" }, main, side));
    this.ends = [
      ctx.live.on(JOB_EVENTS, (_event, data) => data.jobId === job.id && this.soon(PAUSE)),
      ctx.live.on(MOVES, (_event, data) => this.job.wait && (!this.job.hostId || data.hostId === this.job.hostId) && this.soon(HOST_PAUSE)),
      ctx.live.on("job.log", (_event, data) => data.jobId === job.id && this.log.look()),
      ctx.live.on("evidence.added", (_event, data) => data.jobId === job.id && this.readEvidence()),
      ctx.live.on("gap", () => this.all()),
    ];
    this.timer = setInterval(() => this.tick(), TICK);
  }

  async begin() {
    if (this.job.wait) await this.look();
    this.show();
    this.log.start();
    this.readEvidence();
    if (may(this.org.role, "admin")) this.readTrail();
  }

  // ---- reading

  /** Read the job in so many ms, or sooner when that is wanted already. @param {number} pause */
  soon(pause) {
    const at = Date.now() + pause;
    if (this.due && this.due <= at) return;
    clearTimeout(this.wake);
    this.due = at;
    this.wake = setTimeout(() => this.read(), pause);
  }

  /** The job as it is now; one request at a time. */
  async read() {
    this.due = 0;
    this.again = true;
    if (this.reading) return;
    this.reading = true;
    try {
      while (this.again && !this.closed) {
        this.again = false;
        this.job = await this.ctx.api.get(this.path, { signal: this.ctx.signal });
        if (this.job.wait) await this.look();
        this.show();
      }
    } catch (error) {
      const { name } = /** @type {Error} */ (error);
      if (name !== "AbortError" && !this.closed) this.soon(HOST_PAUSE * 2);
    } finally {
      this.reading = false;
    }
  }

  /** Where it waits: its host, the line there and what runs there. What cannot be read is left out. */
  async look() {
    const { hostId } = this.job;
    this.place = { orgId: this.org.id, host: null, queue: null, current: null };
    if (!hostId) return;
    const path = `/api/orgs/${this.org.id}/hosts/${hostId}`;
    const { signal } = this.ctx;
    const quiet = () => null;
    const [host, queue] = await Promise.all([this.ctx.api.get(path, { signal }).catch(quiet), this.ctx.api.get(`${path}/queue`, { signal }).catch(quiet)]);
    const running = queue?.current && queue.current.jobId !== this.job.id ? queue.current.jobId : null;
    const current = running ? await this.ctx.api.get(`/api/orgs/${this.org.id}/jobs/${running}`, { signal }).catch(quiet) : null;
    if (host) hostNames(this.org.id).note(host);
    this.place = { orgId: this.org.id, host, queue, current };
  }

  async readEvidence() {
    const found = await this.evidence.load().catch(() => 0);
    if (found) this.evidencePlace.hidden = false;
  }

  async readTrail() {
    const page = await this.ctx.api.page(`/api/orgs/${this.org.id}/audit`, { query: { targetId: this.job.id, limit: 50 }, signal: this.ctx.signal }).catch(() => null);
    this.trail.hidden = !page?.items.length;
    if (page?.items.length) replace(this.trail, h("h2", "Audit trail"), trail(page.items, this.names()));
  }

  /** People whose names are at hand. */
  names() {
    const { createdBy } = this.job;
    const { user } = this.ctx.me;
    const known = new Map([[user.id, "you"]]);
    if (createdBy && createdBy.id !== user.id) known.set(createdBy.id, createdBy.name || createdBy.email);
    return known;
  }

  async all() {
    await this.read();
    this.log.look();
    this.readEvidence();
  }

  // ---- showing

  show() {
    if (this.closed) return;
    const { job } = this;
    this.ctx.title(`${job.type} ${job.status.toLowerCase()}`);
    this.showHead();
    this.showBanner();
    this.waterfall.update(job);
    this.log.update(job);
    const { wait, progress, counts, jobRuns, payload, output, lateReports, ...quiet } = job;
    renew(this.facts, quiet, () => [h("h2", "Details"), facts(this.org, job)]);
    renew(this.values, [payload, output, lateReports], () => values(job));
    if (this.status !== undefined && this.status !== job.status && may(this.org.role, "admin")) this.readTrail();
    this.status = job.status;
  }

  showHead() {
    const { job } = this;
    renew(this.actions, [job.status, job.cancelRequested], () => jobActions(this.ctx, job, (now) => this.take(now)));
    renew(this.state, [job.status, job.cancelRequested, job.hostId, job.progress, job.jobRuns.at(-1)?.status], () => this.stateOf(job));
  }

  /** @param {import("../parts/job_words.js").Job} job */
  stateOf(job) {
    const bar = job.status === "RUNNING" && job.progress ? [h("progress", { max: 100, value: job.progress, "aria-label": "Progress" }), h("span", `${job.progress} %`)] : null;
    const run = job.jobRuns.at(-1);
    const finer = run && job.status === "RUNNING" && run.status !== "running" ? badge(run.status) : null;
    const asked = job.cancelRequested && isOpen(job) ? badge("cancel_requested", "cancel requested") : null;
    return [badge(job.status), finer, asked, bar, job.hostId ? ["on ", hostLink(this.org, job.hostId)] : null];
  }

  showBanner() {
    const { job } = this;
    const asked = this.log.lines.lines.findLast(({ progress }) => progress !== null)?.message ?? null;
    const { host, queue, current } = this.place;
    const place = [host?.name, host?.lastSeenAt, host?.note, host?.drainUntil, queue?.pending, current?.id, current?.jobRuns.at(-1)?.startedAt];
    const said = [job.wait, place, job.needsUserAction && asked, job.needsUserAction, job.status, job.errorCode, job.errorMessage];
    renew(this.banner, said, () => [
      userActionBanner(this.ctx, job, asked, (now) => this.take(now)),
      job.wait ? this.why() : null,
      job.status === "FAILED" && (job.errorMessage || job.errorCode) ? failure(job) : null,
    ]);
  }

  why() {
    const release = this.job.wait?.reason === "held" && !this.job.wait.until && may(this.org.role, "operator") ? button("Release", () => this.release()) : null;
    const ahead = aheadOf(this.job, this.place);
    const open = this.banner.querySelector("details.ahead[open]") !== null;
    if (ahead && open) ahead.setAttribute("open", "");
    return h("div", { class: "job-why" }, h("h2", "Why it is not running"), h("p", waitWords(this.job, this.place)), ahead, release);
  }

  async release() {
    await this.ctx.api.post(`/api/orgs/${this.org.id}/hosts/${this.job.hostId}/queue`, { op: "release", jobId: this.job.id });
    await this.read();
  }

  /** @param {import("../parts/job_words.js").Job} job */
  take(job) {
    this.job = job;
    this.show();
    this.soon(0);
  }

  tick() {
    if (document.hidden) return;
    refreshElapsed(this.node);
    if (isOpen(this.job)) this.waterfall.update(this.job);
  }

  close() {
    this.closed = true;
    clearInterval(this.timer);
    clearTimeout(this.wake);
    this.log.close();
    this.evidence.close();
    for (const end of this.ends) end();
  }
}

/** @param {import("../parts/job_words.js").Job} job */
function failure(job) {
  return h("div", { class: "job-failed" }, h("h2", "It failed", job.errorCode ? h("code", job.errorCode) : null), h("p", { class: "job-error" }, job.errorMessage ?? ""));
}
