/** A job's log lines in memory, and how they are fetched: from the end backwards, and as they come. */

import { api } from "../lib/api.js";

/** @typedef {{seq: number, jobRunId: string, level: string, message: string, progress: number|null, createdAt: string}} LogLine */

export const PAGE = 1000; // lines that the API gives at once
export const TAIL = 500; // lines that a page begins with
export const MOST = 20_000; // lines that a page keeps; the whole log is a download

/** The lines that are loaded: without holes, `seq` rising. */
export class LogLines {
  /** @param {string} path of the logs in the API */
  constructor(path) {
    this.path = path;
    /** @type {LogLine[]} */
    this.lines = [];
    this.last = 0; // the newest line that was seen
    this.before = 0; // lines of the job that are older than the first one here, as far as known
  }

  /**
   * The end of the log. `seq` counts all lines of the job, so their number says where that is.
   * @param {number} count of lines, as the job has it
   * @param {AbortSignal} signal
   */
  async loadTail(count, signal) {
    const after = Math.max(0, count - TAIL);
    this.lines = await this.read(after, signal);
    this.before = this.lines.length ? this.lines[0].seq - 1 : 0;
    this.last = this.lines.at(-1)?.seq ?? after;
  }

  /**
   * What has come since.
   * @param {AbortSignal} signal
   * @returns {Promise<LogLine[]>}
   */
  async loadNew(signal) {
    const fresh = await this.read(this.last, signal);
    this.last = fresh.at(-1)?.seq ?? this.last;
    this.lines.push(...fresh);
    return fresh;
  }

  /** Let the oldest lines go, so that a page that stays open for days does not grow. @returns {number} how many went */
  trim() {
    const over = Math.max(0, this.lines.length - MOST);
    if (over) {
      this.lines.splice(0, over);
      this.before = this.lines[0].seq - 1;
    }
    return over;
  }

  /**
   * Up to `PAGE` lines before the first one.
   * @param {AbortSignal} signal
   * @returns {Promise<LogLine[]>}
   */
  async loadOlder(signal) {
    const first = this.lines[0]?.seq ?? this.last + 1;
    const older = (await this.read(Math.max(0, first - 1 - PAGE), signal)).filter(({ seq }) => seq < first);
    this.lines.unshift(...older);
    this.before = older.length ? older[0].seq - 1 : 0;
    return older;
  }

  /**
   * @param {number} after
   * @param {AbortSignal} signal
   * @returns {Promise<LogLine[]>}
   */
  async read(after, signal) {
    /** @type {LogLine[]} */
    const found = [];
    for (;;) {
      const { items } = await api.page(this.path, { query: { after: after || null, limit: PAGE }, signal });
      found.push(...items);
      if (items.length < PAGE || found.length >= MOST) return found;
      after = items[items.length - 1].seq;
    }
  }

  /**
   * The whole log as text, page by page: time, level, message.
   * @param {(count: number) => void} progress is told how many lines are here
   * @param {AbortSignal} signal
   */
  async asText(progress, signal) {
    const parts = [];
    for (let after = 0; ; ) {
      const { items } = await api.page(this.path, { query: { after: after || null, limit: PAGE }, signal });
      parts.push(...items.map((/** @type {LogLine} */ line) => `${line.createdAt} ${line.level.padEnd(5)} ${plain(line.message)}\n`));
      progress(parts.length);
      if (items.length < PAGE) return parts.join("");
      after = items[items.length - 1].seq;
    }
  }
}

// Colours and cursor moves of terminals: ESC [ … letter, and ESC ] … BEL.
const TERMINAL = /\u001b\[[0-9;?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)/g;

/**
 * A message without what only terminals understand.
 * @param {string} message
 */
export function plain(message) {
  return message.includes("\u001b") ? message.replace(TERMINAL, "") : message;
}
