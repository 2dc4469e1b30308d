/** One job type: how its jobs are run, and the schema of their payload. Admins change it, each change a new version. */

import { h, replace } from "../lib/dom.js";
import { may } from "../lib/me.js";
import { badge, button, confirm, duration, field, form, json, relTime, toast } from "../lib/ui.js";
import { link } from "../lib/router.js";
import { jsonField } from "../parts/json_field.js";
import { changedNote, conflictNote } from "../parts/conflict_note.js";
import { editing, whenChanged } from "../parts/org_changes.js";

const FRESH = {
  builtIn: false, version: 0, schema: { type: "object" }, timeoutSeconds: 600, maxAttempts: 3, backoff: { baseSeconds: 2, factor: 2, capSeconds: 300, jitter: 0.1 },
  whileBackingOff: "overtake", onLost: "retry", createdAt: null,
};
const MEANWHILE = [{ value: "overtake", text: "Other jobs of the host overtake it" }, { value: "hold", text: "The host waits for it" }];
const LOST = [{ value: "retry", text: "Try it again" }, { value: "fail", text: "Fail the job: doing it twice would be worse" }];

/** @param {import("../lib/router.js").Context} ctx */
export async function show(ctx) {
  const name = ctx.params.type;
  const path = `/api/orgs/${ctx.org.id}/job-types/${encodeURIComponent(name)}`;
  const place = h("div", { class: "type-body" });
  const head = h("header", { class: "page-head" });
  let shown = /** @type {any} */ (null); // what the fields began with
  let newest = 0; // the version that was shown last, be it beside what is being edited
  let refresh = (theirs) => present(theirs, false);
  let saving = false; // what one saves oneself is no news
  let again = () => {};
  const isNew = ctx.query.get("new") !== null;
  ctx.title(name);

  async function load() {
    const type = await ctx.api.get(path, { signal: ctx.signal });
    present(type, false);
  }

  /** Show that version of the type; `fresh`: it is not there yet. */
  function present(type, fresh) {
    shown = type;
    newest = type.version;
    refresh = (theirs) => present(theirs, false);
    const crumbs = h("p", { class: "crumbs" }, h("a", { href: link(ctx.org.id, "types") }, "Job types"));
    const origin = type.builtIn ? badge("ok", type.version === 0 ? "built in" : "built in, changed") : null;
    replace(head, h("div", { class: "head-words" }, crumbs, h("div", { class: "head-line" }, h("h1", {}, name), origin)), h("div", { class: "actions" }, fresh ? null : actions(type)));
    replace(place, may(ctx.org.role, "admin") ? editor(type, fresh) : facts(type));
  }

  /** Somebody has deleted it: what stands in the fields stays, and saving it makes the type anew. */
  function gone(problem) {
    if (problem.status !== 404) throw problem;
    if (shown.version === 0) return null;
    toast(`${name} was deleted`, "bad");
    shown = { ...shown, version: 0 };
    newest = 0;
    return null;
  }

  function actions(type) {
    const create = may(ctx.org.role, "operator") ? h("a", { class: "button", href: `${link(ctx.org.id, "jobs", "new")}?type=${encodeURIComponent(name)}` }, h("span", "New job of it")) : null;
    const end = type.builtIn ? "Back to how it came" : "Delete";
    const canEnd = may(ctx.org.role, "admin") && !(type.builtIn && type.version === 0);
    return [create, canEnd ? button(end, () => remove(type), { kind: "danger" }) : null];
  }

  async function remove(type) {
    const text = type.builtIn ? "The type is again as every organization gets it." : "No new job of it can be made. Those that are there run on.";
    if (!(await confirm({ title: `${type.builtIn ? "Reset" : "Delete"} ${name}?`, text, verb: type.builtIn ? "Reset it" : "Delete it", danger: true }))) return;
    await ctx.api.del(path, { ifMatch: `"${type.version}"` });
    if (!type.builtIn) return void (await ctx.go(link(ctx.org.id, "types")));
    toast("It is as it came", "good");
    await load();
  }

  function editor(type, fresh) {
    const schema = jsonField({ label: "Schema of the payload", name: "schema", value: type.schema, rows: 16, hint: ["JSON Schema, draft 2020-12. ", h("code", {}, '{"type": "object"}'), " takes any payload."] });
    const conflict = h("div", {});
    const mine = () => bodyOf(asked.values(), schema.read());
    const compare = async () => {
      replace(conflict, await conflicted(type, mine));
    };
    const asked = form({
      fields: [schema, ...policy(type), conflict],
      verb: fresh ? "Make the type" : "Save",
      submit: async (values) => {
        replace(conflict);
        const body = bodyOf(values, schema.read());
        saving = true;
        try {
          const saved = await ctx.api.put(path, { ...body, version: shown.version === 0 ? 0 : type.version });
          toast(`Saved as version ${saved.version}`, "good");
          ctx.setQuery({ new: null });
          present(saved, false);
        } catch (problem) {
          if (problem.status !== 412) throw problem;
          await compare();
        } finally {
          saving = false;
          again(); // somebody may have saved right behind
        }
      },
    });
    const atWork = editing(asked);
    refresh = (theirs) => {
      if (fresh || atWork()) replace(conflict, changedNote({ what: "type", compare }));
      else present(theirs, false);
    };
    return h("div", { class: "type-columns" }, asked, h("aside", { class: "panel" }, h("h2", {}, "As it stands"), versionWords(type, fresh), backoffWords(type)));
  }

  /** Somebody else was quicker: theirs and ours side by side. */
  async function conflicted(began, mine) {
    const theirs = await ctx.api.get(path, { signal: ctx.signal });
    newest = theirs.version;
    return conflictNote({
      what: "type", before: partsOf(began), mine, theirs: partsOf(theirs),
      take: () => present(theirs, false),
      keep: (both) => present({ ...theirs, ...both }, false),
    });
  }

  if (isNew) present({ type: name, ...FRESH }, true);
  else await load();
  again = whenChanged(ctx, { what: "type", id: name }, async () => {
    const theirs = await ctx.api.get(path, { signal: ctx.signal }).catch(gone);
    if (!theirs || saving || theirs.version === newest) return;
    refresh(theirs);
    newest = theirs.version;
  });
  return { node: h("section", { class: "page fleet type" }, head, place) };
}

