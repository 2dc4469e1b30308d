/** The log of a job as it is written: follow, pause by scrolling up, search, levels, times, wrapping, download. */

import { h, replace, saveFile } from "../lib/dom.js";
import { live } from "../lib/live.js";
import { button, count, toast } from "../lib/ui.js";
import { counted } from "./job_words.js";
import { LogLines, MOST, plain } from "./log_lines.js";
import { LogSearch } from "./log_search.js";

/** @typedef {import("./log_lines.js").LogLine} LogLine */

const CHUNK = 100; // lines of one box, which the browser lays out only when it is seen
const NEAR = 24; // px from the end that count as the end
const LOOK = 4000; // ms between looks while the events' socket is away
const LEVELS = ["debug", "info", "warn", "error"]; // by weight
const NAMES = /** @type {Record<string, string>} */ ({ debug: "All levels", info: "Info and up", warn: "Warnings", error: "Errors" });
const REMEMBERED = "interlock.log";

/** One job's log. `close()` when the page goes. */
export class LogView {
  /**
   * @param {string} path of the logs in the API
   * @param {import("./job_words.js").Job} job
   * @param {() => void} [came] is called when there are new lines
   */
  constructor(path, job, came = () => {}) {
    this.job = job;
    this.came = came;
    this.lines = new LogLines(path);
    this.ends = new AbortController();
    this.shown = remembered();
    this.following = true;
    this.top = 0; // where the reader was
    this.waiting = 0; // lines that came while the reader looked at older ones
    this.busy = false;
    this.again = false;
    this.lastRun = "";
    this.box = h("div", { class: "log-lines", role: "log", "aria-label": "Log", tabindex: "0", "aria-live": "off" });
    this.box.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.older = h("div", { class: "log-older" });
    this.pill = h("button", { class: "log-pill", type: "button", hidden: true, on: { click: () => this.follow() } });
    this.search = new LogSearch(this.box, () => this.lines.lines, () => this.loadAll(), () => this.leave());
    this.state = h("span", { class: "log-state quiet", role: "status" });
    this.node = h("div", { class: "log" }, this.head(), this.bar(), h("div", { class: "log-frame" }, this.box, this.pill));
    this.apply();
    this.timer = setInterval(() => live.state !== "live" && this.look(), LOOK);
  }

  /** Read the end of the log. */
  async start() {
    try {
      await this.lines.loadTail(this.job.counts.logs, this.ends.signal);
      this.render();
      this.search.run();
      this.came();
    } catch (error) {
      this.failed(error);
    }
  }

  /** The job has changed. @param {import("./job_words.js").Job} job */
  update(job) {
    const more = job.counts.logs > this.job.counts.logs || job.status !== this.job.status;
    this.job = job;
    this.showState();
    if (more) this.look();
  }

