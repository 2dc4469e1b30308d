/** What can be done with a job: cancel, end without its agent, retry, run again with edits, resolve. */

import { h } from "../lib/dom.js";
import { may } from "../lib/me.js";
import { link } from "../lib/router.js";
import { button, confirm, dialog, field, icon, toast } from "../lib/ui.js";
import { isOpen } from "./job_words.js";

/** @typedef {import("./job_words.js").Job} Job */

/**
 * The buttons that the job's state and one's role allow. `changed` gets the job as the server answers it.
 * @param {import("../lib/router.js").Context} ctx
 * @param {Job} job
 * @param {(job: Job) => void} changed
 * @returns {Node[]}
 */
export function jobActions(ctx, job, changed) {
  const org = /** @type {{id: string, role: string}} */ (ctx.org);
  if (!may(org.role, "operator")) return [];
  const post = async (/** @type {string} */ what, /** @type {any} */ body = undefined) => changed(await ctx.api.post(`/api/orgs/${org.id}/jobs/${job.id}/${what}`, body));
  const again = h("a", { class: "button plain", href: `${link(org, "jobs", "new")}?from=${job.id}`, title: "A new job with this one's payload, which you can change first" }, icon("copy"), h("span", "Run again …"));
  if (!isOpen(job)) {
    const retry = job.status === "COMPLETED" ? null : button("Retry", () => post("retry"), { kind: "primary", icon: "retry", title: "A new run of this job; its attempts are counted afresh" });
    return [retry, again].filter((node) => node !== null);
  }
  const asked = job.cancelRequested && job.status === "RUNNING";
  const stop = asked ? null : button(job.status === "RUNNING" ? "Cancel …" : "Cancel", () => cancel(job, post), { kind: "danger", icon: "stop" });
  const force = job.status === "RUNNING" ? button("Force cancel …", () => end(post), { kind: "danger", title: "End it without waiting for its agent" }) : null;
  return [stop, force, again].filter((node) => node !== null);
}

/**
 * What waits ends at once, and can be retried; what runs is asked about first.
 * @param {Job} job
 * @param {(what: string, body?: any) => Promise<void>} post
 */
async function cancel(job, post) {
  if (job.status !== "RUNNING") return post("cancel", {});
  const reason = field({ label: "Reason", name: "reason", hint: "Kept in the audit trail." });
  await dialog({
    title: "Cancel this job?",
    body: [h("p", "It runs now. Its agent is asked to stop; if it finishes first, its result counts."), reason],
    actions: [{ text: "Back" }, { text: "Cancel the job", kind: "danger", run: () => post("cancel", reason.value ? { reason: reason.value } : {}) }],
  });
}

/** @param {(what: string, body?: any) => Promise<void>} post */
async function end(post) {
  const text = "The job is cancelled at once, whatever its agent does. The machine may still be at it: its host gets nothing new until its agent says that nothing runs.";
  if (await confirm({ title: "End it without its agent?", text, verb: "End it now", danger: true })) await post("cancel", { force: true });
}

/**
 * The banner of a job whose run waits for a person; null when none does.
 * @param {import("../lib/router.js").Context} ctx
 * @param {Job} job
 * @param {string|null} asked what its agent said last
 * @param {(job: Job) => void} changed
 */
export function userActionBanner(ctx, job, asked, changed) {
  if (!job.needsUserAction) return null;
  const org = /** @type {{id: string, role: string}} */ (ctx.org);
  const resolve = button("Resolve", async () => {
    changed(await ctx.api.post(`/api/orgs/${org.id}/jobs/${job.id}/resolve`));
    toast("Its agent is told to go on.", "good");
  }, { kind: "primary", icon: "check" });
  return h("div", { class: "job-needs", role: "alert" },
    icon("warning"),
    h("div", h("h2", "It waits for you"), asked ? h("p", { class: "job-asked" }, asked) : null, h("p", { class: "faint" }, "Do what it asks for, and then say so. Its time stands still until then.")),
    may(org.role, "operator") ? resolve : null,
  );
}
