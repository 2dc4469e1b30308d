/** The bar of filters above a list of jobs. Every change is told at once; what is typed, when the typing pauses. */

import { api } from "../lib/api.js";
import { h, replace } from "../lib/dom.js";
import { icon } from "../lib/ui.js";
import { hostNames } from "./host_names.js";
import { STATUSES } from "./job_words.js";
import { SINCE, SIZES, SORTS } from "./job_query.js";

/** @typedef {import("./job_query.js").JobQuery} JobQuery */

const PAUSE = 250; // ms without a key after which the search is asked for
const MOST = 1000; // entries of a list that are offered

/** Shows a query, and tells of its changes. */
export class JobFilters {
  /**
   * @param {{id: string}} org
   * @param {JobQuery} query
   * @param {(changes: Partial<JobQuery>) => void} changed
   */
  constructor(org, query, changed) {
    this.org = org;
    this.changed = (/** @type {Partial<JobQuery>} */ changes) => {
      clearTimeout(this.timer);
      changed({ q: this.search.value.trim(), ...changes }); // what has been typed counts, too
    };
    this.timer = 0;
    this.query = query;
    this.chips = h("div", { class: "chips", role: "group", "aria-label": "Status" });
    this.search = /** @type {HTMLInputElement} */ (h("input", { type: "search", class: "jf-search", placeholder: "Search type, payload or id", "aria-label": "Search jobs", autocomplete: "off", spellcheck: "false", maxlength: 200 }));
    this.search.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.changed({}), PAUSE);
    });
    this.type = this.choice("type", "Type", [{ value: "", text: "All types" }]);
    this.host = this.choice("host", "Host", [{ value: "", text: "All hosts" }]);
    this.by = this.choice("by", "Created by", [{ value: "", text: "By anybody" }]);
    this.since = this.choice("since", "Created", SINCE);
    this.size = this.choice("size", "Rows", SIZES.map((size) => ({ value: String(size), text: `${size} rows` })));
    this.sort = this.choice("sort", "Order", SORTS);
    this.sort.classList.add("jf-sort"); // where the heads of the columns are to be seen, they do it
    this.clear = h("button", { type: "button", class: "button plain", on: { click: () => this.clearAll() } }, "Clear");
    const find = h("div", { class: "jf-find" }, icon("search"), this.search);
    this.node = h("div", { class: "jf" }, h("div", { class: "jf-first" }, this.chips, find), h("div", { class: "jf-more" }, this.type, this.host, this.by, this.since, this.sort, this.size, this.clear));
    this.show(query);
    this.offer();
  }

  /** @param {JobQuery} query */
  show(query) {
    this.query = query;
    const chip = (/** @type {string} */ status, /** @type {string} */ text) =>
      h("button", { type: "button", class: "chip", data: { status }, "aria-pressed": String(query.status === status), on: { click: () => this.changed({ status }) } }, text);
    const focused = /** @type {HTMLElement|null} */ (document.activeElement)?.closest?.(".chip");
    const held = focused && this.chips.contains(focused) ? /** @type {HTMLElement} */ (focused).dataset.status : null;
    replace(this.chips, chip("", "All"), ...STATUSES.map((status) => chip(status, status[0] + status.slice(1).toLowerCase())));
    if (held !== null) /** @type {HTMLElement|null} */ (this.chips.querySelector(`[data-status="${held}"]`))?.focus();
    if (document.activeElement !== this.search) this.search.value = query.q;
    for (const name of /** @type {const} */ (["type", "host", "by", "since", "sort"])) choose(this[name], query[name]);
    choose(this.size, String(query.size));
    const narrowed = Boolean(query.status || query.type || query.host || query.by || query.since || query.q);
    this.clear.hidden = !narrowed;
  }

  clearAll() {
    this.search.value = "";
    this.changed({ status: "", type: "", host: "", by: "", since: "", q: "" });
  }

  /**
   * @param {"type"|"host"|"by"|"since"|"sort"|"size"} name
   * @param {string} label
   * @param {{value: string, text: string}[]} options
   */
  choice(name, label, options) {
    const node = /** @type {HTMLSelectElement} */ (h("select", { "aria-label": label }, options.map(option)));
    node.addEventListener("change", () => this.changed(name === "size" ? { size: Number(node.value) } : { [name]: node.value }));
    return node;
  }

  /** Fill the lists to choose from; where one cannot be read, what is chosen stays. */
  offer() {
    const path = `/api/orgs/${this.org.id}`;
    const fill = (/** @type {HTMLSelectElement} */ select, /** @type {{value: string, text: string}[]} */ options, /** @type {string} */ wanted) => {
      select.append(...options.filter(({ value }) => ![...select.options].some((one) => one.value === value)).map(option));
      choose(select, wanted);
    };
    all(`${path}/job-types`).then((found) => fill(this.type, found.map(({ type }) => ({ value: type, text: type })), this.query.type));
    all(`${path}/hosts`).then((found) => {
      for (const host of found) hostNames(this.org.id).note(host);
      fill(this.host, found.map(({ id, name }) => ({ value: id, text: name })), this.query.host);
    });
    all(`${path}/members`).then((found) => fill(this.by, found.map(({ userId, name, email }) => ({ value: userId, text: name || email })), this.query.by));
  }

  close() {
    clearTimeout(this.timer);
  }
}

/**
 * All of a list, up to a bound; nothing when it cannot be read.
 * @param {string} path
 * @returns {Promise<any[]>}
 */
export async function all(path) {
  const found = [];
  try {
    for (let cursor = /** @type {string|null} */ (null); ; ) {
      const { items, nextCursor } = await api.page(path, { query: { limit: 200, cursor } });
      found.push(...items);
      cursor = nextCursor;
      if (!cursor || found.length >= MOST) return found;
    }
  } catch {
    return found;
  }
}

/** @param {{value: string, text: string}} told */
function option({ value, text }) {
  return h("option", { value }, text);
}

/**
 * @param {HTMLSelectElement} select
 * @param {string} value
 */
function choose(select, value) {
  if (![...select.options].some((one) => one.value === value)) select.append(option({ value, text: value.length > 24 ? `…${value.slice(-8)}` : value }));
  select.value = value;
  select.classList.toggle("jf-set", select.options[0].value !== value);
}