  /** There may be new lines. One request at a time, and never a call that is lost. */
  async look() {
    this.again = true;
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.again && !this.ends.signal.aborted) {
        this.again = false;
        this.append(await this.lines.loadNew(this.ends.signal));
      }
    } catch (error) {
      this.failed(error);
    } finally {
      this.busy = false;
    }
  }

  close() {
    this.ends.abort();
    clearInterval(this.timer);
  }

  // ---- the bar above the lines

  head() {
    const save = button("Download", () => this.download(), { kind: "plain", title: "The whole log as text" });
    return h("div", { class: "log-head" }, h("h2", "Log"), this.state, save);
  }

  bar() {
    const level = /** @type {HTMLSelectElement} */ (h("select", { "aria-label": "Least level", on: { change: () => this.set("level", level.value) } },
      ...LEVELS.map((name) => h("option", { value: name, selected: name === this.shown.level }, NAMES[name]))));
    const toggle = (/** @type {"times"|"wrap"} */ name, /** @type {string} */ text) => {
      const node = h("button", { type: "button", class: "toggle", "aria-pressed": String(this.shown[name]), on: { click: () => {
        this.set(name, !this.shown[name]);
        node.setAttribute("aria-pressed", String(this.shown[name]));
      } } }, text);
      return node;
    };
    this.followButton = h("button", { type: "button", class: "toggle", on: { click: () => (this.following ? this.pause() : this.follow()) } }, "Follow");
    return h("div", { class: "log-bar" }, this.search.node, level, toggle("times", "Times"), toggle("wrap", "Wrap"), this.followButton);
  }

  /**
   * @param {string} name
   * @param {any} value
   */
  set(name, value) {
    this.shown = { ...this.shown, [name]: value };
    try {
      localStorage.setItem(REMEMBERED, JSON.stringify(this.shown));
    } catch {
      // Not remembered, then.
    }
    this.apply();
  }

  apply() {
    const least = LEVELS.indexOf(this.shown.level);
    this.box.classList.toggle("log-times", this.shown.times);
    this.box.classList.toggle("log-wrap", this.shown.wrap);
    LEVELS.forEach((name, weight) => this.box.classList.toggle(`log-hide-${name}`, weight < least));
    this.stick();
    this.showState();
  }

  async download() {
    try {
      const text = await this.lines.asText((number) => (this.state.textContent = counted(number, "line")), this.ends.signal);
      saveFile(`job-${this.job.id}.log`, text);
    } finally {
      this.showState();
    }
  }

  // ---- lines

  render() {
    this.lastRun = "";
    replace(this.box, this.older, ...this.chunks(this.lines.lines));
    if (!this.lines.lines.length) this.box.append(h("p", { class: "log-none quiet" }, "No log lines."));
    this.showOlder();
    this.showState();
    this.stick();
  }

  /** @param {LogLine[]} fresh */
  append(fresh) {
    if (!fresh.length) return;
    if (this.lines.trim() || !this.box.querySelector(".log-line")) this.render();
    else {
      const last = this.box.lastElementChild;
      const room = last?.classList.contains("log-chunk") ? CHUNK - last.children.length : 0;
      if (last && room > 0) last.append(...fresh.slice(0, room).flatMap((line) => this.nodesOf(line)));
      this.box.append(...this.chunks(fresh.slice(Math.max(0, room))));
    }
    this.search.run();
    if (!this.following) this.waiting += fresh.length;
    this.stick();
    this.showState();
    this.came();
  }

  /** @param {LogLine[]} lines */
  chunks(lines) {
    const made = [];
    for (let at = 0; at < lines.length; at += CHUNK) {
      made.push(h("div", { class: "log-chunk" }, ...lines.slice(at, at + CHUNK).flatMap((line) => this.nodesOf(line))));
    }
    return made;
  }

  /** @param {LogLine} line */
  nodesOf(line) {
    const level = LEVELS.includes(line.level) ? line.level : "info";
    const time = h("time", { datetime: line.createdAt }, line.createdAt.slice(11, 23));
    const progress = line.progress === null ? null : h("b", { class: "log-progress" }, `${line.progress} %`);
    const mark = level === "info" || level === "debug" ? null : h("b", { class: "log-level" }, level);
    const node = h("div", { class: `log-line log-${level}`, data: { seq: String(line.seq) } }, time, mark, progress, h("span", { class: "log-text" }, plain(line.message)));
    const next = line.jobRunId !== this.lastRun;
    this.lastRun = line.jobRunId;
    return next ? [this.divider(line.jobRunId), node] : [node];
  }

  /** @param {string} runId */
  divider(runId) {
    const run = this.job.jobRuns.find(({ id }) => id === runId);
    return h("div", { class: "log-divider" }, run ? `Attempt ${run.attempt}` : "Another attempt");
  }

  showOlder() {
    const older = this.lines.before;
    const more = button(`Show earlier lines (${count(older)} before these)`, () => this.loadOlder(), { kind: "plain" });
    replace(this.older, older ? more : null);
  }

  async loadOlder() {
    const from = this.box.scrollHeight - this.box.scrollTop;
    this.following = false;
    await this.lines.loadOlder(this.ends.signal);
    this.render();
    this.search.run();
    this.box.scrollTop = this.box.scrollHeight - from;
  }

  /** For a search. Of a very long log the newest lines, as many as a page keeps. */
  async loadAll() {
    while (this.lines.before && this.lines.lines.length < MOST) await this.lines.loadOlder(this.ends.signal);
    this.render();
  }

  // ---- following

  scrolled() {
    const top = this.box.scrollTop;
    const atEnd = this.box.scrollHeight - top - this.box.clientHeight < NEAR;
    const up = top < this.top;
    this.top = top;
    if (atEnd === this.following || (!atEnd && !up)) return; // what grows below is no scrolling
    this.following = atEnd;
    if (atEnd) this.waiting = 0;
    this.showState();
  }

  /** The reader looks elsewhere. */
  leave() {
    this.following = false;
    this.showState();
  }

  pause() {
    this.following = false;
    this.box.scrollTop = Math.max(0, this.box.scrollTop - NEAR * 2);
    this.showState();
  }

  follow() {
    this.following = true;
    this.waiting = 0;
    this.stick();
    this.showState();
  }

  /** Stay at the end. Boxes that come into sight get their true height only then, so it is looked at for some frames. */
  stick(frames = 4) {
    if (!this.following) return;
    const far = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight > 1;
    if (far) this.box.scrollTop = this.box.scrollHeight;
    if (frames) requestAnimationFrame(() => this.stick(frames - 1));
  }

  showState() {
    const open = this.job.status === "RUNNING" || this.job.status === "PENDING";
    this.followButton?.setAttribute("aria-pressed", String(this.following));
    this.pill.hidden = this.following || !this.waiting;
    this.pill.textContent = `${counted(this.waiting, "new line")} ↓`;
    const all = counted(this.lines.before + this.lines.lines.length, "line");
    this.state.textContent = open ? `${all} · ${this.following ? "following" : "paused"}` : all;
  }

  /** @param {any} error */
  failed(error) {
    if (error.name !== "AbortError") toast(`The log could not be read: ${error.message}`, "bad");
  }
}

/** @returns {{times: boolean, wrap: boolean, level: string}} */
function remembered() {
  const usual = { times: false, wrap: true, level: "debug" };
  try {
    return { ...usual, ...JSON.parse(localStorage.getItem(REMEMBERED) ?? "{}") };
  } catch {
    return usual;
  }
}
