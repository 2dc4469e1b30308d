/** The people of the organization and what each may do. Owners let people in, change roles and show people out. */

import { h } from "../lib/dom.js";
import { forget, may } from "../lib/me.js";
import { badge, button, confirm, copyBox, relTime, table, toast } from "../lib/ui.js";
import { allPages } from "../parts/all_pages.js";
import { quoted } from "../parts/connect_agent.js";
import { formDialog } from "../parts/form_dialog.js";
import { whenChanged } from "../parts/org_changes.js";

const ROLES = [
  { value: "viewer", text: "Viewer", may: "reads" },
  { value: "operator", text: "Operator", may: "also creates, cancels and retries jobs" },
  { value: "admin", text: "Admin", may: "also manages hosts, keys, instances, types and settings, and reads the audit trail" },
  { value: "owner", text: "Owner", may: "also manages members" },
];

/** @param {import("../lib/router.js").Context} ctx */
export async function show(ctx) {
  const path = `/api/orgs/${ctx.org.id}/members`;
  const owner = may(ctx.org.role, "owner");
  const read = async () => (await allPages(ctx.api, path, { signal: ctx.signal, most: 5000 })).items;
  let members = await read();

  const shown = table({ caption: "Members", rows: members, key: (each) => each.userId, columns: columns(ctx, owner, setRole, remove) });

  async function setRole(member, role) {
    const own = member.userId === ctx.me.user.id && role !== member.role;
    const text = "You give up being an owner yourself. Another owner can undo that.";
    if (own && !(await confirm({ title: "Change your own role?", text, verb: "Change it", danger: true }))) return shown.update([...members]);
    try {
      put(await ctx.api.patch(`${path}/${member.userId}`, { role }));
      toast(`${member.name} is ${role} now`, "good");
    } catch (problem) {
      refused(problem, member);
    }
  }

  async function remove(member) {
    const text = "They are shown out at once. The account stays, and what they did stays readable.";
    if (!(await confirm({ title: `Remove ${member.name}?`, text, verb: "Remove", danger: true }))) return;
    try {
      await ctx.api.del(`${path}/${member.userId}`);
      members = members.filter((each) => each.userId !== member.userId);
      shown.update(members);
    } catch (problem) {
      refused(problem, member);
    }
  }

  /** The last owner can neither leave nor become less: that is told as what it is. */
  function refused(problem, member) {
    put({ ...member });
    if (problem.status !== 409) throw problem;
    toast(`${member.name} is the last owner. Make somebody else an owner first.`, "bad");
  }

  function put(member) {
    members = members.map((each) => (each.userId === member.userId ? member : each));
    shown.update(members);
  }

  whenChanged(ctx, { what: "member" }, async () => {
    const before = new Map(members.map((each) => [each.userId, each]));
    members = (await read()).map((each) => (same(before.get(each.userId), each) ? before.get(each.userId) : each));
    shown.update(members);
    const own = members.find((each) => each.userId === ctx.me.user.id);
    if (own && own.role !== ctx.org.role) {
      forget(); // what one may do here has changed: the page, and all others, are to say so
      await ctx.go(location.pathname + location.search, { replace: true });
    }
  });

  async function add() {
    const made = await invite(ctx, path);
    if (!made) return;
    members = [...members.filter((each) => each.userId !== made.userId), made];
    shown.update(members);
    toast(`${made.name} is a member now`, "good");
  }

  const legend = h("details", { class: "roles" }, h("summary", {}, "What each role may do"), h("dl", { class: "facts-list" }, ROLES.map((each) => [h("dt", {}, each.text), h("dd", {}, each.may)])));
  const node = h("section", { class: "page fleet members" },
    h("header", { class: "page-head" }, h("h1", {}, "Members"), owner ? button("Add a member", add, { kind: "primary" }) : null), legend, shown);
  return { node };
}

/** Whether a row may stay as it is drawn. */
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

function columns(ctx, owner, setRole, remove) {
  const you = (each) => (each.userId === ctx.me.user.id ? h("span", { class: "faint" }, " (you)") : null);
  return [
    { title: "Name", cell: (each) => [h("strong", {}, each.name), you(each)] },
    { title: "E-mail address", cell: (each) => each.email },
    { title: "Role", cell: (each) => (owner ? rolePicker(each, setRole) : badge("ok", each.role)) },
    { title: "Account since", cell: (each) => relTime(each.createdAt) },
    ...(owner ? [{ title: "", label: "Remove", cell: (each) => remover(each, remove) }] : []),
  ];
}

function rolePicker(member, setRole) {
  const options = ROLES.map(({ value, text }) => h("option", { value, selected: value === member.role }, text));
  const select = h("select", { class: "role", "aria-label": `Role of ${member.name}` }, options);
  select.addEventListener("change", async () => {
    select.disabled = true;
    try {
      await setRole(member, select.value);
    } catch (problem) {
      toast(problem.detail ?? String(problem), "bad");
    } finally {
      select.disabled = false;
      if (select.isConnected) select.focus();
    }
  });
  return select;
}

function remover(member, remove) {
  const node = button("Remove", () => remove(member), { kind: "danger" });
  node.setAttribute("aria-label", `Remove ${member.name}`);
  return node;
}

/** Let an account in; where there is none, say how one is made. */
function invite(ctx, path) {
  const help = h("div", { hidden: true }, h("p", {}, "Nobody has an account with that address yet. On the server's machine:"));
  const command = h("div", {});
  help.append(command);
  return formDialog({
    title: "Add a member",
    fields: [{ label: "E-mail address", name: "email", type: "email", required: true }, { label: "Role", name: "role", type: "select", options: ROLES, value: "operator", required: true }, help],
    verb: "Add",
    submit: async ({ email, role }) => {
      help.hidden = true;
      try {
        return await ctx.api.post(path, { email: email.trim(), role });
      } catch (problem) {
        if (problem.status === 404) {
          command.replaceChildren(copyBox(`interlock admin create-user --email ${quoted(email.trim())} --name ${quoted(email.split("@")[0])} --org ${ctx.org.id} --role ${role}\ninterlock admin set-password --email ${quoted(email.trim())}`));
          help.hidden = false;
        }
        throw problem;
      }
    },
  });
}


