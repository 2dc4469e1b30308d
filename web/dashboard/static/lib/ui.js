/** The parts of which pages are made; each stands in a file of its own below `ui/`. */

export { badge, idText, json, duration, count, relTime, empty, copyBox, copyText } from "./ui/texts.js";
export { button, menu } from "./ui/buttons.js";
export { toast } from "./ui/toasts.js";
export { dialog, confirm } from "./ui/dialogs.js";
export { field, form } from "./ui/forms.js";
export { table, pager } from "./ui/tables.js";
export { tabs } from "./ui/tabs.js";
export { spark } from "./ui/charts.js";
export { icon } from "./icons.js";
