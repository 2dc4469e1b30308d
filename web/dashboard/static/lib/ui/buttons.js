/** Buttons that wait for what they have begun. */

import { h } from "../dom.js";
import { icon } from "../icons.js";
import { toast } from "./toasts.js";

/**
 * A button. While the promise of `onclick` runs it is disabled; a Problem is shown in a toast.
 *
 * @param {string} text
 * @param {(event: Event) => any} onclick
 * @param {{kind?: "primary" | "danger" | "plain", disabled?: boolean, title?: string, icon?: string, label?: string}} [options] `label` for readers when `text` is ""
 * @returns {HTMLButtonElement}
 */
export function button(text, onclick, { kind = "plain", disabled = false, title, icon: sign, label } = {}) {
  const node = h("button", { type: "button", class: `button ${kind}`, disabled, title, "aria-label": label }, sign ? icon(sign) : null, text ? h("span", text) : null);
  node.addEventListener("click", async (event) => {
    if (node.ariaBusy === "true") return;
    try {
      const begun = onclick(event);
      if (!begun?.then) return;
      node.ariaBusy = "true";
      node.disabled = true;
      await begun;
    } catch (error) {
      if (error.name !== "AbortError") toast(error.detail ?? String(error), "bad");
    } finally {
      if (node.ariaBusy === "true") node.disabled = disabled;
      node.ariaBusy = null;
    }
  });
  return node;
}

let menus = 0;

/**
 * A button that opens a small menu. @param {string} text @param {(Node | {text: string, onclick?: () => any, href?: string, danger?: boolean})[]} items
 * @param {{icon?: string, label?: string}} [options]
 */
export function menu(text, items, { icon: sign = "more", label } = {}) {
  const id = `menu-${++menus}`;
  const list = h("div", { class: "menu", popover: "auto", id });
  for (const item of items) list.append(item instanceof Node ? item : entry(item));
  const opener = h("button", { type: "button", class: "button plain", "aria-haspopup": "menu", "aria-label": label, popovertarget: id }, icon(sign), text ? h("span", text) : null);
  const choices = () => [.../** @type {NodeListOf<HTMLElement>} */ (list.querySelectorAll("a, button"))];
  list.addEventListener("toggle", (event) => {
    if (event.newState !== "open") return;
    const at = opener.getBoundingClientRect();
    const left = Math.max(8, Math.min(at.left, innerWidth - list.offsetWidth - 8));
    const below = at.bottom + 4 + list.offsetHeight < innerHeight;
    list.style.left = `${left}px`;
    list.style.top = below ? `${at.bottom + 4}px` : `${Math.max(8, at.top - 4 - list.offsetHeight)}px`;
    choices()[0]?.focus();
  });
  list.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const all = choices();
    const at = all.findIndex((each) => each === document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
    all[(at + all.length) % all.length]?.focus();
    event.preventDefault();
  });
  list.addEventListener("click", (event) => event.target instanceof Element && event.target.closest("a, button") && list.hidePopover());
  return h("span", { class: "menu-place" }, opener, list);
}

/** @param {{text: string, onclick?: () => any, href?: string, danger?: boolean}} told */
function entry({ text, onclick, href, danger }) {
  return href ? h("a", { href }, text) : h("button", { type: "button", class: danger ? "danger" : null, on: { click: run } }, text);
  async function run() {
    try {
      await onclick?.();
    } catch (error) {
      if (error.name !== "AbortError") toast(error.detail ?? String(error), "bad");
    }
  }
}
