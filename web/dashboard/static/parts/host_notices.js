/** What holds a host back, in sentences at the head of its page: each says what it means and when it ends. */

import { h, renew } from "../lib/dom.js";
import { icon, relTime } from "../lib/ui.js";
import { until } from "./spans.js";

/** @typedef {import("./host_words.js").Host} Host */

/**
 * The notices of a host.
 * @returns {{node: HTMLElement, update: (host: Host, line: any|null) => void}}
 */
export function hostNotices() {
  const node = h("div", { class: "notices" });
  const update = (host, line) => {
    const said = [host.paused, host.note, host.pausedUntil, host.draining, host.drainUntil, host.health, host.presence, host.lastSeenAt !== null, line?.unhealthy, line?.awaitingIdle];
    renew(node, said, () => noticesOf(host, line));
  };
  return { node, update };
}

function noticesOf(host, line) {
  const all = [];
  if (host.presence === "unreachable") all.push(notice("warn", "Unreachable.", " Its agent fell silent while it ran a job. The host stays taken until the agent is back or the job counts as lost; freeing it early could run two jobs on one machine."));
  if (host.health === "unhealthy") all.push(notice("warn", "Unhealthy.", ` Nothing is offered to it${line?.unhealthy ? `: ${line.unhealthy}.` : "."}`));
  if (host.paused) all.push(notice("warn", "Paused", host.pausedUntil ? [", resumes ", until(host.pausedUntil)] : " until somebody resumes it", host.note ? [": ", h("q", {}, host.note)] : "."));
  if (host.draining) all.push(notice("warn", "Draining.", " It takes nothing new.", host.drainUntil ? [" What still runs is stopped ", until(host.drainUntil), "."] : " What runs may run to its end."));
  if (line?.awaitingIdle) all.push(notice("warn", "Waits for a word.", " The server ended a run here; the agent has yet to say that nothing runs any more."));
  if (host.presence === "offline") all.push(notice("off", "Offline.", host.lastSeenAt ? [" Last seen ", relTime(host.lastSeenAt), "."] : null, " What is in line waits until its agent is back."));
  return all;
}

const notice = (tone, head, ...rest) => h("p", { class: `notice ${tone}` }, icon("warning"), h("span", {}, h("strong", {}, head), rest));
