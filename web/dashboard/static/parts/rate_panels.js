/** The last hour, minute by minute: what ended, and what of it went wrong. */

import { now } from "../lib/clock.js";
import { h, replace } from "../lib/dom.js";
import { count, spark } from "../lib/ui.js";

const MINUTE = 60_000;
const TELLING = 5; // whole minutes of which the rate is told
const ENDED = { COMPLETED: "completed", FAILED: "failed", CANCELLED: "cancelled" };
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

export function ratePanels() {
  let rates = null;
  let begins = 0;
  const ended = panel("Finished per minute");
  const failed = panel("Failures per minute");
  const node = h("section", { class: "ov-rates", "aria-label": "The last hour" }, ended.node, failed.node);

  function draw() {
    if (!rates) return;
    const all = rates.completed.map((number, at) => number + rates.failed[at] + rates.cancelled[at]);
    const wrong = rates.failed.map((number, at) => number + rates.retried[at]);
    const recent = (numbers) => sum(numbers.slice(-1 - TELLING)) / span();
    const share = sum(all) + sum(rates.retried) ? sum(wrong) / (sum(all) + sum(rates.retried)) : 0;
    ended.show(known(all), "run", `${rate(recent(all))} / min`, begins, (at) => `${all[at]} finished`, `${count(sum(all))} in the last hour`);
    failed.show(known(wrong), "bad", `${rate(recent(wrong))} / min`, begins, (at) => `${rates.failed[at]} failed, ${rates.retried[at]} to be tried again`, `${count(sum(wrong))} in the last hour, ${percent(share)} of all attempts`);
  }
  return {
    node,
    draw,
    update(summary) {
      rates = summary.rates;
      begins = Date.parse(rates.beginsAt);
      draw();
    },
    hear(event, data) {
      if (!rates || event !== "job_run.done") return;
      turn();
      const name = data.willRetry ? "retried" : ENDED[data.jobStatus];
      if (name) rates[name][rates[name].length - 1] += 1;
    },
  };

  /** How many minutes the last bars stand for: the last of them is not over, and the server may have begun to count in one. */
  function span() {
    const last = begins + (rates.completed.length - 1) * MINUTE;
    const counted = Math.max(last - TELLING * MINUTE, Date.parse(rates.countedSince));
    return Math.max(1, (now() - counted) / MINUTE);
  }

  /** What was before the server began to count is not known. */
  function known(numbers) {
    const first = Math.floor((Date.parse(rates.countedSince) - begins) / MINUTE);
    return numbers.map((number, at) => (at < first ? null : number));
  }

  /** A minute is over: all bars move on. */
  function turn() {
    const size = rates.completed.length;
    while (begins + size * MINUTE <= now()) {
      begins += MINUTE;
      for (const name of ["created", "completed", "failed", "cancelled", "retried"]) {
        rates[name].shift();
        rates[name].push(0);
      }
    }
  }
}

function panel(title) {
  const figure = h("strong", { class: "ov-rate" });
  const chart = h("div", { class: "ov-chart" });
  const note = h("p", { class: "faint" });
  let drawn = "";
  const show = (numbers, tone, text, begins, tip, told) => {
    const key = JSON.stringify([numbers, begins]);
    if (key === drawn) return;
    drawn = key;
    const titled = (at) => `${CLOCK.format(begins + at * MINUTE)}: ${tip(at)}`;
    replace(figure, text);
    replace(note, told);
    replace(chart, spark(numbers, { label: `${title}: ${told}`, tone, width: 480, height: 48, tip: titled }));
  };
  return { show, node: h("div", { class: "panel ov-panel" }, h("div", { class: "panel-head" }, h("h2", title), figure), chart, note) };
}

const sum = (numbers) => numbers.reduce((total, each) => total + each, 0);
const rate = (number) => (number >= 10 || number === 0 ? count(Math.round(number)) : number.toFixed(1));
const percent = (share) => (share === 0 ? "0 %" : share < 0.01 ? "less than 1 %" : `${Math.round(share * 100)} %`);
