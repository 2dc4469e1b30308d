/** Facts of a host that seldom change: its presence, how its agent is connected, its labels. */

import { h, renew } from "../lib/dom.js";
import { idText, relTime } from "../lib/ui.js";
import { labelChips } from "./host_words.js";

/** @typedef {import("./host_words.js").Host} Host */

const KINDS = { poll: "a parked poll", socket: "a socket" };

/**
 * The section of a host's facts.
 * @returns {{node: HTMLElement, update: (host: Host, line: any|null) => void}}
 */
export function hostFacts() {
  const list = h("dl", { class: "facts-list" });
  const update = (host, line) => {
    const said = [host.labels, host.kind, host.presence, host.lastSeenAt, host.currentJobRunId, line?.connections, line?.instanceId, line?.runNo];
    renew(list, said, () => rows(host, line));
  };
  return { node: h("section", { class: "panel panel-facts", "aria-label": "Agent" }, h("h2", {}, "Agent"), list), update };
}

function rows(host, line) {
  return [
    fact("Last seen", host.lastSeenAt === null ? "never" : relTime(host.lastSeenAt)),
    fact("Connected by", connections(host, line)),
    line?.instanceId ? fact("Process", h("code", { class: "wrap", title: "The agent's own id of this start" }, line.instanceId)) : null,
    fact("Labels", Object.keys(host.labels).length ? h("span", { class: "labels" }, labelChips(host.labels)) : "none"),
    fact("Kind", host.kind),
    fact("Id", idText(host.id)),
    fact("Created", relTime(host.createdAt)),
  ];
}

const fact = (term, value) => [h("dt", {}, term), h("dd", {}, value)];

function connections(host, line) {
  const all = line?.connections ?? [];
  if (all.length > 0) return all.map((each) => KINDS[each.kind] ?? each.kind).join(", ");
  if (host.presence !== "online") return "nothing at this moment";
  return host.currentJobRunId === null ? "no poll at this moment" : "nothing held open: it polls between jobs";
}
