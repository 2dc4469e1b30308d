/** Questions that must be answered before anything else. */

import { h, replace } from "../dom.js";
import { button } from "./buttons.js";

let dialogs = 0;

/**
 * A dialog. Resolves with the `value` of the action, or with what its `run` resolves to; with null when it is dismissed.
 * A `run` that rejects keeps it open and shows why.
 *
 * @typedef {{text: string, kind?: "primary" | "danger" | "plain", value?: any, run?: () => any}} Action
 * @param {{title: string, body?: any, actions?: Action[]}} told
 * @returns {Promise<any>}
 */
export function dialog({ title, body, actions = [{ text: "Close", value: null }] }) {
  return new Promise((resolve) => {
    const id = `dialog-${++dialogs}`;
    const problem = h("p", { class: "bad", role: "alert" });
    const node = /** @type {HTMLDialogElement} */ (h("dialog", { "aria-labelledby": id }, h("h2", { id }, title), h("div", { class: "dialog-body" }, body), problem));
    let answer = null;
    const act = (/** @type {Action} */ { value = null, run }) => async () => {
      replace(problem);
      try {
        answer = run ? await run() : value;
        node.close();
      } catch (error) {
        if (error.name !== "AbortError") replace(problem, error.detail ?? String(error));
      }
    };
    node.append(h("div", { class: "dialog-actions" }, actions.map((each) => button(each.text, act(each), { kind: each.kind }))));
    node.addEventListener("close", () => {
      node.remove();
      resolve(answer);
    });
    document.body.append(node);
    node.showModal();
    const first = node.querySelector("input:not([type=hidden]), select, textarea") ?? node.querySelector(".dialog-actions button");
    /** @type {HTMLElement | null} */ (first)?.focus();
  });
}

/**
 * Ask before something that cannot be taken back. @param {{title: string, text?: any, verb: string, danger?: boolean}} told
 * @returns {Promise<boolean>}
 */
export async function confirm({ title, text, verb, danger = false }) {
  /** @type {Action[]} */
  const actions = [{ text: "Back", value: false }, { text: verb, value: true, kind: danger ? "danger" : "primary" }];
  return (await dialog({ title, body: text ? h("p", text) : null, actions })) === true;
}
