/** Icons of our own: strokes on a grid of 16, in the colour of the text. Words stand beside them, so they are hidden to readers. */

import { svg } from "./dom.js";

const PATHS = {
  overview: "M2 9.5h3l2-6 2.5 9 2-5H14",
  jobs: "M5.5 4H14M5.5 8H14M5.5 12H14M2 4h.5M2 8h.5M2 12h.5",
  hosts: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.5M5 11h.5",
  instances: "M8 2l5.5 3v6L8 14l-5.5-3V5zM2.5 5L8 8l5.5-3M8 8v6",
  types: "M3 3h4v4H3zM9 3h4v4H9zM3 9h4v4H3zM11 9v4M9 11h4",
  settings: "M2 4.5h7M13 4.5h1M2 11.5h1M7 11.5h7M11 2.8v3.4M5 9.8v3.4",
  members: "M6 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM1.5 13.5c0-2.5 2-4 4.5-4s4.5 1.5 4.5 4M11 3a2.3 2.3 0 0 1 0 4.4M12.3 9.9c1.4.6 2.2 1.9 2.2 3.6",
  audit: "M4 2h6l3 3v9H4zM10 2v3h3M6.5 8.5h4M6.5 11h4",
  actors: "M8 5.5a1.8 1.8 0 1 0 0-3.5 1.8 1.8 0 0 0 0 3.5zM3.5 14a1.8 1.8 0 1 0 0-3.5 1.8 1.8 0 0 0 0 3.5zM12.5 14a1.8 1.8 0 1 0 0-3.5 1.8 1.8 0 0 0 0 3.5zM8 5.5V8M3.5 10.5V8h9v2.5",
  account: "M8 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2.5 14c0-3 2.5-4.5 5.5-4.5s5.5 1.5 5.5 4.5",
  add: "M8 3v10M3 8h10",
  more: "M3 8h.5M7.8 8h.5M12.5 8h.5",
  help: "M5.5 6c0-1.6 1.1-2.6 2.5-2.6s2.5 1 2.5 2.3c0 1.8-2.5 2-2.5 3.8M8 12.5v.3",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1.5v1.2M8 13.3v1.2M1.5 8h1.2M13.3 8h1.2M3.4 3.4l.9.9M11.7 11.7l.9.9M12.6 3.4l-.9.9M4.3 11.7l-.9.9",
  moon: "M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.500z",
  system: "M2 3h12v8H2zM6 14h4M8 11v3",
  copy: "M5.5 5.500h8v8h-8zM3 10.500H2.500v-8h8V3",
  check: "M3 8.500l3.3 3.300L13 5",
  cross: "M4 4l8 8M12 4l-8 8",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 5v3.200l2 1.3",
  play: "M5 3.500v9l7-4.500z",
  pause: "M5.5 3.500v9M10.5 3.500v9",
  stop: "M4 4h8v8H4z",
  search: "M7 11.500a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.3 10.300L14 14",
  warning: "M8 2.500L14.5 13.500h-13zM8 6.500v3.200M8 11.600v.2",
  right: "M6 3.500l4.5 4.500L6 12.5",
  out: "M6.5 2.500h-4v11h4M10 5l3.5 3-3.5 3M13.5 8H6",
  retry: "M13 8a5 5 0 1 1-1.6-3.700M13 2v3h-3",
};

/** An icon. Unknown names give an empty one. @param {string} name @returns {SVGElement} */
export function icon(name) {
  return svg("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" }, svg("path", { d: PATHS[name] ?? "" }));
}
