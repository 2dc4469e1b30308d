/** Where the server and the dashboard are. A proxy may have put a path in front, so it is read off this very file. */

/** The server, with a slash at its end, such as `https://jobs.example.com/`. */
export const SERVER = new URL("../../../../", import.meta.url);

/** The path of the dashboard, with a slash at its end, such as `/app/`. */
export const APP = new URL("../../../", import.meta.url).pathname;

/** The server as people type it into a command: without a slash at its end. */
export const serverUrl = SERVER.href.replace(/\/$/, "");
