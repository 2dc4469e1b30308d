/**
 * All pages. `path` is below `/app/`; `org`: it belongs to an organization; `nav`: the entry of the navigation that is its
 * home; `public`: nobody needs to be signed in.
 */

const own = (path, title, nav, load) => ({ path: `orgs/:orgId/${path}`, title, nav, load, org: true });

export const PAGES = [
  { path: "sign-in", title: "Sign in", load: () => import("./sign_in.js"), public: true },
  { path: "orgs", title: "Organizations", load: () => import("./orgs.js") },
  { path: "account", title: "Account", load: () => import("./account.js") },
  { path: "device", title: "Sign in a command line", load: () => import("./device.js") },
  { path: "actors", title: "Actors", nav: "actors", load: () => import("./actors.js") },
  own("overview", "Overview", "overview", () => import("./overview.js")),
  own("jobs", "Jobs", "jobs", () => import("./jobs.js")),
  own("jobs/new", "New job", "jobs", () => import("./job_new.js")),
  own("jobs/:jobId", "Job", "jobs", () => import("./job.js")),
  own("hosts", "Hosts", "hosts", () => import("./hosts.js")),
  own("hosts/enrol", "Enrol a host", "hosts", () => import("./host_enrol.js")),
  own("hosts/:hostId", "Host", "hosts", () => import("./host.js")),
  own("instances", "Server instances", "instances", () => import("./instances.js")),
  own("types", "Job types", "types", () => import("./types.js")),
  own("types/:type", "Job type", "types", () => import("./type.js")),
  own("settings", "Settings", "settings", () => import("./settings.js")),
  own("members", "Members", "members", () => import("./members.js")),
  own("audit", "Audit trail", "audit", () => import("./audit.js")),
];
