/** What admins do to a server instance: make, change, move and delete it. Each asks first. */

import { confirm, toast } from "../lib/ui.js";
import { formDialog, meanwhile } from "./form_dialog.js";
import { jsonField } from "./json_field.js";

/** @typedef {import("./instance_actions.js").Instance} Instance */
/** @typedef {import("./host_words.js").Host} Host */

const pathOf = (ctx, instance) => `/api/orgs/${ctx.org.id}/server-instances${instance ? `/${instance.id}` : ""}`;

/** The fields of an instance. */
function fieldsOf(hosts, { name = "", hostId = "", config = {} }) {
  const here = hosts.map((host) => ({ value: host.id, text: host.name }));
  const options = here.some((each) => each.value === hostId) || hostId === "" ? here : [{ value: hostId, text: hostId }, ...here];
  const conf = jsonField({ label: "Config", name: "config", value: config, rows: 6, hint: "Any JSON object. The people of the organization can read it: no secrets." });
  return { conf, fields: [{ label: "Name", name: "name", value: name, required: true }, { label: "Host", name: "hostId", type: "select", options, value: hostId || options[0]?.value, required: true }, conf] };
}

/**
 * Make one. @param {any} ctx @param {Host[]} hosts on which it may live @param {string} [hostId] the one that is proposed
 * @returns {Promise<Instance|undefined>}
 */
export function makeInstance(ctx, hosts, hostId) {
  const { conf, fields } = fieldsOf(hosts, { hostId });
  return formDialog({
    title: "New server instance", text: "What lives on a host and jobs are about, such as one game server.", fields, verb: "Make it",
    submit: async (values) => ctx.api.post(pathOf(ctx), { name: values.name, hostId: values.hostId, config: conf.read() }),
  });
}

/** Change or move it. @param {any} ctx @param {Host[]} hosts @param {Instance} instance @returns {Promise<Instance|undefined>} */
export async function editInstance(ctx, hosts, instance) {
  const { body: present, etag } = await ctx.api.etag(pathOf(ctx, instance), { signal: ctx.signal });
  const { conf, fields } = fieldsOf(hosts, present);
  const submit = async (/** @type {Record<string, any>} */ { name, hostId }) => {
    const body = { name, config: conf.read(), ...(hostId === present.hostId ? {} : { hostId }) };
    return forced("Move it all the same?", "Moving it cancels them; what runs is ended without waiting for the agent.", "Cancel them and move", (query) => meanwhile(ctx.api.patch(pathOf(ctx, instance), body, { query, ifMatch: etag })));
  };
  return formDialog({ title: `Edit ${instance.name}`, fields, verb: "Save", submit });
}

/** Delete it. @param {any} ctx @param {Instance} instance @returns {Promise<boolean>} whether it is gone */
export async function deleteInstance(ctx, instance) {
  if (!(await confirm({ title: `Delete ${instance.name}?`, text: "Jobs about it that have ended stay readable.", verb: "Delete", danger: true }))) return false;
  const gone = await forced("Delete it all the same?", "Deleting it cancels them; what runs is ended without waiting for the agent.", "Cancel them and delete", async (query) => {
    await ctx.api.del(pathOf(ctx, instance), { query });
    return true;
  });
  if (gone) toast(`${instance.name} is deleted`, "good");
  return gone ?? false;
}

/** Do it; where jobs are open about it, ask, and do it with force. Undefined when that was declined. */
async function forced(title, text, verb, act) {
  try {
    return await act({});
  } catch (problem) {
    if (problem.status !== 409) throw problem;
    const open = problem.current?.openJobs;
    const words = `${open === 1 ? "A job about it is open." : `${open ?? "Some"} jobs about it are open.`} ${text}`;
    if (!(await confirm({ title, text: words, verb, danger: true }))) return undefined;
    return act({ force: 1 });
  }
}
