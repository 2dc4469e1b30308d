/** The API of the server, as the person who is signed in here. */

import { SERVER } from "./base.js";
import { heard } from "./clock.js";

/** A refusal (RFC 9457). `status` 0 and code `unreachable`: the server did not answer. */
export class Problem extends Error {
  /** @param {{status: number, code: string, title?: string, detail?: string, errors?: {path: string, message: string}[], current?: any, retryAfter?: number | null}} told */
  constructor({ status, code, title, detail, errors = [], current = null, retryAfter = null }) {
    super(detail || title || "The server refused it.");
    this.name = "Problem";
    this.status = status;
    this.code = code;
    this.detail = this.message;
    this.errors = errors;
    this.current = current;
    this.retryAfter = retryAfter;
  }
}

const session = { csrf: /** @type {string | null} */ (null), lost: /** @type {(problem: Problem) => void} */ (() => {}) };

/** Whom to tell when nobody is signed in any more. @param {(problem: Problem) => void} fn */
export function onSignedOut(fn) {
  session.lost = fn;
}

/**
 * An address at the server. @param {string} path such as `/api/orgs` @param {Record<string, any>} [query] null, undefined
 * and "" are left out, lists are repeated @returns {string}
 */
export function urlOf(path, query = {}) {
  const url = new URL(path.replace(/^\//, ""), SERVER);
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== "") url.searchParams.append(name, one);
    }
  }
  return url.href;
}

/** @param {string} method @param {string} path @param {Options & {body?: any}} [options] */
async function send(method, path, { body, query, signal, idempotencyKey, ifMatch } = {}) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && session.csrf) headers["X-CSRF-Token"] = session.csrf;
  if (idempotencyKey) headers["Idempotency-Key"] = idempotencyKey;
  if (ifMatch) headers["If-Match"] = ifMatch;
  try {
    const response = await fetch(urlOf(path, query), {
      method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body), credentials: "same-origin",
    });
    heard(response.headers.get("Date"));
    return response;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ status: 0, code: "unreachable", detail: "The server does not answer." });
  }
}

async function refusal(response) {
  const told = await response.json().catch(() => ({}));
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  return new Problem({ code: "unknown", ...told, status: response.status, retryAfter });
}

/** The body, or a Problem. Whoever has signed in anew in another tab has another CSRF token: it is fetched, once. */
async function ask(method, path, options) {
  let response = await send(method, path, options);
  if (response.status === 403 && method !== "GET" && (await renewed())) response = await send(method, path, options);
  if (!response.ok) {
    const problem = await refusal(response);
    if (problem.status === 401 && !path.startsWith("/api/session")) session.lost(problem);
    throw problem;
  }
  return { body: response.status === 204 ? null : await response.json(), etag: response.headers.get("ETag") };
}

async function renewed() {
  const before = session.csrf;
  await api.session().catch(() => null);
  return session.csrf !== null && session.csrf !== before;
}

const body = async (method, path, options) => (await ask(method, path, options)).body;

/**
 * All reject with a `Problem`, or with an AbortError when `signal` has ended them.
 *
 * @typedef {{query?: Record<string, any>, signal?: AbortSignal, idempotencyKey?: string, ifMatch?: string}} Options
 */
export const api = {
  /** @param {string} path @param {Options} [options] @returns {Promise<any>} */
  get: (path, options) => body("GET", path, options),
  /** @param {string} path @param {any} [json] @param {Options} [options] @returns {Promise<any>} */
  post: (path, json, options) => body("POST", path, { ...options, body: json }),
  /** @param {string} path @param {any} [json] @param {Options} [options] @returns {Promise<any>} */
  put: (path, json, options) => body("PUT", path, { ...options, body: json }),
  /** @param {string} path @param {any} [json] @param {Options} [options] @returns {Promise<any>} */
  patch: (path, json, options) => body("PATCH", path, { ...options, body: json }),
  /** @param {string} path @param {Options} [options] @returns {Promise<null>} */
  del: (path, options) => body("DELETE", path, options),
  /** One page of a list. @param {string} path @param {Options} [options] @returns {Promise<{items: any[], nextCursor: string | null}>} */
  page: (path, options) => body("GET", path, options),
  /** With its version, for `ifMatch`. @param {string} path @param {Options} [options] @returns {Promise<{body: any, etag: string | null}>} */
  etag: (path, options) => ask("GET", path, options),
  /** Who is signed in, and what changes need from then on. */
  async session() {
    const found = await body("GET", "/api/session");
    session.csrf = found.csrfToken;
    return found;
  },
  /** Sign in. @param {string} email @param {string} password */
  async signIn(email, password) {
    const found = await body("POST", "/api/session", { body: { email, password } });
    session.csrf = found.csrfToken;
    return found;
  },
  /** Sign out, here and at this session's sockets. */
  async signOut() {
    await body("DELETE", "/api/session");
    session.csrf = null;
  },
};
