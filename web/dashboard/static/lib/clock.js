/** The server's time: a browser's clock may be off, and "in 3 minutes" of something that is over would be silly. */

let ahead = 0; // ms that the server's clock is ahead of ours

/** Note the `Date` of an answer, which is whole seconds; smaller differences are taken for the way. @param {string | null} date */
export function heard(date) {
  const told = date === null ? NaN : Date.parse(date);
  const off = told + 500 - Date.now();
  if (Number.isFinite(off)) ahead = Math.abs(off) < 2500 ? 0 : off;
}

/** Now at the server, in ms since 1970. */
export const now = () => Date.now() + ahead;
