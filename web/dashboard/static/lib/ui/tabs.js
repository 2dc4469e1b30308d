/** Parts of a page of which one is shown. */

import { h, replace } from "../dom.js";

let made = 0;

/**
 * Tabs. The element has `select(id)`. @param {{id: string, text: any, show: () => Node}[]} all
 * @param {{selected?: string | null, onSelect?: (id: string) => void, label?: string}} [options]
 */
export function tabs(all, { selected, onSelect, label } = {}) {
  const group = `tabs-${++made}`;
  const panel = h("div", { role: "tabpanel", id: `${group}-panel`, tabindex: "0" });
  const heads = all.map(({ id, text }) => h("button", { type: "button", role: "tab", id: `${group}-${id}`, "aria-controls": `${group}-panel`, data: { id } }, text));
  const node = /** @type {any} */ (h("div", { class: "tabs" }, h("div", { role: "tablist", "aria-label": label }, heads), panel));
  node.select = (id) => {
    const at = Math.max(0, all.findIndex((each) => each.id === id));
    heads.forEach((head, place) => {
      head.setAttribute("aria-selected", String(place === at));
      head.tabIndex = place === at ? 0 : -1;
    });
    panel.setAttribute("aria-labelledby", heads[at].id);
    replace(panel, all[at].show());
  };
  const choose = (head) => {
    node.select(head.dataset.id);
    onSelect?.(head.dataset.id);
  };
  node.firstChild.addEventListener("click", (event) => event.target.closest("[role=tab]") && choose(event.target.closest("[role=tab]")));
  node.firstChild.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const head = heads[(heads.findIndex((each) => each === document.activeElement) + step + heads.length) % heads.length];
    head.focus();
    choose(head);
  });
  node.select(selected ?? all[0].id);
  return node;
}
