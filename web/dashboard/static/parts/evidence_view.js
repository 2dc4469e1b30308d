/** What agents have found and kept: items of evidence, and files with small pictures of those that are pictures. */

import { urlOf } from "../lib/api.js";
import { h, keyed, replace, safeUrl } from "../lib/dom.js";
import { button, count, dialog, idText, relTime, toast } from "../lib/ui.js";
import { pictureOf } from "./pictures.js";

const PAGE = 100;
const LONG = 400; // characters of a snippet that are shown at once
const LARGEST = 8 * 1024 * 1024; // bytes of a file that is fetched for its picture
const PICTURES = ["image/png", "image/jpeg", "image/webp", "image/gif"];

/** The evidence and the files of one job. */
export class EvidenceView {
  /**
   * @param {import("../lib/router.js").Context} ctx
   * @param {string} path of the job in the API
   */
  constructor(ctx, path) {
    this.ctx = ctx;
    this.path = path;
    /** @type {Map<string, any>} */
    this.items = new Map();
    /** @type {Map<string, any>} */
    this.files = new Map();
    this.next = /** @type {string|null} */ (null);
    this.urls = /** @type {string[]} */ ([]);
    this.seen = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) if (isIntersecting) this.picture(/** @type {HTMLElement} */ (target));
    });
    this.list = h("ol", { class: "ev-items" });
    this.shelf = h("ul", { class: "ev-files" });
    this.more = h("div");
    this.node = h("div", { class: "ev" }, this.shelf, this.list, this.more);
  }

  /** Read both from their beginning; what is shown stays. @returns {Promise<number>} how many there are, at least */
  async load() {
    const { signal } = this.ctx;
    const [items, files] = await Promise.all([
      this.ctx.api.page(`${this.path}/evidence`, { query: { limit: PAGE }, signal }),
      this.ctx.api.page(`${this.path}/assets`, { query: { limit: PAGE }, signal }),
    ]);
    for (const file of files.items) this.files.set(file.id, file);
    this.take(items);
    keyed(this.shelf, [...this.files.values()], ({ id }) => id, (file) => this.file(file));
    return this.items.size + this.files.size;
  }

  /** @param {{items: any[], nextCursor: string|null}} page */
  take({ items, nextCursor }) {
    for (const item of items) this.items.set(item.id, item);
    this.next = nextCursor;
    keyed(this.list, [...this.items.values()], ({ id }) => id, (item) => evidence(item));
    replace(this.more, this.next ? button("More evidence", () => this.loadMore()) : null);
  }

  async loadMore() {
    this.take(await this.ctx.api.page(`${this.path}/evidence`, { query: { limit: PAGE, cursor: this.next }, signal: this.ctx.signal }));
  }

  /** @param {any} file */
  file(file) {
    const download = urlOf(`${this.path}/assets/${file.id}`);
    const pictured = PICTURES.includes(file.contentType) && file.sizeBytes <= LARGEST;
    const place = h("div", { class: "ev-thumb", data: { id: file.id } }, h("span", { class: "faint" }, extension(file.name)));
    if (pictured) this.seen.observe(place);
    return h("li", { class: "ev-file" },
      place,
      h("div", { class: "ev-name" }, h("a", { href: download, download: true, title: "Download" }, file.name), h("span", { class: "faint" }, `${size(file.sizeBytes)} · `, relTime(file.createdAt))));
  }

  /** Fetch a file, look whether it is a picture, and show it. @param {HTMLElement} place */
  async picture(place) {
    this.seen.unobserve(place);
    const file = this.files.get(place.dataset.id ?? "");
    try {
      const answer = await fetch(urlOf(`${this.path}/assets/${file.id}`), { credentials: "same-origin", signal: this.ctx.signal });
      const blob = answer.ok ? pictureOf(await answer.arrayBuffer()) : null;
      if (!blob || this.ctx.signal.aborted) return;
      const url = URL.createObjectURL(blob);
      this.urls.push(url);
      const open = h("button", { type: "button", class: "ev-open", "aria-label": `Show ${file.name}`, on: { click: () => this.enlarge(file, url) } }, image(url, file.name));
      replace(place, open);
    } catch (error) {
      if (/** @type {Error} */ (error).name !== "AbortError") toast(`${file.name} could not be read.`, "bad");
    }
  }

  /**
   * @param {any} file
   * @param {string} url
   */
  enlarge(file, url) {
    return dialog({ title: file.name, body: h("div", { class: "ev-large" }, image(url, file.name)) });
  }

  close() {
    this.seen.disconnect();
    for (const url of this.urls) URL.revokeObjectURL(url);
  }
}

/**
 * `blob:` addresses of our own making are no addresses that came from anywhere: they are set directly.
 * @param {string} url
 * @param {string} name
 */
function image(url, name) {
  const node = /** @type {HTMLImageElement} */ (h("img", { alt: name }));
  node.src = url;
  return node;
}

/** @param {any} item */
function evidence(item) {
  const url = item.url && safeUrl(item.url) ? h("a", { class: "ev-url", href: item.url }, item.url) : item.url ? h("span", { class: "faint" }, item.url) : null;
  return h("li", { class: "ev-item" },
    h("div", { class: "ev-head" }, h("strong", item.title || "(no title)"), h("span", { class: `ev-sure ev-${["high", "medium", "low"].includes(item.confidence) ? item.confidence : "low"}` }, `${item.confidence} confidence`)),
    h("div", { class: "ev-from faint" }, `${item.type} · ${item.source} · `, relTime(item.collectedAt), " ", idText(item.id)),
    url,
    snippet(item.snippet));
}

/** @param {string} text */
function snippet(text) {
  if (!text) return null;
  if (text.length <= LONG) return h("p", { class: "ev-snippet" }, text);
  return h("details", { class: "ev-long" }, h("summary", h("span", { class: "ev-snippet" }, `${text.slice(0, LONG)}…`), h("span", { class: "faint" }, ` all ${count(text.length)} characters`)), h("p", { class: "ev-snippet" }, text));
}

/** @param {string} name */
function extension(name) {
  const found = /\.([A-Za-z0-9]{1,5})$/.exec(name);
  return found ? found[1].toLowerCase() : "file";
}

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const [divisor, unit] = bytes < 1024 ** 2 ? [1024, "KiB"] : [1024 ** 2, "MiB"];
  return `${(bytes / divisor).toFixed(bytes / divisor < 10 ? 1 : 0)} ${unit}`;
}
