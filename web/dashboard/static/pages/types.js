/** Job types: those that every organization has, and its own. */

import { h } from "../lib/dom.js";
import { may } from "../lib/me.js";
import { button, duration, table } from "../lib/ui.js";
import { link } from "../lib/router.js";
import { allPages } from "../parts/all_pages.js";
import { formDialog } from "../parts/form_dialog.js";
import { whenChanged } from "../parts/org_changes.js";

/** @param {import("../lib/router.js").Context} ctx */
export async function show(ctx) {
  const read = () => allPages(ctx.api, `/api/orgs/${ctx.org.id}/job-types`, { signal: ctx.signal, most: 5000 });
  let { items } = await read();
  let q = ctx.query.get("q") ?? "";
  const shown = table({ caption: "Job types", rows: [], key: (type) => type.type, onOpen: (type) => link(ctx.org.id, "types", type.type), columns: columns(ctx), none: h("p", { class: "faint" }, "No type has that in its name.") });
  const input = h("input", { type: "search", value: q, placeholder: "Name", "aria-label": "Search job types" });
  const arrange = () => shown.update(items.filter((type) => type.type.toLowerCase().includes(q.toLowerCase())));
  input.addEventListener("input", () => {
    q = input.value.trim();
    ctx.setQuery({ q });
    arrange();
  });
  arrange();
  whenChanged(ctx, { what: "type" }, async () => {
    ({ items } = await read());
    arrange();
  });
  const create = may(ctx.org.role, "admin") ? button("New type", () => name(ctx), { kind: "primary" }) : null;
  const node = h("section", { class: "page fleet types" }, h("header", { class: "page-head" }, h("h1", {}, "Job types"), create),
    h("p", { class: "soft" }, "How jobs are run, and what their payload must look like. A change counts for new jobs; those that are there keep what they were made with."),
    h("div", { class: "toolbar" }, input), shown);
  return { node };
}

async function name(ctx) {
  const hint = "1 to 100 of A–Z a–z 0–9 . _ : - with a letter or digit first.";
  const asked = [{ label: "Name", name: "type", required: true, pattern: "[A-Za-z0-9][A-Za-z0-9._:\\-]{0,99}", hint, placeholder: "crawl" }];
  const type = await formDialog({ title: "New job type", fields: asked, verb: "Go on", submit: async (values) => values.type });
  if (type) await ctx.go(`${link(ctx.org.id, "types", type)}?new=1`);
}

function columns(ctx) {
  return [
    { title: "Type", class: "cut", cell: (type) => h("a", { href: link(ctx.org.id, "types", type.type), title: type.type }, type.type) },
    { title: "Origin", cell: (type) => (type.builtIn ? (type.version === 0 ? h("span", { class: "faint" }, "built in") : "built in, changed") : "own") },
    { title: "Payload", cell: (type) => payloadWords(type.schema) },
    { title: "Timeout", class: "num", cell: (type) => duration(type.timeoutSeconds * 1000) },
    { title: "Attempts", class: "num", cell: (type) => type.maxAttempts },
    { title: "Meanwhile others", cell: (type) => (type.whileBackingOff === "hold" ? "wait" : "overtake") },
    { title: "When lost", cell: (type) => (type.onLost === "fail" ? "fails" : "tries again") },
  ];
}

function payloadWords(schema) {
  const fields = Object.keys(schema?.properties ?? {});
  if (fields.length === 0) return h("span", { class: "faint" }, "any object");
  return fields.length > 4 ? `${fields.slice(0, 4).join(", ")} +${fields.length - 4}` : fields.join(", ");
}
