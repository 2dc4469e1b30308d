/**
 * Elements from text that may be hostile. Children become text nodes, never markup; addresses are http(s) or are dropped.
 *
 * @typedef {Node | string | number | null | undefined | false} One
 * @typedef {One | readonly (One | readonly any[])[]} Child lists may stand in lists
 * @typedef {Record<string, any>} Props
 */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An HTML element. `class` is text; `on` maps events to functions, `data` and `style` names to values; all other
 * properties are attributes: true is "", null and false leave them out. `href` and `src` go through `safeUrl`.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {...(Props | Child)} rest properties, which may be left out, and then children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, ...rest) {
  return fill(document.createElement(tag), rest);
}

/** The same for SVG. @template {keyof SVGElementTagNameMap} Tag @param {Tag} tag @param {...(Props | Child)} rest @returns {SVGElementTagNameMap[Tag]} */
export function svg(tag, ...rest) {
  return fill(document.createElementNS(SVG, tag), rest);
}

/** @template {HTMLElement | SVGElement} T @param {T} element @param {any[]} rest @returns {T} */
function fill(element, rest) {
  const [first, ...others] = rest;
  const given = first !== null && typeof first === "object" && !Array.isArray(first) && !(first instanceof Node);
  if (given) setProps(element, first);
  append(element, given ? others : rest);
  return element;
}

function setProps(element, props) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, fn] of Object.entries(value)) element.addEventListener(event, fn);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else if (name === "href" || name === "src") setAddress(element, name, value);
    else if (/^(on|srcdoc$)/i.test(name)) throw new TypeError(`${name} is no attribute; use on: {…}`);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
}

function setAddress(element, name, value) {
  const url = safeUrl(value);
  if (url === null) return;
  element.setAttribute(name, url);
  if (name === "href" && element.localName === "a" && new URL(url, location.href).origin !== location.origin) {
    element.setAttribute("rel", "noopener noreferrer");
    element.setAttribute("target", "_blank");
  }
}

/**
 * The address as it may be shown: http, https or relative to this page; null for all else, such as `javascript:`.
 *
 * @param {unknown} text
 * @returns {string | null}
 */
export function safeUrl(text) {
  try {
    const url = new URL(String(text), location.href);
    return url.protocol === "https:" || url.protocol === "http:" ? String(text) : null;
  } catch {
    return null;
  }
}

function append(parent, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) append(parent, child);
    else parent.append(child instanceof Node ? child : String(child));
  }
}

/** Give a row the focus, without moving the page. @param {HTMLElement} row */
export function stand(row) {
  if (!row.matches("a, button, [tabindex]")) row.tabIndex = -1;
  row.focus({ preventScroll: true });
}

/** Put these children in place of all that are there. @template {Element} T @param {T} node @param {...Child} children @returns {T} */
export function replace(node, ...children) {
  node.replaceChildren();
  append(node, children);
  return node;
}

const PRESSED = 100; // ms between two looks at whether something is still held down
const told = new WeakMap();
const pressed = new WeakMap(); // the timers of nodes in which something is held down

/**
 * Put what `make` returns in place of all that is there, if what it tells has changed: else a selection, the focus and what
 * is folded open stay. Who stood on a button there stands on the first one then. What is held down stays until it is let
 * go: a click on a button that is gone by then would lead to nothing.
 *
 * @param {Element} node always filled by this
 * @param {unknown} said all that the children depend on, for JSON
 * @param {() => Child} make
 */
export function renew(node, said, make) {
  clearTimeout(pressed.get(node));
  if (node.matches(":active")) return void pressed.set(node, setTimeout(renew, PRESSED, node, said, make));
  const text = JSON.stringify([said]);
  if (told.get(node) === text) return;
  told.set(node, text);
  const focused = node.contains(document.activeElement);
  replace(node, make());
  if (focused) /** @type {HTMLElement|null} */ (node.querySelector("button, a[href]"))?.focus();
}

const known = new WeakMap();

/**
 * Show `items` as the children of `parent`: a node per key, made once, updated, moved only where the order has changed.
 * The children of `parent` must all be made here.
 *
 * @template T
 * @param {Element} parent
 * @param {readonly T[]} items
 * @param {(item: T) => string} keyOf every key once
 * @param {(item: T) => Element} make
 * @param {(node: Element, item: T) => void} [update] for nodes that are there already
 */
export function keyed(parent, items, keyOf, make, update) {
  const old = known.get(parent) ?? new Map();
  const fresh = new Map();
  for (const item of items) {
    const key = keyOf(item);
    const node = old.get(key);
    if (node && update) update(node, item);
    fresh.set(key, node ?? make(item));
  }
  for (const [key, node] of old) if (!fresh.has(key)) node.remove();
  let place = parent.firstChild;
  for (const node of fresh.values()) {
    if (node === place) place = node.nextSibling;
    else put(parent, node, place);
  }
  known.set(parent, fresh);
}

/** Where the browser can, a node is moved without losing its focus and selection. */
function put(parent, node, before) {
  if (parent.moveBefore && node.parentNode === parent && parent.isConnected) parent.moveBefore(node, before);
  else parent.insertBefore(node, before);
}

/**
 * A function that calls `fn` once before the next paint, however often it is called; in a hidden tab once it is seen.
 *
 * @param {() => void} fn
 */
export function perFrame(fn) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      fn();
    });
  };
}

/** Let the browser save text as a file. @param {string} name @param {string} text @param {string} [type] */
export function saveFile(name, text, type = "text/plain;charset=utf-8") {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
