/** Lists that are short enough to be had whole. */
const MOST_AT_ONCE = 200;

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
