/** Hosts that have come since the page was opened: by their first event, or because a token was used. */

import { now } from "../lib/clock.js";
import { allPages } from "./all_pages.js";
import { whileShown } from "./while_shown.js";

const LOOK_MS = 300;
const TOKEN_LOOK_MS = 3000; // a machine that registers makes no event until its agent connects
const LEEWAY_MS = 3000; // the browser's clock may be a little ahead
const MOST = 50; // that are shown

/**
 * @param {any} ctx as pages get it
 * @param {(hosts: import("./host_words.js").Host[]) => void} onChange the newcomers as they are now, the latest first
 * @returns {{expect: (enrolmentId: string) => void, note: (host: any) => void}} `expect` that token to be used; `note` a host made here
 */
export function newcomers(ctx, onChange) {
  const path = `/api/orgs/${ctx.org.id}`;
  const begin = idAt(now() - LEEWAY_MS);
  const hosts = new Map();
  const expected = new Map(); // enrolments, and how often they were used when last seen

  const tell = () => onChange([...hosts.values()].reverse().slice(0, MOST));

  async function look() {
    const { items } = await allPages(ctx.api, `${path}/hosts`, { query: { cursor: begin }, signal: ctx.signal, most: 1000 });
    items.forEach((host) => hosts.set(host.id, host));
    tell();
  }
  const looks = whileShown(ctx, look, LOOK_MS);
  const off = ctx.live.on(["host.online", "host.offline", "host.updated", "gap"], (_event, data) => {
    if (!data.hostId || data.hostId > begin) looks.soon();
  });

  async function lookAtTokens() {
    for (const [id, uses] of expected) {
      const found = await ctx.api.get(`${path}/enrolments/${id}`, { signal: ctx.signal });
      if (found.uses !== uses) looks.soon();
      if (found.uses >= found.maxUses) expected.delete(id);
      else expected.set(id, found.uses);
    }
  }
  const timer = setInterval(() => !document.hidden && lookAtTokens().catch(() => {}), TOKEN_LOOK_MS);
  ctx.signal.addEventListener("abort", () => (off(), clearInterval(timer)));

  return {
    expect: (enrolmentId) => void expected.set(enrolmentId, 0),
    note(host) {
      hosts.set(host.id, host);
      tell();
    },
  };
}

/** The least id of that time: ids rise with the time at which they were made, which is their first 48 bits. */
function idAt(ms) {
  const time = Math.floor(ms).toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`;
}
