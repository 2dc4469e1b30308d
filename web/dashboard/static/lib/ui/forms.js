/** Fields and forms; what the server refuses is shown at the field that it names. */

import { h, replace } from "../dom.js";
import { button } from "./buttons.js";

let fields = 0;

/**
 * A field with its label. The element has `value` (text; a boolean for `checkbox`), `input`, `name` and `refuse(text)`.
 *
 * @param {{label: string, name: string, type?: string, value?: any, hint?: any, error?: string, options?: (string | {value: string, text: string})[],
 *   required?: boolean, placeholder?: string, rows?: number, autocomplete?: string, min?: number, max?: number, step?: any, pattern?: string, disabled?: boolean, inputmode?: string}} told
 *   `type`: that of an input, or `select`, `textarea`, `json`
 */
export function field({ label, name, type = "text", value, hint, error, options, required = false, ...others }) {
  const id = `field-${++fields}`;
  const props = { id, name, required, ...others, "aria-describedby": `${id}-hint ${id}-error` };
  const input = /** @type {any} */ (control(type, props, options));
  if (type === "checkbox") input.checked = Boolean(value);
  else if (value !== undefined && value !== null) input.value = value;
  const refusal = h("p", { id: `${id}-error`, class: "field-error", role: "alert" });
  const node = /** @type {any} */ (h("div", { class: `field ${type}` }, h("label", { for: id }, label, required ? null : h("span", { class: "optional" }, type === "checkbox" ? "" : " optional")), input, hint ? h("p", { id: `${id}-hint`, class: "hint" }, hint) : h("span", { id: `${id}-hint`, hidden: true }), refusal));
  node.input = input;
  node.name = name;
  node.refuse = (text) => {
    replace(refusal, text || null);
    if (text) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };
  Object.defineProperty(node, "value", {
    get: () => (type === "checkbox" ? input.checked : input.value),
    set: (fresh) => (type === "checkbox" ? (input.checked = Boolean(fresh)) : (input.value = fresh)),
  });
  if (error) node.refuse(error);
  return node;
}

function control(type, props, options = []) {
  if (type === "select") return h("select", props, options.map((each) => (typeof each === "string" ? h("option", { value: each }, each) : h("option", { value: each.value }, each.text))));
  if (type === "textarea" || type === "json") return h("textarea", { rows: 4, spellcheck: type === "json" ? "false" : null, ...props });
  return h("input", { type, autocomplete: "off", ...props });
}

/**
 * A form. `submit` gets the values by name and may return a promise; the button waits for it. A Problem's mistakes are
 * shown at the fields of the same path (`$.name` at `name`), the others above the button. The element has `refuse(problem)`
 * and `values()`.
 *
 * @param {{fields: any[], verb: string, submit: (values: Record<string, any>) => any, kind?: "primary" | "danger", extra?: any}} told
 *   `fields`: what `field` gave, or what it takes; other nodes are shown among them
 */
export function form({ fields: wanted, verb, submit, kind = "primary", extra }) {
  const shown = wanted.filter(Boolean).map((each) => (each instanceof Node ? each : field(each)));
  const named = () => [...node.querySelectorAll(".field")].filter((each) => each.refuse);
  const problem = h("p", { class: "bad form-problem", role: "alert" });
  const send = button(verb, () => go(), { kind });
  send.type = "submit";
  const node = /** @type {any} */ (h("form", { novalidate: true, method: "dialog" }, shown, problem, h("div", { class: "form-actions" }, send, extra)));
  node.addEventListener("submit", (event) => event.preventDefault());
  node.values = () => Object.fromEntries(named().map((each) => [each.name, each.value]));
  node.refuse = (told) => {
    const left = [];
    for (const { path, message } of told.errors ?? []) {
      const place = find(named(), path);
      if (place) place.refuse(message);
      else left.push(`${path.replace(/^\$\.?/, "")}: ${message}`);
    }
    const placed = (told.errors ?? []).length > left.length;
    replace(problem, [...(placed && !left.length ? [] : [told.detail ?? String(told)]), ...left.filter((each) => !String(told.detail).includes(each))].join("\n"));
    node.querySelector("[aria-invalid=true]")?.focus();
  };
  async function go() {
    replace(problem);
    for (const each of named()) each.refuse("");
    const missing = named().filter(({ input }) => !input.checkValidity());
    for (const each of missing) each.refuse(each.input.validationMessage);
    if (missing.length) return missing[0].input.focus();
    try {
      await submit(node.values());
    } catch (error) {
      if (error.name !== "AbortError") node.refuse(error);
    }
  }
  return node;
}

/** The field at the path of a mistake, or at the nearest path above it: `$.payload.map` at `payload.map`, else at `payload`. */
function find(all, path) {
  let name = path.replace(/^(\$\.?|\?)/, "");
  while (name) {
    const found = all.find((each) => each.name === name);
    if (found) return found;
    name = /[.[]/.test(name) ? name.replace(/[.[][^.[]*$/, "") : "";
  }
  return null;
}
