/** Small charts as SVG. */

import { svg } from "../dom.js";

/**
 * A row of bars, oldest left. Their height is relative to the greatest. @param {(number | null)[]} numbers null where nothing is known
 * @param {{label: string, tone?: string, width?: number, height?: number, tip?: (at: number) => string}} options
 *   `label` is read out; `tone` as of a badge; `tip` tells about one bar, on hover
 */
export function spark(numbers, { label, tone = "run", width = 120, height = 28, tip }) {
  const most = Math.max(1, ...numbers.map(Number));
  const step = width / Math.max(1, numbers.length);
  const bars = numbers.map((number, at) => {
    if (number === null) return null;
    const tall = number ? Math.max(1.5, (number / most) * (height - 1)) : 0.75;
    const place = { x: (at * step).toFixed(2), y: (height - tall).toFixed(2), width: Math.max(0.5, step - (step > 3 ? 1 : 0)).toFixed(2), height: tall.toFixed(2) };
    const bar = svg("rect", { ...place, class: number ? null : "none" });
    if (!tip) return bar;
    const whole = svg("rect", { ...place, y: 0, height, class: "hover" }, svg("title", tip(at)));
    return svg("g", bar, whole);
  });
  return svg("svg", { class: `spark ${tone}`, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, preserveAspectRatio: "none" }, bars);
}
