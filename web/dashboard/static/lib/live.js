/**
 * The organization's events, over one socket for the whole page. After a drop it goes on behind the last event that was
 * seen, so that nothing is lost; what the server can no longer replay is told as `gap`, and pages then load afresh.
 *
 * @typedef {"connecting" | "live" | "lost" | "paused"} State
 * @typedef {(event: string, data: any, seq: number, at: string) => void} Listener
 */

import { api } from "./api.js";
import { SERVER } from "./base.js";

const FIRST_WAIT = 400; // ms before the first try after a drop; doubled from one to the next
const LONGEST_WAIT = 15_000;
const ASLEEP = 20_000; // ms without a tick of the clock after which the machine must have slept

const listeners = new Set();
const watchers = new Set();
let state = /** @type {State} */ ("paused");
let orgId = /** @type {string | null} */ (null);
let socket = /** @type {WebSocket | null} */ (null);
let last = /** @type {number | null} */ (null); // the last event that was seen
let missed = false; // something may have happened that nobody was told of: pages loaded before the socket was open, say
let tries = 0;
let timer = 0;
let nextTry = 0;

function turn(now) {
  if (now === state) return;
  state = now;
  for (const fn of watchers) fn(state);
}

function tell(event, data, seq, at) {
  for (const { names, fn } of [...listeners]) {
    if (names !== "*" && !names.includes(event)) continue;
    try {
      fn(event, data, seq, at);
    } catch (error) {
      console.error(error); // one listener's mistake is not another's
    }
  }
}

/** @param {string} id of the organization */
function address(id) {
  const url = new URL("ws", SERVER);
  url.protocol = url.protocol.replace("http", "ws");
  url.searchParams.set("orgId", id);
  if (last !== null) url.searchParams.set("after", String(last));
  return url;
}

function open() {
  clearTimeout(timer);
  if (orgId === null || document.hidden) return;
  drop();
  turn(tries ? "lost" : "connecting");
  const own = (socket = new WebSocket(address(orgId)));
  own.onopen = () => {
    tries = 0;
    turn("live");
    if (missed && last === null) tell("gap", {}, 0, "");
    missed = true; // from now on a drop before the first event is one, too: there is no number to go on from
  };
  own.onmessage = ({ data: text }) => {
    if (own !== socket) return;
    const { event, data, seq, at } = JSON.parse(text);
    if (typeof seq === "number") last = seq;
    tell(event, data, seq, at);
  };
  own.onclose = ({ code }) => own === socket && lost(code);
}

function lost(code) {
  socket = null;
  tries += 1;
  const most = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (tries - 1));
  const wait = code === 1012 ? 0 : most / 2 + (Math.random() * most) / 2;
  nextTry = Date.now() + wait;
  turn("lost");
  timer = setTimeout(again, wait);
}

/** A handshake that fails tells a page nothing, so the session is asked: without one, this leads to the sign-in. */
async function again() {
  if (tries > 1) {
    const still = await api.get("/api/orgs/" + orgId).then(() => true, (problem) => problem.status !== 401);
    if (!still) return turn("paused");
  }
  open();
}

function drop() {
  const old = socket;
  socket = null;
  old?.close();
}

function retry() {
  if (orgId === null || document.hidden || state === "live") return;
  tries = Math.max(tries, 1);
  open();
}

document.addEventListener("visibilitychange", () => {
  if (orgId === null) return;
  if (document.hidden) {
    clearTimeout(timer);
    drop();
    tries = 0;
    turn("paused");
  } else open();
});
addEventListener("online", retry);
addEventListener("offline", () => {
  if (socket === null) return;
  drop();
  lost(1006);
});
addEventListener("pageshow", (event) => event.persisted && orgId !== null && open());

let tick = Date.now();
setInterval(() => {
  const slept = Date.now() - tick > ASLEEP;
  tick = Date.now();
  if (slept && orgId !== null && !document.hidden) open(); // the socket may be dead without knowing it
}, 5000);

export const live = {
  /** @returns {State} */
  get state() {
    return state;
  },
  /** When the next try is due, in ms since 1970 by this browser's clock. */
  get nextTry() {
    return nextTry;
  },
  /** The number of the last event that was seen, or null. */
  get last() {
    return last;
  },
  /** Hear these events, or all with "*", until the returned function is called. @param {string[] | string} names @param {Listener} fn @returns {() => void} */
  on(names, fn) {
    const entry = { names: typeof names === "string" && names !== "*" ? [names] : names, fn };
    listeners.add(entry);
    return () => listeners.delete(entry);
  },
  /** Hear how the connection is, at once and whenever it changes. @param {(state: State) => void} fn @returns {() => void} */
  onState(fn) {
    watchers.add(fn);
    fn(state);
    return () => watchers.delete(fn);
  },
  /** Try again now. */
  retry,
  /** Watch that organization, or none. Resolves when the socket is open, or after `patience` ms without: then `gap` follows once it is. */
  watch(id, patience = 1500) {
    if (id !== orgId) {
      drop();
      clearTimeout(timer);
      orgId = id;
      last = null;
      missed = false;
      tries = 0;
      if (id === null) turn("paused");
      else open();
    }
    if (id !== null && document.hidden) missed = true;
    if (id === null || state === "live" || document.hidden) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(late);
        off();
        resolve(undefined);
      };
      const late = setTimeout(() => {
        missed = true;
        done();
      }, patience);
      const off = live.onState((now) => now === "live" && setTimeout(done));
    });
  },
};
