/** Tables whose rows stay where they are while their cells change. */

import { h, keyed, replace } from "../dom.js";
import { go } from "../router.js";
import { button } from "./buttons.js";

/**
 * A table that scrolls in its own box. The element has `update(rows)`. Rows are `[data-row]`, so that `j` and `k` move among them.
 *
 * @template T
 * @param {{columns: {title: string, cell: (row: T) => any, class?: string, label?: string}[], rows: readonly T[], key: (row: T) => string,
 *   onOpen?: (row: T) => any, caption?: string, none?: Node}} told `onOpen` opens the row: it may return an address to go to. `none` is
 *   shown where there are no rows
 */
export function table({ columns, rows, key, onOpen, caption, none }) {
  const body = h("tbody");
  const head = h("thead", h("tr", columns.map((each) => h("th", { scope: "col", class: each.class, "aria-label": each.label }, each.title))));
  const box = h("div", { class: "table-box" }, h("table", { class: onOpen ? "open" : null }, caption ? h("caption", { class: "unseen" }, caption) : null, head, body));
  const node = /** @type {any} */ (h("div", { class: "table-place" }));
  const shown = new WeakMap();
  const cells = (row) => columns.map((each) => h("td", { class: each.class }, each.cell(row)));
  const make = (row) => {
    const line = h("tr", { data: { row: key(row) }, tabindex: onOpen ? "0" : null }, cells(row));
    shown.set(line, row);
    return line;
  };
  const update = (line, row) => {
    if (shown.get(line) === row) return;
    shown.set(line, row);
    columns.forEach((each, at) => {
      const cell = line.children[at];
      if (!cell.contains(document.activeElement)) replace(cell, each.cell(row)); // what has the focus keeps it
    });
  };
  const open = (event) => {
    const line = event.target.closest("tr[data-row]");
    if (!line || !onOpen || event.target.closest("a, button, input, label, select, summary")) return;
    if (event.type === "click" && String(getSelection())) return;
    const url = onOpen(shown.get(line));
    if (typeof url === "string") go(url);
  };
  body.addEventListener("click", open);
  body.addEventListener("keydown", (event) => event.key === "Enter" && open(event));
  node.update = (fresh) => {
    keyed(body, fresh, key, make, update);
    const wanted = fresh.length || !none ? box : none;
    if (node.firstChild !== wanted) replace(node, wanted);
  };
  node.update(rows);
  return node;
}

/** A button for what comes after this page of a list; nothing when there is no more. @param {string | null} nextCursor @param {(cursor: string) => any} onNext */
export function pager(nextCursor, onNext) {
  return h("div", { class: "pager" }, nextCursor ? button("More", () => onNext(nextCursor)) : null);
}
