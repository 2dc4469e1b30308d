/** Letting a command line in: its code is typed here, it is shown who asks, and somebody says yes or no. */

import { h, replace } from "../lib/dom.js";
import { button, form, relTime } from "../lib/ui.js";

/** @typedef {{name: string, address: string | null, createdAt: string, expiresAt: string}} Asking */

/** @param {import("../lib/router.js").AnyContext} ctx */
export async function show(ctx) {
  const place = h("div", { class: "device" });

  function ask() {
    const node = form({
      fields: [{ label: "Code", name: "userCode", required: true, placeholder: "BCDF-GHJK", hint: ["As ", h("code", {}, "interlock login"), " shows it in your terminal."] }],
      verb: "Go on",
      submit: async ({ userCode }) => {
        const asking = await ctx.api.post("/api/login/device/look", { userCode }, { signal: ctx.signal });
        question(userCode, asking);
      },
    });
    const input = node.querySelector("input");
    input.autocapitalize = "characters";
    input.spellcheck = false;
    replace(place, node);
    requestAnimationFrame(() => input.focus());
  }

  /** @param {string} userCode @param {Asking} asking */
  function question(userCode, asking) {
    const answer = (allow) => async () => {
      try {
        await ctx.api.post("/api/login/device/answer", { userCode, allow }, { signal: ctx.signal });
      } catch (problem) {
        if (problem.status !== 404) throw problem;
        return end("It is too late", "Its time is over, or somebody has answered already. The command shows a new code when it is called again.");
      }
      if (allow) end("It is signed in", "Go back to your terminal: it goes on there by itself.");
      else end("It was refused", "The command line was told no, and has got nothing.");
    };
    const fact = (term, ...value) => [h("dt", {}, term), h("dd", {}, value)];
    const { user } = ctx.me;
    const heading = h("h2", { tabindex: "-1" }, "Let this command line in?");
    replace(place, h("section", { class: "panel", "aria-label": "Who asks" },
      heading,
      h("dl", { class: "facts-list" },
        fact("It calls itself", h("strong", {}, asking.name)), fact("It asks from", asking.address ?? "an unknown address"),
        fact("It asked", relTime(asking.createdAt)), fact("It will be", `${user.name}, ${user.email}`)),
      h("p", {}, "It will be able to do all that you may. Let it in only if you have called ", h("code", {}, "interlock login"), " yourself just now, and nobody has sent you this code."),
      h("div", { class: "form-actions" }, button("Let it in", answer(true), { kind: "primary" }), button("Refuse it", answer(false), { kind: "danger" }), button("Back", ask))));
    heading.focus(); // no button: whoever presses Enter once more has not read it
  }

  /** @param {string} title @param {string} text */
  function end(title, text) {
    const heading = h("h2", { tabindex: "-1" }, title);
    replace(place, h("section", { class: "panel", role: "status" }, heading, h("p", {}, text), button("Another code", ask)));
    heading.focus();
  }

  ask();
  return { node: h("section", { class: "page fleet narrow" }, h("header", { class: "page-head" }, h("h1", {}, "Sign in a command line")), place) };
}
