/** Single fields of a payload's form. Each hands over its value as JSON has it; an empty one is no value at all. */

import { h, replace } from "../lib/dom.js";
import { field } from "../lib/ui.js";
import { choicesOf, resolved } from "./schema_kinds.js";

/** @typedef {import("./schema_kinds.js").Schema} Schema */
/** @typedef {import("./schema_kinds.js").Kind} Kind */

/**
 * `mistake()` is empty when all is well.
 * @typedef {{node: HTMLElement, refuse: (text: string) => void, mistake: () => string, focus: () => void}} Made
 * @typedef {{kind: Kind, schema: Schema, root: Schema, name: string, path: string, required: boolean, needed: () => boolean,
 *   value: any, changed: (fresh: any) => void}} Wanted `required` by its schema; `needed`: and the object around it is there
 */

/**
 * The field of a property.
 * @param {Wanted} wanted
 * @returns {Made}
 */
export function fieldFor(wanted) {
  if (wanted.kind === "list") return listField(wanted);
  const parts = PARTS[wanted.kind](wanted);
  const said = { label: label(wanted.schema, [wanted.name]), name: `payload.${wanted.path}`, required: wanted.required, hint: hint(wanted), placeholder: example(wanted.schema) };
  const node = field({ ...said, ...parts.told });
  const read = () => parts.read(node);
  node.addEventListener("input", () => {
    node.refuse("");
    const found = read();
    if (!(found instanceof Error)) wanted.changed(found);
  });
  return {
    node,
    refuse: (text) => node.refuse(text),
    focus: () => node.input.focus(),
    mistake: () => {
      const found = read();
      if (found instanceof Error) return found.message;
      return wanted.needed() && found === undefined ? "This is needed." : "";
    },
  };
}

/** What `field` is told, and how its value is read; an Error says why it cannot be. */
const PARTS = {
  text: ({ schema, value }) => text({ type: "text", value, maxlength: schema.maxLength }),
  password: ({ value }) => text({ type: "password", value, autocomplete: "new-password" }),
  long: ({ value, schema }) => text({ type: "textarea", value, rows: 4, maxlength: schema.maxLength }),
  datetime: ({ value }) => ({
    told: { type: "datetime-local", step: 1, value: localTime(value) },
    read: (node) => (node.value === "" ? undefined : new Date(node.value).toISOString()),
  }),
  number: (wanted) => numeric(wanted, "any", /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i, "This is not a number."),
  integer: (wanted) => numeric(wanted, 1, /^-?\d+$/, "This is not a whole number."),
  boolean: ({ value }) => choice([true, false], value, ["yes", "no"]),
  choice: ({ schema, value }) => choice(choicesOf(schema), value),
  json: ({ value }) => ({
    told: { type: "json", value: value === undefined ? "" : JSON.stringify(value, null, 2), placeholder: "JSON" },
    read: (node) => parsed(node.value),
  }),
};

function text(told) {
  return { told, read: (node) => (node.value === "" ? undefined : node.value) };
}

function numeric({ value, schema }, step, fits, complaint) {
  const told = { type: "text", inputmode: step === 1 ? "numeric" : "decimal", value: value === undefined ? "" : String(value) };
  const bounds = (number) => {
    if (typeof schema.minimum === "number" && number < schema.minimum) return new Error(`The least is ${schema.minimum}.`);
    if (typeof schema.maximum === "number" && number > schema.maximum) return new Error(`The most is ${schema.maximum}.`);
    return number;
  };
  const read = (node) => {
    const said = node.value.trim();
    if (said === "") return undefined;
    return fits.test(said) ? bounds(Number(said)) : new Error(complaint);
  };
  return { told, read };
}

function choice(values, value, names = values.map((one) => (one === "" ? "(empty)" : String(one)))) {
  const options = [{ value: "", text: "–" }, ...names.map((name, place) => ({ value: String(place), text: name }))];
  const at = values.findIndex((one) => one === value);
  return { told: { type: "select", options, value: at < 0 ? "" : String(at) }, read: (node) => (node.value === "" ? undefined : values[Number(node.value)]) };
}

