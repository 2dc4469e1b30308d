/** Signing in; afterwards back to where one came from. */

import { h } from "../lib/dom.js";
import { APP } from "../lib/base.js";
import { become, me } from "../lib/me.js";
import { field, form } from "../lib/ui.js";

/** Only to pages of ours: `next` may come from anybody's link. */
function target(query) {
  const next = new URL(query.get("next") ?? "", location.href);
  return next.origin === location.origin && next.pathname.startsWith(APP) && !next.pathname.endsWith("/sign-in") ? next.pathname + next.search : APP;
}

/** @param {import("../lib/router.js").AnyContext} ctx */
export async function show(ctx) {
  const already = await me().catch((error) => {
    if (error.status !== 401) throw error;
    return null;
  });
  if (already) ctx.go(target(ctx.query), { replace: true });
  const node = form({
    fields: [
      field({ label: "E-mail address", name: "email", type: "email", required: true, autocomplete: "username" }),
      field({ label: "Password", name: "password", type: "password", required: true, autocomplete: "current-password" }),
    ],
    verb: "Sign in",
    async submit({ email, password }) {
      become(await ctx.api.signIn(email, password));
      await ctx.go(target(ctx.query), { replace: true });
    },
  });
  queueMicrotask(() => requestAnimationFrame(() => node.querySelector("input")?.focus()));
  return { node: h("section", { class: "page sign-in" }, h("h1", "Sign in to Interlock"), node) };
}
