/** Who is signed in, asked once and kept until somebody signs in or out. */

import { api } from "./api.js";

let asked = /** @type {Promise<any> | null} */ (null);

/** The session: `{user, orgs, …}`; rejects with 401 when nobody is signed in. */
export function me() {
  asked ??= api.session().catch((error) => {
    asked = null;
    throw error;
  });
  return asked;
}

/** Ask again at the next look. */
export function forget() {
  asked = null;
}

/** Take this as the session. @param {any} session */
export function become(session) {
  asked = Promise.resolve(session);
}

const ROLES = ["viewer", "operator", "admin", "owner"];

/** Whether that role may do what takes at least `least`. @param {string | undefined} role @param {string} least */
export const may = (role, least) => ROLES.indexOf(role ?? "") >= ROLES.indexOf(least);

/** The organization with one's role in it. @param {string} id */
export async function orgById(id) {
  const { orgs } = await me();
  return orgs.find((each) => each.id === id) ?? (await api.get(`/api/orgs/${encodeURIComponent(id)}`));
}
