/** What is shown where a page cannot be. */

import { SERVER } from "./base.js";
import { h } from "./dom.js";
import { live } from "./live.js";
import { button, copyBox } from "./ui.js";

/** Why, in words, and what can be done. @param {any} error @param {() => any} again @param {{href: string, text: string}} way out of here @returns {HTMLElement} */
export function apology(error, again, way) {
  const [title, text, more] = told(error, again, way);
  return h("section", { class: "page narrow apology", role: "alert" }, h("h1", title), h("p", text), more);
}

function told(error, again, way) {
  if (error.code === "setup_required") return notSetUp();
  if (error.status === 404) return ["Not here", error.detail ?? "There is nothing at this address, or it is not for you to see.", out(way)];
  if (error.status === 403) return ["Not for you", error.detail, out(way)];
  if (error.status === 0 || error.status >= 500 || error.status === 429) return ["The server cannot answer", live.state === "lost" ? "The page comes by itself as soon as it does." : error.detail, h("p", button("Try again", again, { kind: "primary" }))];
  if (error.status) return ["That did not work", error.detail, h("p", button("Try again", again))];
  console.warn(error);
  const text = "A part of this page could not be loaded. The server may have been updated since the page was opened.";
  return ["This page did not load", text, h("p", button("Load it anew", () => location.reload(), { kind: "primary" }))];
}

const out = ({ href, text }) => h("p", h("a", { class: "button primary", href }, text));

function notSetUp() {
  const link = `${SERVER.href}setup#token=…`;
  const more = [
    h("p", "It looks like this, and its token holds for an hour:"),
    copyBox(link),
    h("p", "Or make the account on the server's machine:"),
    copyBox("interlock admin setup --email you@example.com --name You --org Arcade"),
  ];
  return ["Interlock is not set up yet", "There is no account. Open the link that the server printed when it started.", more];
}
