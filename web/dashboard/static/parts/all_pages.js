/** Lists that are short enough to be had whole. */
const MOST_AT_ONCE = 200;
const MOST_TRIES = 20;

/**
 * Read a list page by page.
 * @template T
 * @param {any} api @param {string} path
 * @param {{query?: Record<string, any>, signal?: AbortSignal, most?: number, onPage?: (items: T[]) => void}} [how]
 *   `most` items are enough (default 1,000); `onPage` hears of each page as it comes
 * @returns {Promise<{items: T[], whole: boolean}>} not `whole` when there would have been more
 */
export async function allPages(api, path, { query = {}, signal, most = 1000, onPage } = {}) {
  /** @type {T[]} */
  const items = [];
  let cursor = null;
  do {
    const page = await api.page(path, { query: { ...query, limit: Math.min(MOST_AT_ONCE, most), cursor }, signal });
    items.push(...page.items);
    onPage?.(page.items);
    cursor = page.nextCursor;
  } while (cursor !== null && items.length < most);
  return { items, whole: cursor === null };
}

/**
 * A page that has something on it: a narrowed list may answer with few items or none and a cursor that leads on.
 * @param {any} api @param {string} path @param {{query: Record<string, any>, least?: number, signal?: AbortSignal}} how
 *   asked again until there are `least` items (default 1), or nothing is left, or it was asked 20 times
 * @returns {Promise<{items: any[], nextCursor: string|null}>}
 */
export async function fullPage(api, path, { query, least = 1, signal }) {
  const items = [];
  let cursor = query.cursor ?? null;
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    const page = await api.page(path, { query: { ...query, cursor }, signal });
    items.push(...page.items);
    cursor = page.nextCursor;
    if (cursor === null || items.length >= least) break;
  }
  return { items, nextCursor: cursor };
}
