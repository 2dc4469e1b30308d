/** Start, stop and restart of a server instance: each is a job, which its host does when its turn has come. */

import { h } from "../lib/dom.js";
import { button, toast } from "../lib/ui.js";
import { link } from "../lib/router.js";

/** @typedef {{id: string, orgId: string, hostId: string, name: string, config: any, createdAt: string}} Instance */

const VERBS = [["Start", "SERVER_START"], ["Stop", "SERVER_STOP"], ["Restart", "SERVER_RESTART"]];

/**
 * The buttons; each makes a job and says where it is.
 * @param {any} ctx as pages get it @param {Instance} instance @param {(job: any) => void} [made] hears of each job
 * @returns {HTMLElement}
 */
export function instanceActions(ctx, instance, made) {
  const buttons = VERBS.map(([verb, type]) => {
    const node = button(verb, () => order(ctx, instance, verb, type, made));
    node.setAttribute("aria-label", `${verb} ${instance.name}`);
    return node;
  });
  return h("span", { class: "row-actions" }, buttons);
}

async function order(ctx, instance, verb, type, made) {
  const idempotencyKey = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const job = await ctx.api.post(`/api/orgs/${ctx.org.id}/jobs`, { type, serverInstanceId: instance.id }, { idempotencyKey });
  toast(h("span", {}, `${verb} of ${instance.name} is in line: `, h("a", { href: link(ctx.org.id, "jobs", job.id) }, "see the job")), "good");
  made?.(job);
}
