/** Begins the dashboard. */

import "./keys.js";
import { replace } from "./dom.js";
import { start } from "./router.js";
import { shell } from "./shell.js";

const place = /** @type {HTMLElement} */ (document.getElementById("app"));
const { node, main, shown } = shell();
place.classList.remove("boot");
replace(place, node);
start(main, shown);
