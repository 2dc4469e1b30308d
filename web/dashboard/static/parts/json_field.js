/** JSON that people edit: what is wrong with it is said while they type, with the line. */

import { field } from "../lib/ui.js";

/**
 * A field of JSON; `read()` gives the value, or shows what is wrong and throws.
 * @param {{label: string, name: string, value: any, rows?: number, hint?: any}} told `value` as JSON would have it
 * @returns {any} what `field` gives, with `read`
 */
export function jsonField({ label, name, value, rows = 12, hint }) {
  const node = field({ label, name, type: "json", rows, hint, required: true, value: JSON.stringify(value, null, 2) });
  node.classList.add("json-field");
  const check = () => {
    const { message } = parsed(node.input.value);
    node.refuse(message ?? "");
    return message === undefined;
  };
  node.input.addEventListener("change", check);
  node.input.addEventListener("input", () => node.input.getAttribute("aria-invalid") && check());
  node.read = () => {
    const { found, message } = parsed(node.input.value);
    if (message === undefined) return found;
    throw Object.assign(new Error(message), { detail: "That is not JSON yet.", errors: [{ path: `$.${name}`, message }] });
  };
  return node;
}

/** The value of a text, or what is wrong with it and where. @param {string} text @returns {{found?: any, message?: string}} */
export function parsed(text) {
  try {
    return { found: JSON.parse(text) };
  } catch (error) {
    const at = /position (\d+)/.exec(error.message);
    const place = at && !/line \d+/.test(error.message) ? ` (line ${text.slice(0, Number(at[1])).split("\n").length})` : "";
    return { message: `Not JSON yet: ${error.message}${place}` };
  }
}
