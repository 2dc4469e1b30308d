/** Short notes that go by themselves; errors stay until they are dismissed. */

import { h } from "../dom.js";
import { icon } from "../icons.js";

const SHOWN = 5000; // ms

function region() {
  return document.getElementById("toasts") ?? document.body.appendChild(h("div", { id: "toasts", role: "region", "aria-label": "Notes", popover: "manual" }));
}

/**
 * Show a note. @param {string | Node} text @param {"good" | "bad" | "plain"} [kind]
 */
export function toast(text, kind = "plain") {
  const place = region();
  const note = h("div", { class: `toast ${kind}`, role: kind === "bad" ? "alert" : "status" }, icon({ good: "check", bad: "warning" }[kind] ?? "right"), h("span", text));
  note.append(h("button", { class: "bare", type: "button", "aria-label": "Dismiss", on: { click: gone } }, icon("cross")));
  function gone() {
    note.remove();
    if (!place.childElementCount) place.hidePopover?.();
  }
  place.append(note);
  while (place.childElementCount > 4) place.firstChild?.remove();
  raise(place);
  if (kind !== "bad") setTimeout(gone, SHOWN);
}

/** Above everything, an open dialog included. */
function raise(place) {
  if (!place.showPopover) return;
  if (place.matches(":popover-open")) place.hidePopover();
  place.showPopover();
}
