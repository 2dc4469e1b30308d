/** What differs between two JSON values, field by field. */

import { h } from "../lib/dom.js";

/** @typedef {{path: string, was: any, is: any}} Change `undefined` stands for what is not there */

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/**
 * The changes from one value to another, down to what is no object; lists are compared as a whole.
 * @param {any} was @param {any} is @param {string} [path]
 * @returns {Change[]}
 */
export function changesOf(was, is, path = "") {
  if (JSON.stringify(was) === JSON.stringify(is)) return [];
  if (!isObject(was) || !isObject(is)) return [{ path, was, is }];
  const names = [...new Set([...Object.keys(is), ...Object.keys(was)])];
  return names.flatMap((name) => changesOf(was[name], is[name], path ? `${path}.${name}` : name));
}

/**
 * What two made of the same value, as one: ours where we have changed it, else theirs. Lists are taken as a whole.
 * @param {any} before @param {any} mine @param {any} theirs
 * @returns {any}
 */
export function merged(before, mine, theirs) {
  if (JSON.stringify(before) === JSON.stringify(mine)) return theirs;
  if (!isObject(before) || !isObject(mine) || !isObject(theirs)) return mine;
  const names = new Set([...Object.keys(theirs), ...Object.keys(mine)]);
  const pairs = [...names].map((name) => [name, merged(before[name], mine[name], theirs[name])]);
  return Object.fromEntries(pairs.filter(([, value]) => value !== undefined));
}

const words = (value) => (value === undefined ? h("span", { class: "faint" }, "not set") : typeof value === "string" ? value : JSON.stringify(value));

/** Changes as a table of before and after; text only. @param {Change[]} changes @returns {HTMLElement} */
export function diffTable(changes) {
  if (changes.length === 0) return h("p", { class: "faint" }, "Nothing.");
  const row = ({ path, was, is }) => h("tr", {}, h("th", { scope: "row" }, path || "all"), h("td", { class: "was" }, words(was)), h("td", { class: "is" }, words(is)));
  const head = h("tr", {}, ["Field", "Before", "After"].map((each) => h("th", { scope: "col" }, each)));
  return h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": "Changes" }, h("table", { class: "diff" }, h("thead", {}, head), h("tbody", {}, changes.map(row))));
}
