/** Names of hosts by their ids: lists of jobs carry ids alone. One memory per organization, for the life of the page. */

import { api } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { link } from "../lib/router.js";

const PAGE = 200;
const AT_ONCE = 4; // single look-ups under way

/** @type {Map<string, HostNames>} */
const known = new Map();

/**
 * The memory of an organization.
 * @param {string} orgId
 */
export function hostNames(orgId) {
  let names = known.get(orgId);
  if (!names) known.set(orgId, (names = new HostNames(orgId)));
  return names;
}

class HostNames {
  /** @param {string} orgId */
  constructor(orgId) {
    this.orgId = orgId;
    /** @type {Map<string, string>} */
    this.names = new Map();
    /** @type {Map<string, Promise<string|null>>} */
    this.asked = new Map();
    /** @type {Promise<void>|null} */
    this.first = null;
    /** @type {(() => void)[]} */
    this.queue = [];
    this.busy = 0;
  }

  /**
   * The name as far as it is known by now.
   * @param {string} hostId
   */
  get(hostId) {
    return this.names.get(hostId) ?? null;
  }

  /**
   * Take note of a host that was read for another reason.
   * @param {{id: string, name: string}} host
   */
  note(host) {
    this.names.set(host.id, host.name);
  }

  /**
   * The name; null for a host that is gone or cannot be read.
   * @param {string} hostId
   * @returns {Promise<string|null>}
   */
  async find(hostId) {
    const here = this.names.get(hostId);
    if (here !== undefined) return here;
    let answer = this.asked.get(hostId);
    if (!answer) this.asked.set(hostId, (answer = this.ask(hostId)));
    return answer;
  }

  /** @param {string} hostId */
  async ask(hostId) {
    this.first ??= this.readFirst();
    await this.first;
    const here = this.names.get(hostId);
    if (here !== undefined) return here;
    return this.inTurn(async () => {
      try {
        const host = await api.get(`/api/orgs/${this.orgId}/hosts/${hostId}`);
        this.note(host);
        return String(host.name);
      } catch (error) {
        if (/** @type {any} */ (error).status !== 404) this.asked.delete(hostId); // one that is gone stays gone
        return null;
      }
    });
  }

  /** Most fleets fit into one page. */
  async readFirst() {
    try {
      const { items } = await api.page(`/api/orgs/${this.orgId}/hosts`, { query: { limit: PAGE } });
      for (const host of items) this.note(host);
    } catch {
      this.first = null;
    }
  }

  /**
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  async inTurn(work) {
    if (this.busy >= AT_ONCE) await new Promise((go) => this.queue.push(() => go(null)));
    this.busy += 1;
    try {
      return await work();
    } finally {
      this.busy -= 1;
      this.queue.shift()?.();
    }
  }
}

/**
 * A link to a host's page; it shows the name as soon as that is known, until then the end of the id.
 * @param {{id: string}} org
 * @param {string} hostId
 */
export function hostLink(org, hostId) {
  const names = hostNames(org.id);
  const here = names.get(hostId);
  const shown = h("a", { class: "host-link", href: link(org, "hosts", hostId), title: hostId }, here ?? shortId(hostId));
  if (here === null) {
    names.find(hostId).then((name) => {
      shown.textContent = name ?? shortId(hostId);
    });
  }
  return shown;
}

/**
 * The end of an id: its beginning is the time, alike for all of the same hour.
 * @param {string} id
 */
export function shortId(id) {
  return `…${id.slice(-8)}`;
}