function policy(type) {
  const number = (label, key, value, least, most, hint) => field({ label, name: key, type: "number", value: String(value), min: least, max: most, step: "any", required: true, hint });
  return [
    h("div", { class: "field-grid" },
      number("Timeout, seconds", "timeoutSeconds", type.timeoutSeconds, 0, null),
      number("Attempts", "maxAttempts", type.maxAttempts, 1, null),
      number("First pause, seconds", "backoff.baseSeconds", type.backoff.baseSeconds, 0, 604800),
      number("Then times", "backoff.factor", type.backoff.factor, 1, 100),
      number("At most, seconds", "backoff.capSeconds", type.backoff.capSeconds, 0, 604800),
      number("Jitter, 0 to 1", "backoff.jitter", type.backoff.jitter, 0, 1)),
    field({ label: "While a retry waits", name: "whileBackingOff", type: "select", options: MEANWHILE, value: type.whileBackingOff, required: true }),
    field({ label: "When nobody knows how a run ended", name: "onLost", type: "select", options: LOST, value: type.onLost, required: true }),
  ];
}

function bodyOf(values, schema) {
  const number = (name) => Number(values[name]);
  const backoff = { baseSeconds: number("backoff.baseSeconds"), factor: number("backoff.factor"), capSeconds: number("backoff.capSeconds"), jitter: number("backoff.jitter") };
  return { schema, timeoutSeconds: number("timeoutSeconds"), maxAttempts: number("maxAttempts"), backoff, whileBackingOff: values.whileBackingOff, onLost: values.onLost };
}

const partsOf = ({ schema, timeoutSeconds, maxAttempts, backoff, whileBackingOff, onLost }) => ({ schema, timeoutSeconds, maxAttempts, backoff, whileBackingOff, onLost });

function versionWords(type, fresh) {
  if (fresh) return h("p", {}, "Not made yet.");
  if (type.version === 0) return h("p", {}, "As every organization gets it.");
  return h("p", {}, `Version ${type.version}`, type.createdAt ? [", first made ", relTime(type.createdAt)] : null, ".");
}

/** When its attempts come, told for a job that fails at once each time. */
function backoffWords({ backoff, maxAttempts }) {
  if (maxAttempts === 1) return h("p", { class: "soft" }, "One attempt: it is never tried again by itself.");
  const pauses = [];
  for (let attempt = 1; attempt < Math.min(maxAttempts, 8); attempt += 1) pauses.push(duration(1000 * Math.min(backoff.capSeconds, backoff.baseSeconds * backoff.factor ** (attempt - 1))));
  return h("p", { class: "soft" }, `${maxAttempts} attempts, with pauses of about ${pauses.join(", ")}${maxAttempts > 8 ? ", …" : ""} between them.`);
}

/** For those who may only look. */
function facts(type) {
  const fact = (term, value) => [h("dt", {}, term), h("dd", {}, value)];
  return h("div", { class: "type-columns" },
    h("div", {}, h("h2", {}, "Schema of the payload"), json(type.schema)),
    h("aside", { class: "panel" }, h("h2", {}, "How its jobs are run"), versionWords(type, false),
      h("dl", { class: "facts-list" }, fact("Timeout", duration(type.timeoutSeconds * 1000)), fact("While a retry waits", MEANWHILE.find((each) => each.value === type.whileBackingOff)?.text ?? type.whileBackingOff), fact("When lost", LOST.find((each) => each.value === type.onLost)?.text ?? type.onLost)),
      backoffWords(type)));
}
