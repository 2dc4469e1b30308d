"""What the page does: the token comes from behind the `#`, refusals are shown as text, ids alone go into the commands."""

SCRIPT = """\
"use strict";

const form = document.getElementById("form");
const problem = document.getElementById("problem");
const token = new URLSearchParams(location.hash.slice(1)).get("token");
const NO_TOKEN = "This address has no token. Open the whole link that the server printed when it started.";

if (!token) problem.textContent = NO_TOKEN;

function refuse(text, errors = []) {
  problem.textContent = text;
  for (const { path } of errors) {
    const field = form.elements.namedItem(path.replace("$.", ""));
    if (field) field.setAttribute("aria-invalid", "true");
  }
}

function sentences({ title, detail, errors = [] }) {
  const told = detail || title || "The server refused it.";
  const more = errors.map(({ path, message }) => `${path}: ${message}`).filter((each) => !told.includes(each));
  return [told, ...more].join("\\n").replaceAll("$.", "");
}

function finish({ user, orgs }) {
  const org = orgs[0].id;
  const server = location.origin + location.pathname.replace(/\\/setup$/, "");
  history.replaceState(null, "", location.pathname);
  document.getElementById("org").textContent = org;
  document.getElementById("commands").textContent = [
    `interlock admin create-host --org ${org} --name north`,
    `export INTERLOCK_URL=${server}`,
    `export INTERLOCK_ORG=${org}`,
    `export INTERLOCK_TOKEN=$(interlock admin token --raw --email ${user.id} --org ${org})`,
    "interlock jobs list",
  ].join("\\n");
  document.getElementById("agent").textContent =
    `INTERLOCK_AGENT_KEY=\u2026 interlock agent --url ${server} --config agent.toml`;
  form.hidden = true;
  document.getElementById("done").hidden = false;
  document.getElementById("enter").focus();
}

async function send(body) {
  try {
    const headers = { "Content-Type": "application/json" };
    const reply = await fetch("api/setup", { method: "POST", headers, body: JSON.stringify(body) });
    const answer = await reply.json();
    if (reply.ok) finish(answer);
    else refuse(sentences(answer), answer.errors);
  } catch {
    refuse("The server does not answer. Nothing is known to have changed: try again.");
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  refuse(token ? "" : NO_TOKEN);
  for (const field of form.querySelectorAll("input")) field.removeAttribute("aria-invalid");
  if (!token) return;
  const button = form.querySelector("button");
  button.disabled = true;
  await send({ token, ...Object.fromEntries(new FormData(form)) });
  button.disabled = false;
});
"""
