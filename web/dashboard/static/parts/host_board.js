/** All hosts of an organization as they are now: read once, then kept by events. Knows nothing of how they look. */

import { allPages, fullPage } from "./all_pages.js";

/** @typedef {import('./host_words.js').Host} Host */
/**
 * What a host runs; `startedAt` is null until that is known.
 * @typedef {{runId: string, jobId: string, type: string, startedAt: string|null}} Running
 */

const MOST_HOSTS = 5000;
const LOOK_AGAIN_MS = 800; // after an event whose effect it does not tell
const FULL_LOOK_MS = 4000; // between looks at everything
const ONE_BY_ONE = 6; // hosts; more are read with all others

const HOST_EVENTS = ["host.online", "host.offline", "host.updated"];
const JOB_EVENTS = ["job.created", "job_run.started", "job_run.done", "job.cancelled", "job.updated"];

export class HostBoard {
  /**
   * @param {any} ctx as pages get it
   * @param {(changed: Set<string>, others: boolean) => void} onChange ids of hosts that have changed, and whether hosts have come or
   *   gone; at most once a frame
   */
  constructor(ctx, onChange) {
    /** @type {Map<string, Host>} */
    this.hosts = new Map();
    /** @type {Map<string, Running>} what each host runs, by its id */
    this.running = new Map();
    this.whole = true; // false: there are more hosts than are kept
    this.isRead = false;
    this._ctx = ctx;
    this._path = `/api/orgs/${ctx.org.id}`;
    this._onChange = onChange;
    this._dirty = new Set();
    this._changed = new Set();
    this._others = false;
    this._frame = 0;
    this._timer = 0;
    this._again = 0;
    this._lookedAt = 0;
    this._offs = [
      ctx.live.on(HOST_EVENTS, (_event, data) => this._hostEvent(data)),
      ctx.live.on(JOB_EVENTS, (event, data) => this._jobEvent(event, data)),
      ctx.live.on(["gap"], () => this.reload()),
    ];
    ctx.signal.addEventListener("abort", () => this._close());
  }

  /**
   * Read all hosts and what they run; tells of each page as it comes. Rejects with what the API says.
   * @param {() => void} [onFirst] the first page is there
   */
  async load(onFirst) {
    this._lookedAt = performance.now();
    const seen = new Set();
    const keep = (hosts) => {
      for (const host of hosts) {
        seen.add(host.id);
        this._put(host);
      }
      onFirst?.();
    };
    const { signal, api } = this._ctx;
    const { whole } = await allPages(api, `${this._path}/hosts`, { signal, most: MOST_HOSTS, onPage: keep });
    this.whole = whole;
    for (const id of this.hosts.keys()) if (whole && !seen.has(id)) this._remove(id);
    if ([...this.hosts.values()].some((host) => host.currentJobRunId !== null && !this.running.has(host.id))) await this._askWhatRuns();
    this.isRead = true;
    this._tell(null);
  }

  async _askWhatRuns() {
    const { signal, api } = this._ctx;
    await allPages(api, `${this._path}/jobs`, { signal, most: MOST_HOSTS, query: { status: "RUNNING" }, onPage: (jobs) => jobs.forEach((job) => this._learn(job)) });
  }

  /** The page is left: nothing more is heard or told. */
  _close() {
    this._offs.forEach((off) => off());
    clearTimeout(this._timer);
    clearTimeout(this._again);
    cancelAnimationFrame(this._frame);
  }

  /** Read all again, and until that has worked. @param {number} [afterMs] */
  reload(afterMs = 0) {
    clearTimeout(this._again);
    if (this._ctx.signal.aborted) return;
    this._again = setTimeout(() => this.load().catch(() => this.reload(FULL_LOOK_MS)), afterMs);
  }

  _put(host) {
    const before = this.hosts.get(host.id);
    if (this.running.has(host.id) && this.running.get(host.id)?.runId !== host.currentJobRunId) this.running.delete(host.id);
    else if (before && JSON.stringify(before) === JSON.stringify(host)) return;
    this.hosts.set(host.id, host);
    this._tell(before ? host.id : null);
  }

  _remove(id) {
    this.hosts.delete(id);
    this.running.delete(id);
    this._tell(null);
  }

  /** A job that runs says what its host runs. */
  _learn(job) {
    const run = job.jobRuns.at(-1);
    const host = run?.hostId ? this.hosts.get(run.hostId) : undefined;
    if (host?.currentJobRunId !== run?.id || !host) return;
    this.running.set(host.id, { runId: run.id, jobId: job.id, type: job.type, startedAt: run.startedAt });
    this._tell(host.id);
  }

  _hostEvent(data) {
    const host = this.hosts.get(data.hostId);
    if (host) {
      host.presence = data.presence;
      host.health = data.health;
      if (data.presence === "online") host.lastSeenAt = new Date().toISOString();
      this._tell(host.id);
    }
    this._suspect(data.hostId);
  }

  _jobEvent(event, data) {
    const host = data.hostId === null ? undefined : this.hosts.get(data.hostId);
    if (!host) return;
    if (event === "job_run.started") {
      host.currentJobRunId = data.jobRunId;
      this.running.set(host.id, { runId: data.jobRunId, jobId: data.jobId, type: data.type, startedAt: new Date().toISOString() });
      this._tell(host.id);
    } else if ((event === "job_run.done" || event === "job.cancelled") && host.currentJobRunId === data.jobRunId) {
      host.currentJobRunId = null;
      this.running.delete(host.id);
      this._tell(host.id);
    }
    if (event !== "job.updated") this._suspect(host.id); // how many wait there is not told
  }

  /** Look at that host again, soon. */
  _suspect(id) {
    this._dirty.add(id);
    this._timer ||= setTimeout(() => this._lookAgain(), LOOK_AGAIN_MS);
  }

  async _lookAgain() {
    const early = this._lookedAt + FULL_LOOK_MS - performance.now();
    if (this._dirty.size > ONE_BY_ONE && early > 0) {
      this._timer = setTimeout(() => this._lookAgain(), early);
      return;
    }
    const ids = [...this._dirty];
    this._dirty.clear();
    this._timer = 0;
    try {
      await (ids.length > ONE_BY_ONE ? this.load() : Promise.all(ids.map((id) => this._lookAt(id))));
    } catch {
      if (!this._ctx.signal.aborted) ids.forEach((id) => this._dirty.add(id));
    }
  }

  async _lookAt(id) {
    const { api, signal } = this._ctx;
    try {
      const host = await api.get(`${this._path}/hosts/${id}`, { signal });
      this._put(host);
      if (host.currentJobRunId !== null && !this.running.has(id)) {
        const page = await fullPage(api, `${this._path}/jobs`, { query: { hostId: id, status: "RUNNING", limit: 1 }, signal });
        page.items.forEach((job) => this._learn(job));
      }
    } catch (problem) {
      if (problem.status !== 404) throw problem;
      this._remove(id);
    }
  }

  /** @param {string|null} id of a host; null when hosts have come or gone */
  _tell(id) {
    if (id === null) this._others = true;
    else this._changed.add(id);
    this._frame ||= requestAnimationFrame(() => {
      const [changed, others] = [this._changed, this._others];
      this._frame = 0;
      this._others = false;
      this._changed = new Set();
      this._onChange(changed, others);
    });
  }
}
