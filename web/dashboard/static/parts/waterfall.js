/** A job's attempts over time: what each waited for, and how long it ran. */

import { now as serverNow } from "../lib/clock.js";
import { h, keyed, replace } from "../lib/dom.js";
import { badge, duration } from "../lib/ui.js";
import { hostLink } from "./host_names.js";
import { axisOf, segmentsOf } from "./waterfall_times.js";

/** @typedef {import("./job_words.js").Job} Job */
/** @typedef {import("./job_words.js").JobRun} JobRun */
/** @typedef {import("./waterfall_times.js").Segment} Segment */

const NAMES = { scheduled: "Not due yet", backoff: "Backoff", waiting: "Waiting in line", offered: "Offered", running: "Running" };
const OUTCOMES = { success: "succeeded", failed: "failed", cancelled: "was cancelled", rejected: "was rejected", timed_out: "ran out of time", lost: "was lost", expired: "expired" };
const LEGEND = ["waiting", "offered", "running", "backoff"];
const ENDS = { success: "Succeeded", failed: "Failed" };

/** The picture; `update` it with every newer job, and now and then while a run is under way. */
export class Waterfall {
  /** @param {{id: string}} org */
  constructor(org) {
    this.org = org;
    this.rows = h("ol", { class: "wf-rows", "aria-label": "Attempts" });
    this.note = h("p", { class: "wf-note", "aria-live": "polite" });
    this.scale = h("div", { class: "wf-scale", "aria-hidden": "true" });
    this.table = h("tbody");
    this.node = h("div", { class: "wf" }, h("div", { class: "wf-head" }, legend(), this.note), this.rows, this.scale, asTable(this.table));
  }

  /** @param {Job} job */
  update(job) {
    const now = serverNow();
    const runs = job.jobRuns.map((run, place) => ({ run, segments: segmentsOf(run, job.jobRuns[place - 1] ?? null, now) }));
    const axis = axisOf(runs.flatMap((each) => each.segments));
    keyed(this.rows, runs, ({ run }) => run.id, ({ run }) => this.makeRow(run), () => {});
    runs.forEach((each, place) => this.updateRow(this.rows.children[place], each.run, each.segments, axis));
    const first = runs[0]?.segments[0];
    const last = runs[runs.length - 1]?.segments.at(-1);
    if (first && last) {
      const cut = axis.shortened ? " (long pauses are shortened)" : "";
      replace(this.scale, h("span", null, exact(first.from)), h("span", null, `${duration(last.to - first.from)}${cut}`));
    }
    replace(this.table, ...runs.map(({ run, segments }) => tableRow(run, segments)));
  }

  /** @param {JobRun} run */
  makeRow(run) {
    return h("li", { class: "wf-row", data: { run: run.id } }, h("div", { class: "wf-label" }), h("div", { class: "wf-track" }));
  }

  /**
   * @param {Element} row
   * @param {JobRun} run
   * @param {Segment[]} segments
   * @param {{at: (ms: number) => number}} axis
   */
  updateRow(row, run, segments, axis) {
    const [label, track] = row.children;
    const said = `${run.status} ${run.hostId}`;
    if (/** @type {HTMLElement} */ (row).dataset.said !== said) {
      /** @type {HTMLElement} */ (row).dataset.said = said;
      replace(label, h("span", { class: "wf-attempt" }, `#${run.attempt}`), badge(run.status), run.hostId ? hostLink(this.org, run.hostId) : null);
    }
    keyed(track, segments, (segment) => segment.kind, (segment) => this.makeBar(), () => {});
    segments.forEach((segment, place) => this.updateBar(/** @type {HTMLElement} */ (track.children[place]), run, segment, axis));
  }

  makeBar() {
    const bar = h("span", { class: "wf-bar", tabindex: "0", role: "img" });
    const tell = () => {
      this.note.textContent = bar.getAttribute("aria-label");
    };
    bar.addEventListener("pointerenter", tell);
    bar.addEventListener("focus", tell);
    for (const leave of ["pointerleave", "blur"]) bar.addEventListener(leave, () => (this.note.textContent = ""));
    return bar;
  }

  /**
   * @param {HTMLElement} bar
   * @param {JobRun} run
   * @param {Segment} segment
   * @param {{at: (ms: number) => number}} axis
   */
  updateBar(bar, run, segment, axis) {
    const left = axis.at(segment.from);
    const width = axis.at(segment.to) - left;
    bar.className = `wf-bar wf-${segment.kind}${segment.kind === "running" ? ` wf-is-${run.status}` : ""}${segment.open ? " wf-open" : ""}`;
    bar.style.setProperty("left", `${left * 100}%`);
    bar.style.setProperty("width", `${width * 100}%`);
    const words = `Attempt ${run.attempt}: ${describe(run, segment)}`;
    bar.setAttribute("aria-label", words);
    bar.title = words;
    if (bar.matches(":hover, :focus")) this.note.textContent = words;
  }
}

/**
 * @param {JobRun} run
 * @param {Segment} segment
 */
function describe(run, segment) {
  const long = duration(segment.to - segment.from);
  const ended = segment.kind === "running" && !segment.open ? `, ${OUTCOMES[/** @type {keyof typeof OUTCOMES} */ (run.status)] ?? run.status}` : "";
  return `${NAMES[segment.kind].toLowerCase()} ${segment.open ? "for" : "took"} ${long}${segment.open ? " so far" : ended}`;
}

const EXACT = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** @param {number} at ms since 1970 */
function exact(at) {
  return EXACT.format(at);
}

function legend() {
  const entries = LEGEND.map((kind) => h("li", null, h("i", { class: `wf-swatch wf-${kind}`, "aria-hidden": "true" }), NAMES[/** @type {keyof typeof NAMES} */ (kind)]));
  const ends = Object.entries(ENDS).map(([status, name]) => h("li", h("i", { class: `wf-swatch wf-running wf-is-${status}`, "aria-hidden": "true" }), name));
  return h("ul", { class: "wf-legend", "aria-label": "Legend" }, entries, ends);
}

/** @param {HTMLElement} rows */
function asTable(rows) {
  const columns = ["Attempt", "Result", "Error", "Waited", "Offered", "Ran", "Started", "Ended"];
  const head = h("thead", null, h("tr", null, ...columns.map((name) => h("th", { scope: "col" }, name))));
  return h("details", { class: "wf-table" }, h("summary", null, "As a table"), h("div", { class: "scroll" }, h("table", { class: "table" }, head, rows)));
}

/**
 * @param {JobRun} run
 * @param {Segment[]} segments
 */
function tableRow(run, segments) {
  const long = (/** @type {string[]} */ ...kinds) => {
    const ms = segments.filter(({ kind }) => kinds.includes(kind)).reduce((sum, { from, to }) => sum + to - from, 0);
    return ms ? duration(ms) : "–";
  };
  const time = (/** @type {string|null} */ at) => (at ? exact(new Date(at).getTime()) : "–");
  const error = h("td", { class: "wf-error" }, run.result.errorMessage ?? "");
  const cells = [long("scheduled", "backoff", "waiting"), long("offered"), long("running"), time(run.startedAt), time(run.finishedAt)];
  return h("tr", [run.attempt, run.status].map((text) => h("td", text)), error, cells.map((text) => h("td", text)));
}
