/** A new host: a token and a command to paste on the machine; the page turns green when it is here. Or one by hand. */

import { h, keyed, replace } from "../lib/dom.js";
import { may } from "../lib/me.js";
import { link } from "../lib/router.js";
import { button, confirm, copyBox, empty, field, form, icon, relTime, tabs } from "../lib/ui.js";
import { allPages } from "../parts/all_pages.js";
import { agentNeeds, enrolByCurl, enrolCommand, startCommand } from "../parts/connect_agent.js";
import { badgesOf, labelChips } from "../parts/host_words.js";
import { labelField, labelsIn } from "../parts/label_text.js";
import { newcomers } from "../parts/newcomers.js";
import { until } from "../parts/spans.js";

const SPANS = [{ value: "3600", text: "An hour" }, { value: "86400", text: "A day" }, { value: "604800", text: "A week" }, { value: "2592000", text: "30 days" }];

/** @param {import("../lib/router.js").Context} ctx */
export async function show(ctx) {
  const head = h("header", { class: "page-head" }, h("div", {}, h("p", { class: "crumbs" }, h("a", { href: link(ctx.org.id, "hosts") }, "Hosts")), h("h1", {}, "Enrol a host")));
  if (!may(ctx.org.role, "admin")) return { node: h("section", { class: "page fleet" }, head, empty({ title: "This takes an admin", text: "Admins of the organization enrol hosts." })) };
  const tokens = await tokenList(ctx);
  const arrivals = h("section", { class: "arrivals", "aria-label": "Hosts that have come", role: "status" });
  const seen = newcomers(ctx, (hosts) => keyed(arrivals, hosts, (host) => JSON.stringify(host), (host) => arrival(ctx, host)));
  const ways = tabs([
    { id: "token", text: "By a command", show: () => byToken(ctx, tokens, seen) },
    { id: "key", text: "By name and key", show: () => byKey(ctx, seen) },
  ], { label: "How to enrol" });
  return { node: h("section", { class: "page fleet enrol" }, head, ways, arrivals, tokens.node) };
}

/** A token that the machine shows, to become a host by itself. */
function byToken(ctx, tokens, seen) {
  const place = h("div", {});
  const asked = form({
    fields: [
      field({ label: "For how many machines", name: "maxUses", type: "number", value: "1", min: 1, max: 10000, required: true }),
      field({ label: "The token holds for", name: "expiresInSeconds", type: "select", value: "3600", options: SPANS, required: true }),
      field(labelField({}, "Every host that it makes carries them. One a line, key=value.")),
    ],
    verb: "Make the command",
    submit: async ({ maxUses, expiresInSeconds, labels }) => {
      const made = await ctx.api.post(`/api/orgs/${ctx.org.id}/enrolments`, { maxUses: Number(maxUses), expiresInSeconds: Number(expiresInSeconds), labels: labelsIn(labels) });
      replace(place, command(made));
      seen.expect(made.id);
      await tokens.load();
    },
  });
  replace(place, h("p", { class: "lead" }, "Nobody has to carry a key to the machine: it shows this token, gets a key of its own, and appears here."), asked);
  return place;

  function command(made) {
    return [
      h("p", { class: "lead" }, "On ", made.maxUses === 1 ? "the machine" : `each of up to ${made.maxUses.toLocaleString()} machines`, ", paste this. The token is shown only now, and ends ", until(made.expiresAt), "."),
      copyBox(enrolCommand(made.token), { label: "Copy the command" }),
      agentNeeds(),
      h("details", { class: "needs" }, h("summary", {}, "With curl, for an agent of your own"), copyBox(enrolByCurl(made.token), { label: "Copy the curl command" })),
      waiting(),
      h("p", {}, button("Another command", () => replace(place, byToken(ctx, tokens, seen)))),
    ];
  }
}

/** A host that is named here, and a key that is carried to its machine. */
function byKey(ctx, seen) {
  const place = h("div", {});
  const asked = form({
    fields: [
      field({ label: "Name", name: "name", required: true, placeholder: "eu-3" }),
      field({ label: "Kind", name: "kind", type: "select", value: "machine", required: true, options: [{ value: "machine", text: "Machine" }, { value: "device", text: "Device: what people carry or browse with" }] }),
      field(labelField({})),
    ],
    verb: "Make the host",
    submit: async ({ name, kind, labels }) => {
      const made = await ctx.api.post(`/api/orgs/${ctx.org.id}/hosts`, { name, kind, labels: labelsIn(labels) });
      seen.note(made);
      replace(place, shown(made));
    },
  });
  replace(place, h("p", { class: "lead" }, "For a machine that you set up by hand, or a device: name it here, and carry its key there."), asked);
  return place;

  function shown(made) {
    return [
      h("p", { class: "lead" }, h("strong", {}, "The key is shown only now."), " On ", made.name, ", paste this:"),
      copyBox(startCommand(made.agentKey), { label: "Copy the command" }),
      h("details", {}, h("summary", {}, "Only the key"), copyBox(made.agentKey)),
      agentNeeds(), waiting(),
      h("p", {}, button("Another host", () => replace(place, byKey(ctx, seen)))),
    ];
  }
}

const waiting = () => h("p", { class: "waiting-line" }, h("span", { class: "pulse", "aria-hidden": "true" }), "This page waits for the host to come.");

/** A host that has come since: grey while its agent is awaited, green once it is here. */
function arrival(ctx, host) {
  const here = host.presence === "online";
  const words = here ? " is here." : " has registered; its agent has yet to connect.";
  return h("p", { class: here ? "arrival here" : "arrival" }, icon(here ? "check" : "clock"), h("span", {}, h("a", { href: link(ctx.org.id, "hosts", host.id) }, host.name), words), h("span", { class: "chips" }, badgesOf(host)));
}

/** The tokens that still hold, with a way to end them. */
async function tokenList(ctx) {
  const path = `/api/orgs/${ctx.org.id}/enrolments`;
  const list = h("ul", { class: "rows" });
  const node = h("section", { class: "panel", "aria-label": "Tokens that hold" }, h("h2", {}, "Tokens that hold"), list);
  async function load() {
    const { items } = await allPages(ctx.api, path, { signal: ctx.signal });
    const holding = items.filter((each) => each.uses < each.maxUses && Date.parse(each.expiresAt) > Date.now()).reverse();
    node.hidden = holding.length === 0;
    keyed(list, holding, (each) => `${each.id} ${each.uses}`, row);
  }
  function row(each) {
    const end = button("Revoke", () => revoke(each), { kind: "danger" });
    end.setAttribute("aria-label", `Revoke the token made ${each.createdAt}`);
    const labels = Object.keys(each.labels).length ? h("span", { class: "labels" }, labelChips(each.labels, 4)) : null;
    return h("li", { class: "row" }, h("span", {}, `${each.uses.toLocaleString()} of ${each.maxUses.toLocaleString()} used`, h("span", { class: "faint" }, " · made ", relTime(each.createdAt), " · ends ", until(each.expiresAt)), " ", labels), end);
  }
  async function revoke(each) {
    if (!(await confirm({ title: "Revoke this token?", text: "It holds no more. Hosts that it has made stay.", verb: "Revoke", danger: true }))) return;
    await ctx.api.del(`${path}/${each.id}`);
    await load();
  }
  await load();
  return { node, load };
}
