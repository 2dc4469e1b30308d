/** Cancel or retry many jobs: those that are selected, or all that match the filter. Counted first, then done part by part. */

import { api } from "../lib/api.js";
import { h, replace } from "../lib/dom.js";
import { button, count, dialog, field, toast } from "../lib/ui.js";
import { counted } from "./job_words.js";

/** @typedef {{ids: string[]} | {filter: Record<string, string>}} Which */
/** @typedef {{matched: number, done: number, asked: number, skipped: number, failed: number}} Sums */

const PART = 500; // ids of one request

/** The bar that appears with the first selected job. */
export class JobBulk {
  /**
   * @param {{id: string}} org
   * @param {{selected: Set<string>, filter: () => Record<string, string>, clear: () => void, done: () => void}} told
   */
  constructor(org, { selected, filter, clear, done }) {
    this.path = `/api/orgs/${org.id}/jobs/bulk`;
    this.selected = selected;
    this.filter = filter;
    this.clear = clear;
    this.done = done;
    this.everything = false; // all that match the filter, not only what is selected
    this.stopped = new AbortController();
    this.text = h("span", { class: "jb-text", role: "status" });
    this.node = h("div", { class: "jb", role: "region", "aria-label": "Selected jobs", hidden: true });
    this.work = h("div", { class: "jb-work", hidden: true });
  }

  /** The selection, or the list behind it, has changed. @param {boolean} more there are jobs that match and are not on this page */
  show(more) {
    const many = this.selected.size;
    this.node.hidden = !many;
    if (!many) this.everything = false;
    const said = this.everything ? "All jobs that match the filter" : counted(many, "job") + " selected";
    replace(this.text, said);
    const widen = more && !this.everything ? button("Select all that match", () => this.widen(more)) : null;
    replace(
      this.node,
      this.text,
      widen,
      button("Cancel …", () => this.ask("cancel"), { icon: "stop" }),
      button("Retry …", () => this.ask("retry"), { icon: "retry" }),
      button("", () => this.clear(), { icon: "cross", label: "Clear the selection", title: "Clear the selection" }),
      this.work,
    );
  }

  /** @param {boolean} more */
  widen(more) {
    this.everything = true;
    this.show(more);
  }

  /** @returns {Which} */
  which() {
    return this.everything ? { filter: this.filter() } : { ids: [...this.selected] };
  }

  /** Count, ask, do. @param {"cancel"|"retry"} op */
  async ask(op) {
    const which = this.which();
    const counts = await countFirst(this.path, op, which);
    const verb = op === "cancel" ? "Cancel" : "Retry";
    if (!counts.matched) {
      const states = op === "cancel" ? "waits or runs" : "has failed or was cancelled";
      return void (await dialog({ title: `Nothing to ${op}`, body: h("p", `None of these jobs ${states}.`) }));
    }
    const many = `${counts.more ? "more than " : ""}${counted(counts.matched, "job")}`;
    const reason = op === "cancel" ? field({ label: "Reason", name: "reason", hint: "Kept with the audit trail and shown to nobody else." }) : null;
    const left = counts.skipped ? h("p", { class: "hint" }, `${counted(counts.skipped, "selected job")} ${counts.skipped === 1 ? "is" : "are"} in no state for it and will be left alone.`) : null;
    const text = op === "cancel" ? "Those that wait end at once. The agents of those that run are asked to stop." : "Each gets a new run, and its attempts are counted afresh.";
    const sure = await dialog({
      title: `${verb} ${many}?`,
      body: [h("p", text), left, reason],
      actions: [{ text: "Back", value: false }, { text: `${verb} ${many}`, kind: op === "cancel" ? "danger" : "primary", value: true }],
    });
    if (sure === true) await this.run(op, which, counts.matched, reason?.value || null);
  }

