/** One host of the grid: as a card, or as a line of the table. Both are made once and then only told what has changed. */

import { h, replace } from "../lib/dom.js";
import { relTime } from "../lib/ui.js";
import { link } from "../lib/router.js";
import { since } from "./spans.js";
import { badgesOf, labelChips, stateOf, toneOf } from "./host_words.js";

/** @typedef {import('./host_words.js').Host} Host */
/** @typedef {import('./host_board.js').Running} Running */
/** @typedef {{node: HTMLElement, update: (host: Host, running: Running|undefined) => void}} Shown */

const LABELS_SHOWN = 4;

/** Do it only when what it depends on differs from last time: most updates change one thing, and focus is kept. */
function whenChanged(act) {
  let last;
  return (key, ...rest) => {
    const now = JSON.stringify(key);
    if (now === last) return;
    last = now;
    act(...rest);
  };
}

/** The parts that cards and lines share, and how they are kept true. */
function parts(orgId, hostId) {
  const name = h("a", { class: "host-name", href: link(orgId, "hosts", hostId), data: { row: hostId } });
  const chips = h("span", { class: "chips" });
  const now = h("span", { class: "host-now" });
  const waiting = h("span", { class: "host-waiting" });
  const seen = h("span", { class: "host-seen" });
  const labels = h("span", { class: "labels" });
  const steps = [
    [(host) => host.name, whenChanged((host) => replace(Object.assign(name, { title: host.name }), host.name))],
    [(host) => [stateOf(host), host.paused, host.draining, host.health, host.presence], whenChanged((host) => replace(chips, badgesOf(host)))],
    [(host, running) => [host.currentJobRunId, running], whenChanged((host, running) => replace(now, nowRuns(orgId, host, running)))],
    [(host) => host.pendingCount, whenChanged((host) => replace(waiting, waitingWords(host.pendingCount)))],
    [(host) => [host.lastSeenAt, host.presence], whenChanged((host) => replace(seen, seenWords(host)))],
    [(host) => host.labels, whenChanged((host) => replace(labels, labelChips(host.labels, LABELS_SHOWN)))],
  ];
  const update = (host, running) => steps.forEach(([key, step]) => step(key(host, running), host, running));
  return { name, chips, now, waiting, seen, labels, update };
}

/** What runs there: the job's type, and for how long. */
function nowRuns(orgId, host, running) {
  if (host.currentJobRunId === null) return h("span", { class: "faint" }, "Runs nothing");
  if (!running) return h("span", {}, "Takes a job");
  const job = h("a", { href: link(orgId, "jobs", running.jobId), title: running.type }, running.type);
  return [job, running.startedAt ? h("span", { class: "host-for" }, " for ", since(running.startedAt)) : null];
}

const waitingWords = (count) => (count === 0 ? "" : `${count.toLocaleString()} waiting`);

function seenWords(host) {
  if (host.lastSeenAt === null) return h("span", { class: "faint" }, "Not seen yet");
  return host.presence === "online" ? h("span", { class: "faint" }, "Connected") : ["Seen ", relTime(host.lastSeenAt)];
}

/**
 * A host as a card.
 * @param {string} orgId @param {Host} host @returns {Shown}
 */
export function card(orgId, host) {
  const p = parts(orgId, host.id);
  const node = h("li", { class: "host-card" },
    h("div", { class: "host-head" }, p.name, p.chips),
    h("div", { class: "host-line" }, p.now, p.waiting),
    h("div", { class: "host-line host-foot" }, p.labels, p.seen));
  return { node, update: toned(node, p.update) };
}

/**
 * A host as a line of the table; its cells are named by the table's heads.
 * @param {string} orgId @param {Host} host @returns {Shown}
 */
export function line(orgId, host) {
  const p = parts(orgId, host.id);
  const cells = [p.name, p.chips, p.now, p.waiting, p.seen, p.labels];
  const node = h("div", { class: "host-row", role: "row" }, cells.map((each) => h("span", { role: "cell" }, each)));
  return { node, update: toned(node, p.update) };
}

/** The heads of the table, in the order of a line's cells. */
export const HEADS = ["Host", "State", "Runs now", "Queue", "Last seen", "Labels"];

function toned(node, update) {
  return (host, running) => {
    const tone = toneOf(stateOf(host));
    if (node.dataset.tone !== tone) node.dataset.tone = tone;
    update(host, running);
  };
}
