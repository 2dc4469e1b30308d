/** The keys of a host's agent: made and shown once, rotated with an overlap, revoked. For admins. */

import { h, replace } from "../lib/dom.js";
import { button, confirm, copyBox, idText, relTime, toast } from "../lib/ui.js";
import { startCommand } from "./connect_agent.js";

const MOST = 2; // that hold at once

/**
 * The section of a host's keys.
 * @param {any} ctx as pages get it @param {string} hostId
 * @returns {{node: HTMLElement, load: () => Promise<void>}}
 */
export function hostKeys(ctx, hostId) {
  const path = `/api/orgs/${ctx.org.id}/hosts/${hostId}/keys`;
  const fresh = h("div", { class: "fresh-key" });
  const list = h("ul", { class: "rows" });
  const gone = h("div", {});
  const words = h("p", { class: "faint" });
  const issue = button("Issue a key", make, { kind: "plain" });
  const node = h("section", { class: "panel panel-keys", "aria-label": "Agent keys" }, h("h2", {}, "Agent keys"), words, list, fresh, issue, gone);

  async function load() {
    const { items } = await ctx.api.page(path, { signal: ctx.signal });
    const live = items.filter((key) => key.revokedAt === null);
    const revoked = items.filter((key) => key.revokedAt !== null).reverse();
    replace(words, told(live.length));
    replace(list, live.map((key) => row(key, live.length)));
    issue.hidden = live.length >= MOST;
    replace(/** @type {HTMLElement} */ (issue.querySelector("span")), live.length === 0 ? "Issue a key" : "Rotate: issue a second key");
    replace(gone, revoked.length === 0 ? null : h("details", {}, h("summary", {}, `${revoked.length} revoked`), h("ul", { class: "rows" }, revoked.map((key) => h("li", { class: "faint" }, idText(key.kid), " revoked ", relTime(key.revokedAt))))));
  }

  async function make() {
    const key = await ctx.api.post(path, {});
    replace(fresh, h("div", { class: "once", role: "group", "aria-label": "The new key" },
      h("p", {}, h("strong", {}, "This key is shown once."), " Copy it now; the server does not keep it."),
      copyBox(key.agentKey),
      h("details", {}, h("summary", {}, "Start the agent with it"), copyBox(startCommand(key.agentKey))),
      button("I have it", () => replace(fresh), { kind: "plain" })));
    await load();
  }

  function row(key, live) {
    const revoke = button("Revoke", () => end(key, live), { kind: "danger" });
    revoke.setAttribute("aria-label", `Revoke the key ${key.kid}`);
    return h("li", { class: "row" }, h("span", {}, idText(key.kid), h("span", { class: "faint" }, " issued ", relTime(key.createdAt))), revoke);
  }

  async function end(key, live) {
    const text = live > 1 ? "Whoever uses it is cut off at once. The other key still holds." : "It is the only key: the agent is cut off at once, and comes back only with a new one.";
    if (!(await confirm({ title: "Revoke this key?", text, verb: "Revoke", danger: true }))) return;
    await ctx.api.del(`${path}/${key.kid}`);
    toast("The key no longer holds", "good");
    await load();
  }
  return { node, load };
}

function told(live) {
  if (live === 0) return "No key holds: no agent can speak for this host.";
  if (live === 1) return "To rotate it, issue a second key, give that to the agent, then revoke the first.";
  return "Two keys hold. Once the agent uses the new one, revoke the old one.";
}
