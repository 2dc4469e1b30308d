/** A new job: from nothing, from a type or a target that a link names, or from a job that is to run again with changes. */

import { serverUrl } from "../lib/base.js";
import { h, replace } from "../lib/dom.js";
import { may } from "../lib/me.js";
import { link } from "../lib/router.js";
import { button, copyBox, field, tabs } from "../lib/ui.js";
import { asCli, asCurl } from "../parts/job_commands.js";
import { all } from "../parts/job_filters.js";
import { PayloadEditor } from "../parts/payload_editor.js";
import { localTime } from "../parts/schema_fields.js";
import { withoutSecrets } from "../parts/schema_kinds.js";
import { TargetPicker } from "../parts/target_picker.js";

const FOR_MACHINES = /^SERVER_/; // built-in types that need a target
const NUMBERS = ["timeoutSeconds", "maxAttempts", "priority"];
const TIMES = ["runAt", "startBefore"];

/** @param {import("../lib/router.js").Context} ctx */
export async function show(ctx) {
  const org = /** @type {{id: string, role: string}} */ (ctx.org);
  if (!may(org.role, "operator")) throw Object.assign(new Error(), { status: 403, detail: "To create jobs takes the role operator." });
  const from = ctx.query.get("from");
  const [types, before] = await Promise.all([
    all(`/api/orgs/${org.id}/job-types`),
    from ? ctx.api.get(`/api/orgs/${org.id}/jobs/${from}`, { signal: ctx.signal }) : null,
  ]);
  return { node: new NewJobPage(ctx, org, types, before).node };
}

class NewJobPage {
  /**
   * @param {import("../lib/router.js").Context} ctx
   * @param {{id: string}} org
   * @param {any[]} types
   * @param {import("../parts/job_words.js").Job|null} before the job that is to run again
   */
  constructor(ctx, org, types, before) {
    this.ctx = ctx;
    this.org = org;
    this.types = new Map(types.map((each) => [each.type, each]));
    this.key = { of: "", text: "" };
    const wanted = before?.type ?? ctx.query.get("type") ?? "";
    this.type = field({ label: "Type", name: "type", type: "select", required: true, options: typeOptions(types, wanted), value: wanted });
    this.type.addEventListener("input", () => this.choose());
    this.about = h("p", { class: "hint" });
    this.payload = new PayloadEditor(() => this.changed());
    this.target = new TargetPicker(org, targetFrom(ctx.query, before), () => this.changed());
    this.policy = policyFields(before);
    this.problem = h("p", { class: "bad form-problem", role: "alert" });
    this.commands = h("div");
    this.shown = "curl";
    this.send = button("Create the job", () => this.create(), { kind: "primary" });
    this.send.type = "submit";
    this.node = this.build(before);
    const schema = this.types.get(wanted)?.schema ?? {};
    if (before) this.payload.fill(withoutSecrets(before.payload ?? {}, schema, schema));
    this.choose();
  }

  /** @param {any} before @returns {HTMLElement} */
  build(before) {
    const panel = (/** @type {string} */ title, /** @type {any[]} */ ...content) => h("section", { class: "panel" }, h("h2", title), content);
    const later = h("details", { class: "panel jn-more", open: Boolean(before?.startBefore || before?.priority) }, h("summary", h("h2", "When, and how often")), h("div", { class: "jn-policy" }, Object.values(this.policy)));
    const form = h("form", { class: "jn-form", novalidate: true }, panel("What", this.type, this.about), panel("Where", this.target.node), panel("Payload", this.payload.node), later, this.problem, h("div", { class: "form-actions" }, this.send, h("a", { class: "button plain", href: before ? link(this.org, "jobs", before.id) : link(this.org, "jobs") }, "Back")));
    form.addEventListener("submit", (event) => event.preventDefault());
    for (const each of Object.values(this.policy)) {
      each.addEventListener("input", () => {
        each.refuse("");
        this.changed();
      });
    }
    const side = h("aside", { class: "jn-side panel" }, h("h2", "The same as a command"), this.commands);
    const note = before ? h("p", { class: "faint" }, "With the payload of ", h("a", { href: link(this.org, "jobs", before.id) }, `${before.type} …${before.id.slice(-8)}`), ". Secrets are not copied.") : null;
    return h("article", { class: "page jn-page" }, h("header", { class: "page-head" }, h("h1", before ? "Run again" : "New job")), note, h("div", { class: "jn-columns" }, form, side));
  }

  /** The type is another one. */
  choose() {
    const type = this.types.get(this.type.value);
    this.type.refuse("");
    replace(this.about, type ? about(type) : "");
    if (FOR_MACHINES.test(this.type.value) && this.target.kind === "pool") this.target.choose("instance");
    this.payload.take(type?.schema ?? {});
    this.changed();
  }

  /** @returns {import("../parts/job_commands.js").NewJob} as the API takes it */
  get job() {
    const job = /** @type {any} */ ({ type: this.type.value, ...this.target.value, payload: this.payload.value });
    for (const name of TIMES) if (this.policy[name].value) job[name] = new Date(this.policy[name].value).toISOString();
    for (const name of NUMBERS) if (this.policy[name].value.trim()) job[name] = Number(this.policy[name].value);
    return job;
  }

  changed() {
    const schema = this.types.get(this.type.value)?.schema ?? {};
    const job = { ...this.job, payload: withoutSecrets(this.payload.value, schema, schema, "REPLACE_ME") };
    const box = (/** @type {(server: string, org: string, job: any) => string} */ make) => () => copyBox(make(serverUrl, this.org.id, job), { unfit: this.fits ? "" : "The job is not complete yet" });
    const kinds = [{ id: "curl", text: "curl", show: box(asCurl) }, { id: "cli", text: "interlock", show: box(asCli) }];
    replace(this.commands, tabs(kinds, { selected: this.shown, label: "Command", onSelect: (id) => (this.shown = id) }));
  }

