/** The figures of one process: its actors, its journal and its loop, and how they have been of late. */

import { h, replace } from "../lib/dom.js";
import { count, duration, spark } from "../lib/ui.js";

const KEPT = 40; // looks

export function actorFigures() {
  const node = h("section", { class: "ac-figures", "aria-label": "This process" });
  const failures = h("section", { class: "ac-failures", hidden: true });
  const looks = [];
  return {
    node: h("div", { class: "ac-top" }, node, failures),
    update(seen) {
      looks.push({ at: performance.now(), ...seen });
      if (looks.length > KEPT) looks.shift();
      replace(node, figures(looks));
      failures.hidden = !seen.failures.length;
      replace(failures, h("h2", "Unexpected errors in actors"), h("ul", seen.failures.map((each) => h("li", h("code", each)))));
    },
  };
}

function figures(looks) {
  const seen = looks.at(-1);
  const lag = looks.map((each) => each.loopLagSeconds * 1000);
  const depth = looks.map((each) => each.journal.depth);
  const rates = rate(looks, (each) => each.journal.entries);
  const batches = seen.journal.batches ? (seen.journal.entries / seen.journal.batches).toFixed(1) : "–";
  return [
    figure("Host actors", count(seen.hosts), `${count(seen.rebuilt)} rebuilt after an error`),
    figure("Agents", count(seen.agentSockets + seen.parkedPolls), `${count(seen.agentSockets)} on sockets, ${count(seen.parkedPolls)} polls parked`),
    figure("Journal writes", rates.length ? `${count(Math.round(rates.at(-1)))} / s` : "–", `${batches} entries a batch, ${count(seen.journal.batches)} batches`, spark(padded(rates), { label: "Entries a second, of late", width: 160, height: 28 })),
    figure("Journal depth", count(seen.journal.depth), "entries that wait to be written", spark(padded(depth), { label: "Depth of the journal, of late", tone: "wait", width: 160, height: 28 })),
    figure("Loop lag", duration(Math.round(lag.at(-1))), "how late the event loop ran", spark(padded(lag), { label: "Lag of the loop, of late", tone: lag.at(-1) > 100 ? "bad" : "good", width: 160, height: 28 })),
  ];
}

/** Bars keep their width while there are few. @returns {(number | null)[]} */
const padded = (numbers) => [...Array(Math.max(0, KEPT - numbers.length)).fill(null), ...numbers];

/** Per second, between one look and the next. */
function rate(looks, value) {
  return looks.slice(1).map((each, at) => Math.max(0, (value(each) - value(looks[at])) / ((each.at - looks[at].at) / 1000)));
}

function figure(title, number, note, chart) {
  return h("div", { class: "panel ac-figure" }, h("h2", title), h("strong", { class: "ov-number" }, number), h("p", { class: "faint" }, note), chart);
}
