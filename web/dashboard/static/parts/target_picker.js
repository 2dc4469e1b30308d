/** Where a job is to run: on any host, on one with certain labels, on one host, or where a server instance lives. */

import { h, replace } from "../lib/dom.js";
import { field } from "../lib/ui.js";
import { all } from "./job_filters.js";

/** @typedef {{hostId?: string, serverInstanceId?: string, labels?: Record<string, string>}} Target */

const KINDS = [
  ["pool", "Any host"],
  ["labels", "Any host with labels"],
  ["host", "One host"],
  ["instance", "A server instance"],
];
let pickers = 0;

/** Shows a target, and tells of its changes. */
export class TargetPicker {
  /**
   * @param {{id: string}} org
   * @param {Target} target
   * @param {() => void} changed
   */
  constructor(org, target, changed) {
    this.path = `/api/orgs/${org.id}`;
    this.changed = changed;
    this.kind = kindOf(target);
    this.host = field({ label: "Host", name: "hostId", type: "select", required: true, options: [{ value: "", text: "Choose a host" }] });
    this.instance = field({ label: "Server instance", name: "serverInstanceId", type: "select", required: true, options: [{ value: "", text: "Choose a server instance" }] });
    const labels = Object.entries(target.labels ?? {}).map(([name, value]) => `${name}=${value}`).join("\n");
    this.labels = field({ label: "Labels", name: "labels", type: "textarea", rows: 3, required: true, value: labels, placeholder: "zone=eu", hint: "One name=value a line. A host must carry them all." });
    this.refusal = h("p", { class: "field-error", role: "alert" });
    this.place = h("div", { class: "tp-place" });
    const name = `target-${++pickers}`;
    const kinds = KINDS.map(([kind, text]) => {
      const radio = /** @type {HTMLInputElement} */ (h("input", { type: "radio", name, value: kind, checked: kind === this.kind }));
      radio.addEventListener("change", () => this.choose(kind));
      return h("label", { class: "tp-kind" }, radio, h("span", text));
    });
    this.kinds = h("div", { class: "tp-kinds", role: "radiogroup", "aria-label": "Where it runs" }, kinds);
    this.node = h("div", { class: "tp" }, this.kinds, this.place, this.refusal);
    for (const each of [this.host, this.instance, this.labels]) each.addEventListener("input", () => this.told());
    this.show();
    this.fill(target);
  }

  /** @param {Target} target */
  async fill(target) {
    const [hosts, instances] = await Promise.all([all(`${this.path}/hosts`), all(`${this.path}/server-instances`)]);
    const names = new Map(hosts.map(({ id, name }) => [id, name]));
    offer(this.host.input, hosts.map(({ id, name, presence }) => ({ value: id, text: presence === "online" ? name : `${name} (${presence.replaceAll("_", " ")})` })), target.hostId);
    offer(this.instance.input, instances.map(({ id, name, hostId }) => ({ value: id, text: `${name} on ${names.get(hostId) ?? `…${hostId.slice(-8)}`}` })), target.serverInstanceId);
    this.changed(); // what a link has named is chosen by now
  }

  /** @param {string} kind */
  choose(kind) {
    this.kind = kind;
    for (const radio of /** @type {NodeListOf<HTMLInputElement>} */ (this.kinds.querySelectorAll("input"))) radio.checked = radio.value === kind;
    this.show();
    this.told();
  }

  show() {
    const shown = { host: this.host, instance: this.instance, labels: this.labels }[this.kind];
    const text = "The first idle host of the organization takes it.";
    replace(this.place, shown ?? h("p", { class: "hint" }, text));
  }

  told() {
    this.accept();
    this.changed();
  }

  /** @returns {Target} as the API takes it */
  get value() {
    if (this.kind === "host") return this.host.value ? { hostId: this.host.value } : {};
    if (this.kind === "instance") return this.instance.value ? { serverInstanceId: this.instance.value } : {};
    return this.kind === "labels" ? { labels: labelsFrom(this.labels.value) ?? {} } : {};
  }

  /** What is still to be chosen, in words; "" when it is complete. @returns {string} */
  get missing() {
    if (this.kind === "host") return this.host.value ? "" : "Choose a host.";
    if (this.kind === "instance") return this.instance.value ? "" : "Choose a server instance.";
    return this.kind === "labels" && labelsFrom(this.labels.value) === null ? "One name=value a line." : "";
  }

  /** @returns {boolean} whether what is chosen is complete; if not, it is said at the field */
  check() {
    const { missing } = this;
    if (!missing) return true;
    const shown = { host: this.host, instance: this.instance, labels: this.labels }[this.kind];
    shown.refuse(missing);
    shown.input.focus();
    return false;
  }

  /**
   * @param {string} name of the field; "" for the target as a whole
   * @param {string} message
   */
  refuse(name, message) {
    const shown = { hostId: this.host, serverInstanceId: this.instance, labels: this.labels }[name];
    if (shown?.isConnected) shown.refuse(message);
    else replace(this.refusal, message);
  }

  accept() {
    replace(this.refusal);
    for (const each of [this.host, this.instance, this.labels]) each.refuse("");
  }
}

/** @param {Target} target */
function kindOf({ hostId, serverInstanceId, labels }) {
  if (serverInstanceId) return "instance";
  if (hostId) return "host";
  return labels && Object.keys(labels).length ? "labels" : "pool";
}

/**
 * `name=value`, one a line; null when a line is not so, or there is none.
 * @param {string} text
 * @returns {Record<string, string>|null}
 */
export function labelsFrom(text) {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  const pairs = lines.map((line) => [line.slice(0, line.indexOf("=")).trim(), line.slice(line.indexOf("=") + 1).trim()]);
  const fine = lines.length > 0 && lines.every((line) => line.indexOf("=") > 0);
  return fine ? Object.fromEntries(pairs) : null;
}

/**
 * @param {HTMLSelectElement} select
 * @param {{value: string, text: string}[]} options
 * @param {string|undefined} wanted
 */
function offer(select, options, wanted) {
  const held = select.value || wanted || "";
  select.append(...options.map(({ value, text }) => h("option", { value }, text)));
  if (held && !options.some(({ value }) => value === held)) select.append(h("option", { value: held }, held));
  select.value = held;
}