  /** As `check`, but nothing is said of it. */
  get fits() {
    const type = this.type.value;
    const placed = this.target.missing === "" && !(FOR_MACHINES.test(type) && this.target.kind === "pool");
    return Boolean(type) && placed && this.payload.fits && !NUMBERS.some((name) => Number.isNaN(Number(this.policy[name].value)));
  }

  /** @returns {boolean} */
  check() {
    replace(this.problem);
    this.type.refuse(this.type.value ? "" : "Choose a type.");
    if (!this.type.value) this.type.input.focus();
    const numbers = NUMBERS.filter((name) => Number.isNaN(Number(this.policy[name].value)));
    for (const name of numbers) this.policy[name].refuse("This is not a number.");
    return Boolean(this.type.value) && this.target.check() && this.payload.check() && !numbers.length;
  }

  async create() {
    if (!this.check()) return;
    const job = this.job;
    try {
      const made = await this.ctx.api.post(`/api/orgs/${this.org.id}/jobs`, job, { idempotencyKey: this.keyFor(job) });
      await this.ctx.go(link(this.org, "jobs", made.id));
    } catch (error) {
      this.refuse(/** @type {any} */ (error));
    }
  }

  /** The same for the same job, so that a second click, or a try after a lost answer, makes no second one. @param {any} job */
  keyFor(job) {
    const text = JSON.stringify(job);
    if (this.key.of !== text) this.key = { of: text, text: [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("") };
    return `dashboard-${this.key.text}`;
  }

  /** Show what the server refuses at the fields that it names. @param {any} problem */
  refuse(problem) {
    if (problem.name === "AbortError") return;
    const left = [];
    this.payload.accept();
    this.target.accept();
    for (const { path, message } of problem.errors ?? []) {
      const [, name, rest] = /^\$\.?([A-Za-z]*)\.?(.*)$/s.exec(path) ?? [null, "", ""];
      if (name === "payload") this.payload.refuse(rest, message);
      else if (name === "type") this.type.refuse(message);
      else if (this.policy[name]) this.atPolicy(name, message);
      else if (["", "hostId", "serverInstanceId", "labels"].includes(name)) this.target.refuse(name, message);
      else left.push(`${path}: ${message}`);
    }
    if (left.length || !problem.errors?.length) replace(this.problem, [problem.detail ?? String(problem), ...left].join("\n"));
    const first = /** @type {HTMLElement|null} */ (this.node.querySelector("[aria-invalid=true]"));
    if (first) first.focus();
    else this.node.querySelector(".field-error:not(:empty), .form-problem:not(:empty)")?.scrollIntoView({ block: "center" });
  }

  /**
   * @param {string} name
   * @param {string} message
   */
  atPolicy(name, message) {
    this.node.querySelector(".jn-more")?.setAttribute("open", "");
    this.policy[name].refuse(message);
  }
}

/**
 * @param {any[]} types
 * @param {string} wanted
 */
function typeOptions(types, wanted) {
  const own = types.filter(({ builtIn }) => !builtIn);
  const ours = types.filter(({ builtIn }) => builtIn);
  const names = [...own, ...ours].map(({ type }) => ({ value: type, text: type }));
  const gone = wanted && !names.some(({ value }) => value === wanted) ? [{ value: wanted, text: wanted }] : [];
  return [{ value: "", text: "Choose a type" }, ...names, ...gone];
}

/** @param {any} type */
function about(type) {
  const described = typeof type.schema?.description === "string" ? `${type.schema.description} ` : "";
  const lost = type.onLost === "fail" ? " An attempt whose outcome nobody knows is not repeated." : "";
  return `${described}Each attempt may take ${type.timeoutSeconds} s; ${type.maxAttempts === 1 ? "it is tried once" : `it is tried up to ${type.maxAttempts} times`}.${lost}`;
}

/**
 * @param {URLSearchParams} query
 * @param {any} before
 */
function targetFrom(query, before) {
  const said = { serverInstanceId: query.get("serverInstanceId") ?? undefined, hostId: query.get("hostId") ?? undefined };
  if (said.serverInstanceId || said.hostId || !before) return said;
  if (before.serverInstanceId) return { serverInstanceId: before.serverInstanceId };
  return before.labels ? { labels: before.labels } : { hostId: before.hostId ?? undefined };
}

/**
 * @param {any} before
 * @returns {Record<string, any>}
 */
function policyFields(before) {
  const later = before?.startBefore && Date.parse(before.startBefore) > Date.now() ? localTime(before.startBefore) : "";
  const number = (/** @type {string} */ name, /** @type {string} */ label, /** @type {string} */ hint, /** @type {any} */ value) => field({ label, name, value, hint, inputmode: "decimal", placeholder: "as its type says" });
  return {
    runAt: field({ label: "Not before", name: "runAt", type: "datetime-local", step: 1, hint: "In your local time. Empty: at once." }),
    startBefore: field({ label: "Start before", name: "startBefore", type: "datetime-local", step: 1, value: later, hint: "What has not started by then is not started any more." }),
    timeoutSeconds: number("timeoutSeconds", "Seconds for one attempt", "", undefined),
    maxAttempts: number("maxAttempts", "Attempts", "1 tries it once.", undefined),
    priority: field({ label: "Priority", name: "priority", value: before?.priority ? String(before.priority) : "", inputmode: "numeric", placeholder: "0", hint: "−1000 to 1000; higher goes first on its host." }),
  };
}