  /**
   * @param {"cancel"|"retry"} op
   * @param {Which} which
   * @param {number} expected
   * @param {string|null} reason
   */
  async run(op, which, expected, reason) {
    this.stopped = new AbortController();
    const bar = /** @type {HTMLProgressElement} */ (h("progress", { max: Math.max(1, expected), value: 0, "aria-label": "Progress" }));
    const words = h("span", { role: "status" });
    replace(this.work, bar, words, button("Stop", () => this.stopped.abort()));
    this.work.hidden = false;
    const tell = (/** @type {Sums} */ sums) => {
      bar.value = sums.done + sums.asked;
      replace(words, `${count(sums.done + sums.asked)} of ${count(expected)}`);
    };
    try {
      const sums = await work(this.path, op, which, reason, tell, this.stopped.signal);
      toast(summary(op, sums, this.stopped.signal.aborted), sums.failed ? "bad" : "good");
    } finally {
      this.work.hidden = true;
      this.done();
    }
  }

  close() {
    this.stopped.abort();
  }
}

/**
 * @param {string} path
 * @param {string} op
 * @param {Which} which
 * @returns {Promise<{matched: number, skipped: number, more: boolean}>}
 */
async function countFirst(path, op, which) {
  let matched = 0;
  let skipped = 0;
  let more = false;
  for (const part of parts(which)) {
    const said = await api.post(path, { op, ...part, dryRun: true });
    matched += said.matched;
    skipped += said.skipped;
    more = said.nextCursor !== null;
  }
  return { matched, skipped, more };
}

/**
 * All of it, and again what a busy server could not decide, as long as that gets on.
 * @param {string} path
 * @param {string} op
 * @param {Which} which
 * @param {string|null} reason
 * @param {(sums: Sums) => void} tell after each part
 * @param {AbortSignal} signal stops after the part that is under way
 * @returns {Promise<Sums>}
 */
async function work(path, op, which, reason, tell, signal) {
  const body = { op, ...(op === "cancel" && reason ? { reason } : {}) };
  const sums = await pass(path, body, which, tell, signal);
  for (let left = 0; sums.failed && sums.failed !== left && !signal.aborted; ) {
    left = sums.failed;
    const before = { ...sums };
    const more = await pass(path, body, which, (now) => tell({ ...before, done: before.done + now.done }), signal);
    sums.done += more.done;
    sums.failed = more.failed;
  }
  return sums;
}

/**
 * @param {string} path
 * @param {Record<string, any>} body
 * @param {Which} which
 * @param {(sums: Sums) => void} tell
 * @param {AbortSignal} signal
 * @returns {Promise<Sums>}
 */
async function pass(path, body, which, tell, signal) {
  const sums = { matched: 0, done: 0, asked: 0, skipped: 0, failed: 0 };
  for (const part of parts(which)) {
    let cursor = null;
    do {
      if (signal.aborted) return sums;
      const found = await api.post(path, { ...body, ...part, ...(cursor ? { cursor } : {}) });
      for (const name of /** @type {(keyof Sums)[]} */ (Object.keys(sums))) sums[name] += found[name];
      cursor = found.nextCursor;
      tell(sums);
    } while (cursor);
  }
  return sums;
}

/**
 * @param {Which} which
 * @returns {Which[]}
 */
function parts(which) {
  if ("filter" in which) return [which];
  const found = [];
  for (let at = 0; at < which.ids.length; at += PART) found.push({ ids: which.ids.slice(at, at + PART) });
  return found;
}

/**
 * @param {string} op
 * @param {Sums} sums
 * @param {boolean} stopped
 */
function summary(op, sums, stopped) {
  const said = [`${counted(sums.done, "job")} ${op === "cancel" ? "cancelled" : "tried again"}`];
  if (sums.asked) said.push(`${counted(sums.asked, "agent")} asked to stop`);
  if (sums.skipped) said.push(`${count(sums.skipped)} left alone`);
  if (sums.failed) said.push(`${count(sums.failed)} could not be decided; try them again`);
  return `${said.join(", ")}.${stopped ? " Stopped before the rest." : ""}`;
}
