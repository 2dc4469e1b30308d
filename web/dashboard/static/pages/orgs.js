/** The organizations of whoever is signed in, and new ones by platform admins. */

import { h } from "../lib/dom.js";
import { forget } from "../lib/me.js";
import { link } from "../lib/router.js";
import { empty, field, form } from "../lib/ui.js";

/** @param {import("../lib/router.js").AnyContext} ctx */
export async function show(ctx) {
  const { orgs, user } = ctx.me;
  const list = orgs.length
    ? h("ul", { class: "cards" }, orgs.map((org) => h("li", h("a", { class: "card", href: link(org, "overview"), data: { row: org.id } }, h("strong", org.name), h("span", { class: "faint" }, `you are ${org.role}`)))))
    : empty({ title: "No organization yet", text: user.platformAdmin ? "Make the first one below." : "Ask an owner of one to add you as a member, by your e-mail address." });
  const make = user.platformAdmin
    ? h("section", h("h2", "New organization"), form({
        fields: [field({ label: "Name", name: "name", required: true })],
        verb: "Create organization",
        async submit({ name }) {
          const org = await ctx.api.post("/api/orgs", { name });
          forget();
          await ctx.go(link(org, "overview"));
        },
      }))
    : null;
  return { node: h("section", { class: "page narrow" }, h("h1", "Organizations"), list, make) };
}
