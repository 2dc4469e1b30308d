/** Looks again at what is shown, soon after it was heard of, and never twice at once. */

/**
 * @param {{signal: AbortSignal}} ctx the page's; once it is left, nothing is looked at
 * @param {() => Promise<any>} look what fails is tried again with the next word; the page stays as it is
 * @param {number} waitMs between a word and the look, and between two looks
 * @returns {{soon: () => void}}
 */
export function whileShown(ctx, look, waitMs) {
  let timer = 0;
  let busy = false;
  let again = false;
  const soon = () => {
    if (busy) again = true;
    else timer ||= setTimeout(run, waitMs);
  };
  async function run() {
    timer = 0;
    if (ctx.signal.aborted) return;
    busy = true;
    try {
      await look();
    } catch (error) {
      if (!ctx.signal.aborted) console.info("A look failed:", String(error));
    }
    busy = false;
    if (again && !ctx.signal.aborted) timer = setTimeout(run, waitMs);
    again = false;
  }
  ctx.signal.addEventListener("abort", () => clearTimeout(timer));
  return { soon };
}
