/** A question with fields: a form in a dialog, which closes when its submit succeeds and shows at its fields what was refused. */

import { h } from "../lib/dom.js";
import { button, dialog, form } from "../lib/ui.js";

/**
 * Ask. Resolves with what `submit` resolved to; with undefined when it was dismissed.
 * @param {{title: string, text?: any, fields: any[], verb: string, kind?: "primary"|"danger", submit: (values: Record<string, any>) => Promise<any>}} asked
 * @returns {Promise<any>}
 */
export async function formDialog({ title, text, fields, verb, kind, submit }) {
  let answer;
  const close = () => /** @type {HTMLDialogElement} */ (body.closest("dialog")).close();
  const done = async (values) => {
    answer = await submit(values);
    close();
  };
  const body = form({ fields, verb, kind, submit: done, extra: button("Back", close) });
  await dialog({ title, body: [text ? h("p", {}, text) : null, body], actions: [] });
  return answer;
}

/**
 * An answer, where a refusal because somebody has changed it meanwhile (412) says what to do.
 * @template T @param {Promise<T>} answer @returns {Promise<T>}
 */
export async function meanwhile(answer) {
  try {
    return await answer;
  } catch (problem) {
    if (problem.status !== 412) throw problem;
    throw Object.assign(new Error(), { detail: "Somebody has changed it since this was opened. Go back and open it again to see what it is now." });
  }
}
