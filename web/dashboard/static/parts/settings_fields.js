/** An organization's settings as fields: keys with values of a kind, and connectors; and read back as the API takes them. */

import { h } from "../lib/dom.js";
import { button, icon } from "../lib/ui.js";

/** @typedef {{platform: Record<string, string|number|boolean|null>, connectors: {id: string, name: string, enabled: boolean}[]}} Settings */

const ALWAYS = ["platformUrl", "apiUrl", "searchMethod"]; // every agent finds these keys
const KINDS = [["text", "Text"], ["number", "Number"], ["yes-no", "Yes or no"], ["nothing", "Nothing"]];

const kindOf = (value) => (value === null ? "nothing" : typeof value === "boolean" ? "yes-no" : typeof value === "number" ? "number" : "text");

/**
 * The fields. `read()` gives the settings as they stand there.
 * @param {Settings} settings
 * @returns {{node: HTMLElement, read: () => Settings}}
 */
export function settingsFields({ platform, connectors }) {
  const keys = h("ul", { class: "setting-rows" }, Object.entries(platform).map(([key, value]) => keyRow(key, value)));
  const list = h("ul", { class: "setting-rows" }, connectors.map(connectorRow));
  const add = (place, make) => () => {
    const row = make();
    place.append(row);
    row.querySelector("input").focus();
  };
  const node = h("div", { class: "settings-fields" },
    h("section", { "aria-label": "Platform" }, h("h2", {}, "Platform"), h("p", { class: "soft" }, "Keys that agents find in their config. The first three are always there; what the others mean is between you and your agents."), keys, h("p", {}, button("Add a key", add(keys, () => keyRow("", "")), { icon: "add" }))),
    h("section", { "aria-label": "Connectors" }, h("h2", {}, "Connectors"), h("p", { class: "soft" }, "Sources that agents may use, in this order."), list, h("p", {}, button("Add a connector", add(list, () => connectorRow({ id: "", name: "", enabled: true })), { icon: "add" }))));
  return { node, read: () => ({ platform: Object.fromEntries(readAll(keys)), connectors: readAll(list) }) };
}

/** What each line reads, in their order. @param {HTMLElement} list @returns {any[]} */
const readAll = (list) => [.../** @type {Iterable<any>} */ (list.children)].map((row) => row.read());

/** A key with its value; `read()` of the row gives both. */
function keyRow(key, value) {
  const name = h("input", { value: key, "aria-label": "Key", readonly: ALWAYS.includes(key), class: "mono", required: true });
  const kind = h("select", { "aria-label": `Kind of ${key || "the new key"}` }, KINDS.map(([id, text]) => h("option", { value: id, selected: id === kindOf(value) }, text)));
  const place = h("span", { class: "setting-value" });
  let input = valueInput(kindOf(value), value, key);
  place.append(input);
  kind.addEventListener("change", () => {
    const fresh = valueInput(kind.value, input.value ?? "", name.value);
    place.replaceChildren(fresh);
    input = fresh;
  });
  const row = h("li", { class: "setting-row" }, name, kind, place, ALWAYS.includes(key) ? h("span", {}) : removal(`Remove ${key || "this key"}`, () => row.remove()));
  return Object.assign(row, { read: () => [name.value.trim(), input.read()] });
}

/** What takes a value of that kind; `read()` gives it, and `value` is its text, where it has one. @returns {HTMLElement & {read: () => any, value?: string}} */
function valueInput(kind, value, key) {
  const label = { "aria-label": `Value of ${key || "the new key"}` };
  if (kind === "nothing") return Object.assign(h("span", { class: "faint" }, "agents get null"), { read: () => null });
  if (kind === "yes-no") {
    const select = h("select", label, h("option", { value: "true" }, "Yes"), h("option", { value: "false", selected: String(value) === "false" }, "No"));
    return Object.assign(select, { read: () => select.value === "true" });
  }
  const input = h("input", { ...label, type: kind === "number" ? "number" : "text", step: "any", value: value ?? "" });
  return Object.assign(input, { read: () => (kind === "number" ? Number(input.value) : input.value) });
}

/** A connector; `read()` of the row gives it. */
function connectorRow({ id, name, enabled }) {
  const ids = h("input", { value: id, class: "mono", "aria-label": "Id of the connector", required: true, placeholder: "google_maps" });
  const names = h("input", { value: name, "aria-label": `Name of ${id || "the new connector"}`, required: true, placeholder: "Google Maps" });
  const on = h("input", { type: "checkbox", checked: enabled });
  const up = h("button", { type: "button", class: "bare", "aria-label": `Move ${id || "this connector"} up`, title: "Move up", on: { click: () => row.previousElementSibling?.before(row) } }, "↑");
  const row = h("li", { class: "setting-row" }, ids, names, h("label", { class: "inline-field" }, on, "Enabled"), h("span", { class: "row-actions" }, up, removal(`Remove ${id || "this connector"}`, () => row.remove())));
  return Object.assign(row, { read: () => ({ id: ids.value.trim(), name: names.value.trim(), enabled: on.checked }) });
}

const removal = (label, act) => h("button", { type: "button", class: "bare", "aria-label": label, title: label, on: { click: act } }, icon("cross"));
