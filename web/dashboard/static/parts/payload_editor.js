/** A payload in two ways that stay in step: fields made from the schema of its type, and JSON. */

import { h, replace } from "../lib/dom.js";
import { field } from "../lib/ui.js";
import { SchemaForm } from "./schema_form.js";
import { defaultOf, isObject } from "./schema_kinds.js";

/** Shows a payload, and tells of its changes. */
export class PayloadEditor {
  /** @param {() => void} changed */
  constructor(changed) {
    this.changed = changed;
    /** @type {Record<string, any>} */
    this.value = {};
    this.schema = /** @type {Record<string, any>} */ ({});
    /** @type {SchemaForm|null} */
    this.form = null;
    this.raw = false;
    this.touched = false;
    this.fieldsTab = this.tab("Fields", false);
    this.rawTab = this.tab("JSON", true);
    this.text = field({ label: "Payload", name: "payload", type: "json", rows: 12, required: true });
    this.text.querySelector("label").classList.add("unseen"); // the heading above says it
    this.text.addEventListener("input", () => this.readText());
    this.place = h("div", { class: "pe-place", role: "tabpanel" });
    this.tabs = h("div", { class: "pe-tabs", role: "tablist", "aria-label": "Payload" }, this.fieldsTab, this.rawTab);
    this.node = h("div", { class: "pe" }, this.tabs, this.place);
  }

  /**
   * @param {string} name
   * @param {boolean} raw
   */
  tab(name, raw) {
    return h("button", { type: "button", role: "tab", class: "pe-tab", on: { click: () => this.turn(raw) } }, name);
  }

  /**
   * Another type. What was typed is kept; a payload that nobody has touched gives way to the defaults.
   * @param {Record<string, any>} schema
   */
  take(schema) {
    this.schema = schema;
    if (!this.touched) this.value = defaultOf(schema, schema) ?? {};
    this.tabs.hidden = !SchemaForm.fits(schema);
    this.show(this.tabs.hidden);
  }

  /** @param {Record<string, any>} value */
  fill(value) {
    this.value = value;
    this.touched = true;
  }

  /** @param {boolean} raw */
  turn(raw) {
    this.show(raw);
    this.changed(); // what is missing may be another thing here
  }

  /** @param {boolean} raw */
  show(raw) {
    if (!raw && this.raw && this.mistake) return this.text.input.focus();
    this.raw = raw;
    this.mistake = "";
    for (const [node, on] of /** @type {[HTMLElement, boolean][]} */ ([[this.fieldsTab, !raw], [this.rawTab, raw]])) node.setAttribute("aria-selected", String(on));
    if (raw) {
      this.form = null;
      this.text.value = JSON.stringify(this.value, null, 2);
      this.text.refuse("");
      replace(this.place, this.text);
    } else {
      const form = (this.form = new SchemaForm(this.schema, this.value, () => this.told(form.value)));
      replace(this.place, form.node);
    }
  }

  readText() {
    this.mistake = "";
    try {
      const found = JSON.parse(this.text.value.trim() || "{}");
      if (isObject(found)) this.told(found);
      else this.mistake = "A payload is an object: { … }";
    } catch (error) {
      this.mistake = `This is not JSON: ${/** @type {Error} */ (error).message}`;
    }
    this.text.refuse("");
    if (this.mistake) this.changed();
  }

  /** @param {Record<string, any>} value */
  told(value) {
    this.value = value;
    this.touched = true;
    this.changed();
  }

  /** As `check`, but nothing is said of it. */
  get fits() {
    return this.raw ? !this.mistake : (this.form?.fits ?? true);
  }

  /** @returns {boolean} whether it can be sent; if not, it is said at its place */
  check() {
    if (!this.raw) return this.form?.check() ?? true;
    this.text.refuse(this.mistake ?? "");
    if (this.mistake) this.text.input.focus();
    return !this.mistake;
  }

  /**
   * @param {string} path below the payload, "" for all of it
   * @param {string} message
   */
  refuse(path, message) {
    if (this.form && path && this.form.refuse(path, message)) return;
    if (!this.raw) this.show(true);
    const said = this.text.querySelector(".field-error")?.textContent;
    this.text.refuse([said, path ? `${path}: ${message}` : message].filter(Boolean).join("\n"));
  }

  accept() {
    this.form?.accept();
    this.text.refuse("");
  }
}
