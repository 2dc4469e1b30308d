/** Search in the lines of a log that are loaded: all hits marked, one of them the current. */

import { h } from "../lib/dom.js";
import { plain } from "./log_lines.js";

const MARKED = 2000; // lines that get marks; hits beyond are counted

/** The search box of a log view. */
export class LogSearch {
  /**
   * @param {HTMLElement} box whose `.log-line`s have a `.log-text`
   * @param {() => import("./log_lines.js").LogLine[]} lines in the order of the box
   * @param {() => Promise<void>} loadAll brings what is older, and shows it
   * @param {() => void} leave is called before the view goes to a hit
   */
  constructor(box, lines, loadAll, leave) {
    this.box = box;
    this.lines = lines;
    this.loadAll = loadAll;
    this.leave = leave;
    /** @type {HTMLElement[]} */
    this.hits = [];
    this.at = -1;
    this.input = /** @type {HTMLInputElement} */ (h("input", { type: "search", class: "log-search", placeholder: "Search the log", "aria-label": "Search the log", autocomplete: "off", spellcheck: "false" }));
    this.count = h("span", { class: "log-count quiet", role: "status" });
    this.node = h("span", { class: "log-find" }, this.input, this.count);
    this.input.addEventListener("input", () => this.changed());
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.step(event.shiftKey ? -1 : 1);
      if (event.key === "Escape") this.clear();
    });
  }

  async changed() {
    this.run();
    if (this.input.value && this.older) {
      this.count.textContent = "reading all …";
      await this.older();
      this.run();
    }
    this.step(-1);
  }

  /** Brings older lines once, when somebody searches; null from then on. */
  get older() {
    const load = this.loadAll;
    return load && (async () => {
      this.loadAll = async () => {};
      await load();
    });
  }

  clear() {
    this.input.value = "";
    this.run();
  }

  /** Mark anew. To be called when lines have come. */
  run() {
    const wanted = this.input.value.trim().toLowerCase();
    for (const line of this.box.querySelectorAll(".log-hit")) unmark(/** @type {HTMLElement} */ (line));
    this.hits = [];
    if (!wanted) {
      this.at = -1;
      this.count.textContent = "";
      return;
    }
    const found = new Set();
    for (const { seq, message } of this.lines()) if (plain(message).toLowerCase().includes(wanted)) found.add(String(seq));
    for (const line of /** @type {NodeListOf<HTMLElement>} */ (this.box.querySelectorAll(".log-line"))) {
      if (!found.has(line.dataset.seq ?? "")) continue;
      this.hits.push(line);
      if (this.hits.length <= MARKED) mark(line, wanted);
    }
    this.at = Math.min(this.at, this.hits.length - 1);
    this.tell();
  }

  /** @param {number} by */
  step(by) {
    if (!this.hits.length) return;
    this.hits[this.at]?.classList.remove("log-current");
    this.at = this.at < 0 ? this.hits.length - 1 : (this.at + by + this.hits.length) % this.hits.length;
    const line = this.hits[this.at];
    line.classList.add("log-current");
    this.leave();
    line.scrollIntoView({ block: "nearest" });
    this.tell();
  }

  tell() {
    this.count.textContent = this.hits.length ? `${Math.max(0, this.at) + 1} of ${this.hits.length}` : "nothing";
  }
}

/**
 * @param {HTMLElement} line
 * @param {string} wanted in lower case
 */
function mark(line, wanted) {
  const text = line.querySelector(".log-text");
  if (!text) return;
  const whole = text.textContent ?? "";
  const lower = whole.toLowerCase();
  const parts = [];
  let from = 0;
  if (lower.length === whole.length) {
    for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, from)) {
      parts.push(whole.slice(from, at), h("mark", null, whole.slice(at, at + wanted.length)));
      from = at + wanted.length;
    }
  }
  parts.push(whole.slice(from));
  text.replaceChildren(...parts);
  line.classList.add("log-hit");
}

/** @param {HTMLElement} line */
function unmark(line) {
  const text = line.querySelector(".log-text");
  text?.replaceChildren(text.textContent ?? "");
  line.classList.remove("log-hit", "log-current");
}
