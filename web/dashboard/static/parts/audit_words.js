/** The audit trail in words: what was done, to what, and what it was before. */

import { h } from "../lib/dom.js";
import { json } from "../lib/ui.js";
import { link } from "../lib/router.js";
import { changesOf, diffTable } from "./diff.js";
import { absolute } from "./spans.js";

/**
 * A line of the trail as the API gives it.
 * @typedef {{id: string, at: string, actorKind: string, actorId: string|null, action: string, targetKind: string,
 *   targetId: string|null, detail: any, requestId: string|null, address: string|null}} AuditLine
 */

/** What each action is called. Others are shown as they are. @type {Map<string, string>} */
export const ACTIONS = new Map([
  ["job.create", "created job"], ["job.cancel", "cancelled job"], ["job.retry", "retried job"], ["job.resolve", "resolved job"],
  ["queue.front", "moved to the front: job"], ["queue.hold", "held job"], ["queue.release", "released job"], ["queue.drop", "dropped job"],
  ["host.create", "made host"], ["host.update", "changed host"], ["host.drain", "drained host"], ["host.undrain", "ended the drain of host"], ["host.delete", "deleted host"],
  ["key.create", "issued an agent key for"], ["key.revoke", "revoked an agent key of"], ["enrolment.create", "made enrolment"], ["enrolment.delete", "revoked enrolment"],
  ["instance.create", "made instance"], ["instance.update", "changed instance"], ["instance.delete", "deleted instance"],
  ["type.put", "changed job type"], ["type.delete", "deleted job type"], ["settings.update", "changed the settings"],
  ["member.add", "added member"], ["member.update", "changed the role of"], ["member.remove", "removed member"], ["org.create", "made the organization"], ["org.update", "renamed the organization"],
]);

const TIMES = new Set(["pausedUntil", "drainUntil", "expiresAt"]);
const PAGES = { job: "jobs", host: "hosts", type: "types" };

/** What it was done to, as a link where it has a page. @param {string} orgId @param {AuditLine} line @param {Map<string, string>} names */
export function targetOf(orgId, line, names) {
  const { targetKind: kind, targetId: id } = line;
  if (id === null || kind === "settings" || kind === "org") return "";
  const text = names.get(id) ?? line.detail?.name ?? (kind === "type" ? id : `…${id.slice(-8)}`);
  const words = typeof text === "string" ? text : id;
  return PAGES[kind] ? h("a", { href: link(orgId, PAGES[kind], id) }, words) : h("span", { title: id }, words);
}

/** Who did it. @param {AuditLine} line @param {Map<string, string>} names @returns {string} */
export function actorOf(line, names) {
  const name = line.actorId === null ? undefined : names.get(line.actorId);
  if (name !== undefined) return name;
  if (line.actorKind === "operator") return "Somebody at the server's machine";
  return line.actorId === null ? `the ${line.actorKind}` : `${line.actorKind} …${line.actorId.slice(-8)}`;
}

/**
 * What changed: before and after where the trail has both, else what it has.
 * @param {AuditLine} line @returns {Node[]}
 */
export function detailOf(line) {
  const { was, ...rest } = readable(line.detail ?? {});
  const parts = [];
  if (was !== undefined) parts.push(diffTable(beforeAndAfter(was, rest)));
  else if (Object.keys(rest).length) parts.push(json(rest));
  const facts = [["Action", line.action], ["Target", [line.targetKind, line.targetId].filter(Boolean).join(" ")], ["Actor", [line.actorKind, line.actorId].filter(Boolean).join(" ")], ["Address", line.address], ["Request", line.requestId]];
  parts.push(h("dl", { class: "facts-list" }, facts.filter(([, value]) => value).map(([term, value]) => [h("dt", {}, term), h("dd", { class: "mono" }, value)])));
  return parts;
}

/** The detail as people read it: times as times. @param {any} detail */
function readable(detail) {
  const entries = Object.entries(detail).map(([name, value]) => {
    if (name === "was" && value !== null && typeof value === "object") return [name, readable(value)];
    if (TIMES.has(name) && typeof value === "string") return [name, absolute(value)];
    return [name, value];
  });
  return Object.fromEntries(entries);
}

/** `was` is an object of fields, or the one value that the only other field had. */
function beforeAndAfter(was, is) {
  const names = Object.keys(is);
  if (was !== null && typeof was === "object") return changesOf(was, is);
  return names.length ? names.map((path, at) => ({ path, was: at === 0 ? was : undefined, is: is[path] })) : [{ path: "", was, is: undefined }];
}
