/** Changes that others make to what is the organization's own: types, settings, members. */

import { whileShown } from "./while_shown.js";

const LOOK_MS = 200;

/**
 * Look again when something of that kind has changed, or may have, until the page is left.
 * @param {import("../lib/router.js").Context} ctx
 * @param {{what: string, id?: string}} wanted as `org.changed` says it; with an `id` that thing alone
 * @param {() => Promise<any>} look
 * @returns {() => void} look soon, whatever was heard
 */
export function whenChanged(ctx, { what, id }, look) {
  const looks = whileShown(ctx, look, LOOK_MS);
  const off = ctx.live.on(["org.changed", "gap"], (event, data) => {
    if (event === "gap" || (data.what === what && (id === undefined || data.id === id))) looks.soon();
  });
  ctx.signal.addEventListener("abort", off);
  return looks.soon;
}

/**
 * Whether somebody is at work in that form: has typed there, added or removed a line, or stands in a field.
 * @param {HTMLElement} form
 * @returns {() => boolean}
 */
export function editing(form) {
  let touched = false;
  const touch = () => {
    touched = true;
  };
  form.addEventListener("input", touch);
  form.addEventListener("change", touch);
  form.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    if (button && button.getAttribute("role") !== "tab") touch();
  });
  return () => touched || (form.contains(document.activeElement) && document.activeElement?.matches("input, select, textarea") === true);
}
