/** What a new organization does first; each step is ticked off when it is done. */

import { h, renew } from "../lib/dom.js";
import { may } from "../lib/me.js";
import { link } from "../lib/router.js";
import { copyBox, icon } from "../lib/ui.js";

const total = (numbers) => Object.values(numbers).reduce((sum, each) => sum + each, 0);
const jobsOf = ({ jobs: { waitingForUser, ...counts } }) => total(counts);

/** Whether there is nothing to show yet: no host, or no job. */
export const isNew = (summary) => total(summary.hostCounts) === 0 || jobsOf(summary) === 0;

/** @param {import("../lib/router.js").Context} ctx */
export function firstSteps(ctx) {
  const { org } = ctx;
  const list = h("ol", { class: "ov-steps" });
  const node = h("section", { class: "panel ov-first", "aria-label": "First steps" }, h("h2", "First steps"), list);
  const update = (summary) => {
    const here = total(summary.hostCounts) - summary.hostCounts.never_connected > 0;
    const hosts = total(summary.hostCounts) > 0;
    const host = summary.hosts[0];
    const ran = jobsOf(summary) > 0;
    renew(list, [here, hosts, ran, host?.id], () => [
      step(true, "Make an account and an organization", h("p", { class: "faint" }, `You are ${org.role} of ${org.name}.`)),
      step(here, hosts ? "Start the agent on the first host" : "Enrol the first host", here ? null : hostStep(org, hosts)),
      step(ran, "Run the first job", jobStep(org, hosts, host)),
    ]);
  };
  return { node, update };
}

function step(done, title, body) {
  return h("li", { class: done ? "done" : null }, h("span", { class: "ov-tick" }, done ? icon("check") : null, h("span", { class: "unseen" }, done ? "done:" : "to do:")), h("div", h("h3", title), body));
}

function hostStep(org, hosts) {
  if (!may(org.role, "admin")) return h("p", "An admin of the organization enrols hosts.");
  const text = hosts ? "A host is known, but its agent has never connected. Its page shows how to start it, and gives it a new key if need be." : "A host is a machine on which an agent runs, one job at a time. You get a command to paste there.";
  const goal = hosts ? h("a", { class: "button primary", href: link(org, "hosts") }, "To the hosts") : h("a", { class: "button primary", href: link(org, "hosts", "enrol") }, "Enrol a host");
  return [h("p", text), h("p", goal)];
}

function jobStep(org, hosts, host) {
  if (!may(org.role, "operator")) return h("p", "An operator of the organization creates jobs.");
  const command = host ? `interlock jobs create SERVER_START --host ${host.id} --wait` : "interlock jobs create SEARCH_SINGLE --payload '{\"query\": \"acme\"}' --wait";
  return [h("p", "It is taken as soon as its host is free. On the command line the same is:"), copyBox(command), h("p", h("a", { class: `button ${hosts ? "primary" : "plain"}`, href: link(org, "jobs", "new") + (host ? `?type=SERVER_START&hostId=${host.id}` : "") }, "Create a job"))];
}