function parsed(said) {
  if (said.trim() === "") return undefined;
  try {
    return JSON.parse(said);
  } catch (error) {
    return new Error(`This is not JSON: ${/** @type {Error} */ (error).message}`);
  }
}

/**
 * One row per value, with a button that takes it away, and one that adds another.
 * @param {Wanted} wanted
 * @returns {Made}
 */
function listField(wanted) {
  const { schema, root, required, needed, changed } = wanted;
  const items = resolved(schema.items, root);
  const kind = items.enum || "const" in items ? "choice" : items.type;
  const rows = h("div", { class: "sf-rows" });
  const refusal = h("p", { class: "field-error", role: "alert" });
  /** @type {{value: any, made: Made}[]} */
  const all = [];
  const tell = () => changed(all.length ? all.map(({ value }) => value).filter((value) => value !== undefined) : undefined);
  const add = (/** @type {any} */ value) => {
    const entry = /** @type {{value: any, made: Made}} */ ({ value });
    const made = fieldFor({ kind: kind === "string" ? "text" : kind, schema: { ...items, title: `${label(schema, [wanted.name])} ${all.length + 1}`, description: undefined }, root, name: wanted.name, path: `${wanted.path}[${all.length}]`, required: true, needed: () => true, value, changed: (fresh) => {
      entry.value = fresh;
      tell();
    } });
    entry.made = made;
    all.push(entry);
    const away = h("button", { type: "button", class: "button plain", "aria-label": "Remove", on: { click: () => {
      all.splice(all.indexOf(entry), 1);
      row.remove();
      tell();
    } } }, "Remove");
    const row = h("div", { class: "sf-row" }, made.node, away);
    rows.append(row);
    return made;
  };
  for (const value of Array.isArray(wanted.value) ? wanted.value : []) add(value);
  const more = h("button", { type: "button", class: "button plain", on: { click: () => add(undefined).focus() } }, "Add");
  const node = h("fieldset", { class: "sf-list" }, h("legend", null, label(schema, [wanted.name]), required ? null : h("span", { class: "optional" }, " optional")), schema.description ? h("p", { class: "hint" }, schema.description) : null, rows, refusal, more);
  return {
    node,
    refuse: (said) => void replace(refusal, said || null),
    focus: () => /** @type {HTMLElement|null} */ (node.querySelector("input, select, button"))?.focus(),
    mistake: () => {
      const wrong = all.map(({ made }) => ({ made, why: made.mistake() })).filter(({ why }) => why);
      for (const { made, why } of wrong) made.refuse(why);
      if (wrong.length) return "One of these is not as it should be.";
      return needed() && !all.length && schema.minItems ? "This is needed." : "";
    },
  };
}

/**
 * @param {Schema} schema
 * @param {string[]} keys
 */
export function label(schema, keys) {
  return typeof schema.title === "string" && schema.title ? schema.title : keys[keys.length - 1];
}

/** @param {Wanted} wanted */
function hint({ schema, kind }) {
  const bounds = [
    kind === "json" ? "As JSON." : "",
    schema.minLength > 1 ? `At least ${schema.minLength} characters.` : "",
    typeof schema.minimum === "number" ? `From ${schema.minimum}${typeof schema.maximum === "number" ? ` to ${schema.maximum}` : ""}.` : "",
    schema.minimum === undefined && typeof schema.maximum === "number" ? `Up to ${schema.maximum}.` : "",
    typeof schema.pattern === "string" && kind === "text" ? `Pattern: ${schema.pattern}` : "",
  ];
  return [typeof schema.description === "string" ? schema.description : "", ...bounds].filter(Boolean).join(" ") || undefined;
}

/** @param {Schema} schema */
function example(schema) {
  const first = Array.isArray(schema.examples) ? schema.examples[0] : schema.default;
  return first === undefined || typeof first === "object" ? undefined : String(first);
}

/** What a field for a local time takes; RFC 3339 comes in. @param {unknown} value */
export function localTime(value) {
  const at = new Date(String(value ?? ""));
  if (Number.isNaN(at.getTime())) return "";
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
