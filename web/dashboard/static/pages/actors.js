/** The live actors of the server, for platform admins. Every look is in the audit trail, so that it rests when nobody stirs. */

import { h, replace } from "../lib/dom.js";
import { button } from "../lib/ui.js";
import { actorFigures } from "../parts/actor_figures.js";
import { actorTree } from "../parts/actor_tree.js";

const EVERY = 3000; // ms between two looks
const STIRRED = 120_000; // ms after the last move of the pointer or key until it rests
const STIRS = ["pointermove", "keydown", "scroll", "focus"];

/** @param {import("../lib/router.js").AnyContext} ctx */
export async function show(ctx) {
  const figures = actorFigures();
  const tree = actorTree(ctx);
  const note = h("p", { class: "faint", role: "status" });
  const search = h("input", { type: "search", placeholder: "Host, by name or id", "aria-label": "Search hosts", on: { input: () => tree.narrow(search.value) } });
  const head = h("header", { class: "page-head" }, h("h1", "Actors"), note, h("div", { class: "ac-search" }, search));
  const node = h("section", { class: "page" }, head, figures.node, tree.node);
  let stirred = Date.now();
  let timer = 0;
  const stir = () => (stirred = Date.now());

  async function look() {
    clearTimeout(timer);
    const seen = await ctx.api.get("/debug/actors", { signal: ctx.signal });
    figures.update(seen);
    tree.update(seen);
    replace(note, "Looks every 3 s; each look is in the audit trail.");
    plan();
  }
  function plan() {
    timer = setTimeout(() => {
      if (document.hidden || Date.now() - stirred > STIRRED) return rest();
      look().catch((error) => ctx.signal.aborted || (replace(note, `The server did not answer: ${error.detail ?? error}`), plan()));
    }, EVERY);
  }
  function rest() {
    replace(note, "At rest. ", button("Go on", () => (stir(), look())));
  }
  await look();
  for (const name of STIRS) addEventListener(name, stir, { passive: true });
  return {
    node,
    close() {
      clearTimeout(timer);
      for (const name of STIRS) removeEventListener(name, stir);
    },
  };
}
