/** How a machine's agent comes to this server: commands that can be pasted as they are. */

import { serverUrl } from "../lib/base.js";
import { h } from "../lib/dom.js";
import { copyBox } from "../lib/ui.js";

/** Text as one word of a shell, whatever it holds. @param {string} text @returns {string} */
export const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

const AGENT_TOML = `[handlers.SERVER_START]
command = ["echo", "started"]
`;

/**
 * Start an agent that has its key.
 * @param {string} key the agent's key, or the words that stand for it
 * @returns {string}
 */
export const startCommand = (key) => `export INTERLOCK_URL=${quoted(serverUrl)}
export INTERLOCK_AGENT_KEY=${quoted(key)}
interlock agent --config agent.toml`;

/**
 * Make the machine a host by a token, and start its agent; the key is kept where only its owner reads it.
 * @param {string} token @returns {string}
 */
export const enrolCommand = (token) => `interlock agent enrol --url ${quoted(serverUrl)} --token ${quoted(token)}
interlock agent --config agent.toml`;

/**
 * The same request without Interlock's program, for agents of one's own; the answer has the key.
 * @param {string} token @returns {string}
 */
export const enrolByCurl = (token) => `curl -fsS -H 'Content-Type: application/json' -d '{"token":"${token}","name":"'"$(hostname)"'"}' ${quoted(`${serverUrl}/api/agent/register`)}`;

/** What an agent needs beside its key: the program, and which command does which type of job. @returns {HTMLElement} */
export function agentNeeds() {
  return h("details", { class: "needs" }, h("summary", {}, "What the machine needs"),
    h("p", {}, "Python 3.11 or newer with the distribution ", h("code", {}, "interlock"), " installed, outgoing HTTP to this server, and a file that says which command does which type of job. The least there is:"),
    copyBox(AGENT_TOML),
    h("p", {}, "Save it as ", h("code", {}, "agent.toml"), ". ", h("code", {}, "interlock agent install --systemd"), " makes a service of it."));
}
