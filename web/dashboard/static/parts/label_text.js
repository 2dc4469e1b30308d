/** Labels as people type them: `key=value`, one a line. */

/** @param {Record<string, string>} labels @returns {string} */
export const labelLines = (labels) => Object.entries(labels).map(([key, value]) => `${key}=${value}`).join("\n");

/**
 * Read them; a line without `=` is a key without a value, and of two with the same key the last one counts.
 * @param {string} text @returns {Record<string, string>}
 */
export function labelsIn(text) {
  const pairs = text.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => {
    const at = line.indexOf("=");
    return at < 0 ? [line, ""] : [line.slice(0, at).trim(), line.slice(at + 1).trim()];
  });
  return Object.fromEntries(pairs);
}

/** What `field` takes for labels. @param {Record<string, string>} labels @param {string} [hint] */
export const labelField = (labels, hint = "One a line, key=value. Jobs that are for any host may ask for them.") => ({
  label: "Labels", name: "labels", type: "textarea", rows: Math.min(8, Math.max(3, Object.keys(labels).length + 1)), value: labelLines(labels), hint, placeholder: "zone=eu",
});
