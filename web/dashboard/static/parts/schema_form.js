/** A form for a payload, made from the JSON Schema of its type. What the schema cannot say as fields is written as JSON. */

import { h } from "../lib/dom.js";
import { fieldFor, label } from "./schema_fields.js";
import { isObject, kindOf, resolved } from "./schema_kinds.js";

/** @typedef {import("./schema_kinds.js").Schema} Schema */
/** @typedef {import("./schema_fields.js").Made} Made */

/** Fields for an object. `value` is the payload as it stands, with whatever the schema does not name. */
export class SchemaForm {
  /**
   * @param {Schema} schema
   * @param {Record<string, any>} value
   * @param {() => void} changed is called after every change
   */
  constructor(schema, value, changed) {
    this.root = schema;
    this.changed = changed;
    this.value = structuredClone(value);
    /** @type {Map<string, Made>} */
    this.fields = new Map();
    this.node = h("div", { class: "sf" }, ...this.object(resolved(schema, schema), [], 0, () => true));
  }

  /** The schema has fields to offer at all. @param {Schema} schema */
  static fits(schema) {
    const here = resolved(schema, schema);
    return kindOf({ type: "object", ...here }, schema) === "object" && Object.keys(here.properties).length > 0;
  }

  /**
   * @param {Schema} schema
   * @param {string[]} keys of the object, none for the payload itself
   * @param {number} depth
   * @param {() => boolean} there the object itself is needed, or something of it is given: only then its parts are needed
   * @returns {HTMLElement[]}
   */
  object(schema, keys, depth, there) {
    const required = Array.isArray(schema.required) ? schema.required : [];
    return Object.entries(schema.properties).map(([name, part]) =>
      this.property(resolved(part, this.root), [...keys, name], required.includes(name), depth, there),
    );
  }

  /**
   * @param {Schema} schema
   * @param {string[]} keys
   * @param {boolean} required
   * @param {number} depth
   * @param {() => boolean} there as of `object`
   */
  property(schema, keys, required, depth, there) {
    const kind = kindOf(schema, this.root, depth + 1);
    if (kind === "object") {
      const title = h("legend", label(schema, keys), required ? null : h("span", { class: "optional" }, " optional"));
      const about = typeof schema.description === "string" ? h("p", { class: "hint" }, schema.description) : null;
      return h("fieldset", { class: "sf-object" }, title, about, this.object(schema, keys, depth + 1, () => (required && there()) || this.read(keys) !== undefined));
    }
    const path = keys.join(".");
    const told = { kind, schema, root: this.root, name: keys[keys.length - 1], path, required, needed: () => required && there(), value: this.read(keys) };
    const made = fieldFor({ ...told, changed: (fresh) => this.write(keys, fresh) });
    this.fields.set(path, made);
    return made.node;
  }

  /** @param {string[]} keys */
  read(keys) {
    return keys.reduce((/** @type {any} */ here, key) => (isObject(here) && Object.hasOwn(here, key) ? here[key] : undefined), this.value);
  }

  /**
   * Put a value at its place; undefined takes it away, and objects that are empty then.
   * @param {string[]} keys
   * @param {any} fresh
   */
  write(keys, fresh) {
    this.value = put(this.value, keys, fresh) ?? {};
    this.changed();
  }

  /** As `check`, but nothing is said of it. */
  get fits() {
    return [...this.fields.values()].every((made) => made.mistake() === "");
  }

  /**
   * What the fields themselves find wrong, by path; shown there as well.
   * @returns {boolean} whether all is well
   */
  check() {
    const wrong = [...this.fields.values()].filter((made) => {
      const why = made.mistake();
      made.refuse(why);
      return why !== "";
    });
    wrong[0]?.focus();
    return !wrong.length;
  }

  /**
   * Show what the server refused at the field of the path, or at the nearest one above it.
   * @param {string} path below the payload, such as `maps[2].name`
   * @param {string} message
   * @returns {boolean} whether there was such a field
   */
  refuse(path, message) {
    for (let here = path; here; here = here.replace(/(^|\.)[^.[]*$|\[[^[\]]*\]$/, "")) {
      const made = this.fields.get(here);
      if (made) {
        made.refuse(here === path ? message : `${path.slice(here.length)}: ${message}`);
        return true;
      }
    }
    return false;
  }

  /** Forget all refusals. */
  accept() {
    for (const made of this.fields.values()) made.refuse("");
  }
}

/**
 * @param {any} here
 * @param {string[]} keys
 * @param {any} fresh
 * @returns {any} undefined when nothing is left of it
 */
function put(here, [key, ...rest], fresh) {
  const before = isObject(here) ? here : {};
  const value = rest.length ? put(before[key], rest, fresh) : fresh;
  const after = Object.fromEntries(Object.entries(before).filter(([name]) => name !== key));
  if (value !== undefined) return { ...after, [key]: value };
  return Object.keys(after).length ? after : undefined;
}
