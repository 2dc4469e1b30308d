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
 * Make the machine a host by a token, keep its key in a file that only its owner reads, and start its agent.
 * @param {string} token @param {Record<string, string>} [labels] of the machine itself
 * @returns {string}
 */
export function enrolCommand(token, labels = {}) {
  const rest = Object.keys(labels).length ? `,"labels":${JSON.stringify(labels)}` : '';
  const body = `'{"token":"${token}","name":"'"$(hostname)"'"${rest.replaceAll("'", "'\\''")}}'`;
  return `export INTERLOCK_URL=${quoted(serverUrl)}
umask 077
curl -fsS -H 'Content-Type: application/json' -d ${body} "$INTERLOCK_URL/api/agent/register" > host.json
export INTERLOCK_AGENT_KEY=$(python3 -c 'import json; print(json.load(open("host.json"))["agentKey"])')
interlock agent --config agent.toml`;
}

/** What an agent needs beside its key: the program, and which command does which type of job. @returns {HTMLElement} */
export function agentNeeds() {
  return h("details", { class: "needs" }, h("summary", {}, "What the machine needs"),
    h("p", {}, "Python 3.11 with Interlock installed (", h("code", {}, "pip install interlock"), "), outgoing HTTP to this server, and a file that says which command does which type of job. The least there is:"),
    copyBox(AGENT_TOML),
    h("p", {}, "Save it as ", h("code", {}, "agent.toml"), ". ", h("code", {}, "interlock agent install --systemd"), " makes a service of it."));
}
