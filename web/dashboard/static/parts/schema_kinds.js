/** What a piece of JSON Schema asks for, as far as a form can offer fields for it. Pure. */

/** @typedef {Record<string, any>} Schema */

/**
 * What to show. `json`: anything that has no field of its own is written as JSON.
 * @typedef {"text"|"password"|"datetime"|"long"|"number"|"integer"|"boolean"|"choice"|"list"|"object"|"json"} Kind
 */

const SCALARS = ["string", "number", "integer", "boolean"];
const ELSEWHERE = ["anyOf", "oneOf", "allOf", "if", "not", "patternProperties", "dependentSchemas", "prefixItems"];
const LONG = 200; // characters that a text may have, from which on it gets several lines
const DEEPEST = 6; // objects within each other, that get fields

/**
 * The schema with its `$ref` followed, when that leads into the schema itself.
 * @param {unknown} schema
 * @param {Schema} root
 * @returns {Schema}
 */
export function resolved(schema, root) {
  let found = /** @type {Schema} */ (isObject(schema) ? schema : {});
  for (let steps = 0; typeof found.$ref === "string" && steps < 10; steps += 1) {
    const target = found.$ref === "#" ? root : lookUp(root, found.$ref);
    if (!isObject(target)) return {};
    const { $ref, ...beside } = found;
    found = { .../** @type {Schema} */ (target), ...beside };
  }
  return found;
}

/**
 * @param {Schema} root
 * @param {string} pointer such as `#/$defs/map`
 */
function lookUp(root, pointer) {
  if (!pointer.startsWith("#/")) return null;
  /** @type {any} */
  let here = root;
  for (const step of pointer.slice(2).split("/")) {
    const name = step.replaceAll("~1", "/").replaceAll("~0", "~");
    here = isObject(here) || Array.isArray(here) ? (Object.hasOwn(here, name) ? here[name] : null) : null;
  }
  return here;
}

/**
 * The one type that is asked for, `null` beside it left aside; null when there are several or none.
 * @param {Schema} schema
 */
function typeOf(schema) {
  if (typeof schema.type === "string") return schema.type;
  const types = Array.isArray(schema.type) ? schema.type.filter((one) => one !== "null") : [];
  return types.length === 1 ? types[0] : null;
}

/**
 * @param {Schema} schema already resolved
 * @param {Schema} root
 * @param {number} depth of objects around it
 * @returns {Kind}
 */
export function kindOf(schema, root, depth = 0) {
  if (ELSEWHERE.some((name) => name in schema)) return "json";
  if (Array.isArray(schema.enum)) return schema.enum.length && schema.enum.every(isScalar) ? "choice" : "json";
  if ("const" in schema) return isScalar(schema.const) ? "choice" : "json";
  const type = typeOf(schema);
  if (type === "string") return textKind(schema);
  if (type === "number" || type === "integer" || type === "boolean") return type;
  if (type === "object") return isObject(schema.properties) && depth < DEEPEST ? "object" : "json";
  if (type === "array") return isObject(schema.items) && ofScalars(resolved(schema.items, root), root) ? "list" : "json";
  return "json";
}

/**
 * @param {Schema} schema
 * @returns {Kind}
 */
function textKind(schema) {
  if (schema.writeOnly === true) return "password";
  if (schema.format === "date-time") return "datetime";
  return typeof schema.maxLength === "number" && schema.maxLength > LONG ? "long" : "text";
}

/**
 * @param {Schema} items
 * @param {Schema} root
 */
function ofScalars(items, root) {
  const kind = kindOf(items, root);
  return kind === "choice" || (kind !== "json" && SCALARS.includes(typeOf(items) ?? ""));
}

/**
 * The values to choose from.
 * @param {Schema} schema of the kind `choice`
 * @returns {(string|number|boolean|null)[]}
 */
export function choicesOf(schema) {
  return Array.isArray(schema.enum) ? schema.enum : [schema.const];
}

/**
 * What a new payload holds: defaults, and the objects that hold them; but no object that could not be sent as it is and
 * need not be there at all.
 * @param {Schema} schema
 * @param {Schema} root
 * @returns {any} undefined when there is nothing
 */
export function defaultOf(schema, root, depth = 0, needed = true) {
  const here = resolved(schema, root);
  if ("default" in here) return structuredClone(here.default);
  if (kindOf(here, root, depth) !== "object") return undefined;
  const required = Array.isArray(here.required) ? here.required : [];
  const made = Object.entries(here.properties)
    .map(([name, part]) => [name, defaultOf(/** @type {Schema} */ (part), root, depth + 1, required.includes(name))])
    .filter(([, value]) => value !== undefined);
  if (!needed && required.some((name) => !made.some(([given]) => given === name))) return undefined;
  return made.length || depth === 0 ? Object.fromEntries(made) : undefined;
}

/**
 * The payload without what is not to be shown again, such as passwords.
 * @param {any} value
 * @param {Schema} schema
 * @param {Schema} root
 * @param {string|null} instead put there; null: leave it out
 * @returns {any}
 */
export function withoutSecrets(value, schema, root, instead = null, depth = 0) {
  const here = resolved(schema, root);
  if (!isObject(value) || !isObject(here.properties) || depth > DEEPEST) return value;
  const kept = Object.entries(value).map(([name, one]) => {
    const part = Object.hasOwn(here.properties, name) ? resolved(here.properties[name], root) : {};
    if (part.writeOnly === true) return [name, instead];
    return [name, withoutSecrets(one, part, root, instead, depth + 1)];
  });
  return Object.fromEntries(kept.filter(([name, one]) => one !== null || value[/** @type {string} */ (name)] === null));
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, any>}
 */
export function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** @param {unknown} value */
function isScalar(value) {
  return value === null || ["string", "number", "boolean"].includes(typeof value);
}
