/** What the organization's agents are told: as fields or as JSON; nobody overwrites what somebody else has saved meanwhile. */

import { h, replace } from "../lib/dom.js";
import { may } from "../lib/me.js";
import { form, json, relTime, tabs, toast } from "../lib/ui.js";
import { changedNote, conflictNote } from "../parts/conflict_note.js";
import { jsonField } from "../parts/json_field.js";
import { editing, whenChanged } from "../parts/org_changes.js";
import { settingsFields } from "../parts/settings_fields.js";

const partsOf = ({ platform, connectors }) => ({ platform, connectors });

/** @param {import("../lib/router.js").Context} ctx */
export async function show(ctx) {
  const path = `/api/orgs/${ctx.org.id}/settings`;
  const place = h("div", {});
  const stand = h("p", { class: "soft" });
  let newest = 0; // the version that was shown last, be it beside what is being edited
  let refresh = (theirs) => present(theirs);
  let saving = false; // what one saves oneself is no news
  let again = () => {};
  let as = ctx.query.get("as") === "json" ? "json" : "fields";

  /** Show these settings; `draft` stands in the fields, if it is not what was saved. */
  function present(saved, draft = partsOf(saved)) {
    newest = saved.version;
    refresh = (theirs) => present(theirs);
    replace(stand, saved.version === 0 ? "As every organization begins." : [`Version ${saved.version}, saved `, relTime(saved.updatedAt), "."], " Agents on a socket hear of a change at once, others when they ask. Every member and every agent can read this: no secrets.");
    replace(place, may(ctx.org.role, "admin") ? editor(saved, draft) : json(partsOf(saved)));
  }

  function editor(saved, draft) {
    let read = () => draft;
    const conflict = h("div", {});
    const view = (make) => () => {
      const made = make(draft);
      read = made.read;
      return made.node;
    };
    const asJson = (value) => {
      const node = jsonField({ label: "Settings", name: "settings", value, rows: 20 });
      return { node, read: node.read };
    };
    const ways = tabs([{ id: "fields", text: "Fields", show: view(settingsFields) }, { id: "json", text: "JSON", show: view(asJson) }], {
      selected: as, label: "Edit as", onSelect: (id) => {
        as = id;
        ctx.setQuery({ as: id === "json" ? "json" : null });
      },
    });
    keepBetween(ways, () => {
      draft = read();
    });
    const compare = async () => {
      replace(conflict, await conflicted(saved, () => read()));
    };
    const submit = async () => {
      replace(conflict);
      draft = read();
      saving = true;
      try {
        const fresh = await ctx.api.put(path, draft, { ifMatch: `"${saved.version}"` });
        toast(fresh.version === saved.version ? "Nothing has changed" : `Saved as version ${fresh.version}`, "good");
        present(fresh);
      } catch (problem) {
        if (problem.status !== 412) throw problem;
        await compare();
      } finally {
        saving = false;
        again(); // somebody may have saved right behind
      }
    };
    const node = form({ fields: [ways, conflict], verb: "Save", submit });
    const atWork = editing(node);
    refresh = (theirs) => {
      if (atWork()) replace(conflict, changedNote({ what: "document", compare }));
      else present(theirs);
    };
    return node;
  }

  async function conflicted(began, mine) {
    const theirs = await ctx.api.get(path, { signal: ctx.signal });
    newest = theirs.version;
    return conflictNote({ what: "document", before: partsOf(began), mine, theirs: partsOf(theirs), take: () => present(theirs), keep: (both) => present(theirs, both) });
  }

  present(await ctx.api.get(path, { signal: ctx.signal }));
  again = whenChanged(ctx, { what: "settings" }, async () => {
    const theirs = await ctx.api.get(path, { signal: ctx.signal });
    if (saving || theirs.version === newest) return;
    refresh(theirs);
    newest = theirs.version;
  });
  return { node: h("section", { class: "page fleet settings" }, h("header", { class: "page-head" }, h("h1", {}, "Settings")), stand, place) };
}

/** What was typed in one tab is there in the other: it is read before the other is shown; what cannot be read keeps the tab. */
function keepBetween(ways, keep) {
  ways.querySelector("[role=tablist]").addEventListener("click", (event) => {
    const head = event.target.closest("[role=tab]");
    if (!head || head.getAttribute("aria-selected") === "true") return;
    try {
      keep();
    } catch (problem) {
      event.stopImmediatePropagation();
      toast(problem.detail ?? String(problem), "bad");
    }
  }, { capture: true });
}
