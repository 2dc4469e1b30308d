"use strict";

// Runs before anything is painted, so that a chosen theme does not flash. No module: those come too late for that.
(() => {
  // Addresses in the page are relative to the first one that is shown; browsers look at the icon's later, too.
  const icon = /** @type {HTMLLinkElement | null} */ (document.querySelector("link[rel=icon]"));
  if (icon) icon.href = icon.href;
  let chosen = null;
  try {
    chosen = localStorage.getItem("interlock.theme");
  } catch {
    // A browser that keeps nothing follows the system.
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
