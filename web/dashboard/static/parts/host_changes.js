/** What admins do to a host: pause, drain, rename, label, delete. Each asks first, and resolves with the host as it is then. */

import { now } from "../lib/clock.js";
import { confirm, field, toast } from "../lib/ui.js";
import { formDialog, meanwhile } from "./form_dialog.js";
import { labelField, labelsIn } from "./label_text.js";

/** @typedef {import("./host_words.js").Host} Host */

const SPANS = [
  { value: "", text: "Until somebody resumes it" }, { value: "900", text: "For 15 minutes" }, { value: "3600", text: "For an hour" },
  { value: "14400", text: "For 4 hours" }, { value: "86400", text: "For a day" }, { value: "until", text: "Until a time…" },
];
const DEADLINES = [
  { value: "", text: "None: what runs may run to its end" }, { value: "300", text: "5 minutes" }, { value: "900", text: "15 minutes" },
  { value: "3600", text: "An hour" }, { value: "0", text: "At once" },
];

const pathOf = (ctx, host) => `/api/orgs/${ctx.org.id}/hosts/${host.id}`;

/** Take nothing new for a while. @param {any} ctx @param {Host} host @returns {Promise<Host|undefined>} */
export function pauseHost(ctx, host) {
  const span = field({ label: "How long", name: "span", type: "select", options: SPANS, value: "", required: true });
  const time = field({ label: "Until", name: "until", type: "datetime-local", hint: "By this browser's clock." });
  time.hidden = true;
  span.input.addEventListener("change", () => (time.hidden = span.value !== "until"));
  return formDialog({
    title: `Pause ${host.name}`,
    text: "What runs, runs on. What waits, waits, and says why.",
    fields: [
      span, time,
      { label: "Note", name: "note", hint: "Shown wherever a job waits because of it." },
    ],
    verb: "Pause",
    submit: ({ span: chosen, until, note }) => {
      const body = { paused: true, note: note.trim() || null, pausedUntil: untilOf(chosen, until) };
      return ctx.api.patch(pathOf(ctx, host), body);
    },
  });
}

function untilOf(span, until) {
  if (span === "") return null;
  if (span !== "until") return new Date(now() + Number(span) * 1000).toISOString();
  if (until === "") throw Object.assign(new Error("Say until when."), { detail: "", errors: [{ path: "$.until", message: "Say until when." }] });
  return new Date(until).toISOString();
}

/** Take jobs again. @param {any} ctx @param {Host} host @returns {Promise<Host>} */
export const resumeHost = (ctx, host) => ctx.api.patch(pathOf(ctx, host), { paused: false });

/** Take nothing new, and let what runs end. @param {any} ctx @param {Host} host @returns {Promise<Host|undefined>} */
export function drainHost(ctx, host) {
  return formDialog({
    title: `Drain ${host.name}`,
    text: "It takes nothing new. What still runs at the deadline is stopped as by its timeout, and tried again as its type says.",
    fields: [{ label: "Deadline for what runs", name: "deadline", type: "select", options: DEADLINES, value: "", required: true }],
    verb: "Drain",
    submit: ({ deadline }) => ctx.api.post(`${pathOf(ctx, host)}/drain`, { deadlineSeconds: deadline === "" ? null : Number(deadline) }),
  });
}

/** End a drain. @param {any} ctx @param {Host} host @returns {Promise<Host>} */
export async function undrainHost(ctx, host) {
  await ctx.api.del(`${pathOf(ctx, host)}/drain`);
  return ctx.api.get(pathOf(ctx, host));
}

/** Another name, other labels. @param {any} ctx @param {Host} host @returns {Promise<Host|undefined>} */
export async function editHost(ctx, host) {
  const { body: present, etag } = await ctx.api.etag(pathOf(ctx, host), { signal: ctx.signal });
  return formDialog({
    title: `Edit ${present.name}`,
    fields: [{ label: "Name", name: "name", value: present.name, required: true }, labelField(present.labels)],
    verb: "Save",
    submit: ({ name, labels }) => meanwhile(ctx.api.patch(pathOf(ctx, host), { name, labels: labelsIn(labels) }, { ifMatch: etag })),
  });
}

/**
 * Delete it, with its instances and keys; what it runs is ended only when that was confirmed too.
 * @param {any} ctx @param {Host} host @returns {Promise<boolean>} whether it is gone
 */
export async function deleteHost(ctx, host) {
  const text = "What waits on it is cancelled, its keys are revoked, and its server instances go with it. What has ended stays readable.";
  if (!(await confirm({ title: `Delete ${host.name}?`, text, verb: "Delete the host", danger: true }))) return false;
  try {
    await ctx.api.del(pathOf(ctx, host));
  } catch (problem) {
    if (problem.status !== 409) throw problem;
    const words = "It runs a job at this moment. Deleting it all the same ends that job as cancelled without waiting for the agent, which may still be at work.";
    if (!(await confirm({ title: `${host.name} runs a job`, text: words, verb: "End the job and delete", danger: true }))) return false;
    await ctx.api.del(pathOf(ctx, host), { query: { force: 1 } });
  }
  toast(`${host.name} is deleted`, "good");
  return true;
}
