// What a page is made to tell of itself: tasks that held it up, events that it heard, and when they were on the screen.
// Runs before the page's own scripts. `bench.listen(page)` is called once the page stands there.
(() => {
  const LOOK_MS = 250; // between two events that are followed to the screen
  const PATIENCE_MS = 5000;
  const bench = (window.bench = { tasks: [], events: {}, waits: [], unseen: 0, first: 0, last: 0 });
  const observer = new PerformanceObserver((list) => keep(list.getEntries()));
  const keep = (entries) => entries.forEach(({ startTime, duration }) => bench.tasks.push([startTime, duration]));
  observer.observe({ type: "longtask", buffered: true });

  /** Between `rest` and `resume` the garbage is collected: what that takes is not the page's. */
  bench.rest = () => keep(observer.takeRecords());
  bench.resume = () => void observer.takeRecords();

  const row = (id) => document.querySelector(`main [data-row="${id}"]`);
  const link = (id) => document.querySelector(`main .ov-cells a[href$="${id}"]`);
  /** By page: what an event must have changed on the screen, or nothing where it need not change anything. */
  const SHOWS = {
    jobs: (event, data) => event === "job.updated" && data.progress > 0 && row(data.jobId) && (() => Number(row(data.jobId).querySelector("[role=progressbar]")?.getAttribute("aria-valuenow")) >= data.progress),
    overview: (event, data) => event === "job_run.started" && link(data.hostId) && (() => link(data.hostId).dataset.doing === "running"),
    hosts: (event, data) => event === "job_run.started" && row(data.hostId) && (() => row(data.hostId).closest(".host-card")?.querySelector(`.host-now a[href$="${data.jobId}"]`)),
    host: (event, data) => event === "job_run.done" && location.pathname.endsWith(data.hostId) && (() => document.querySelector(`main .panel-history [data-row="${data.jobId}"] [data-status="${data.jobStatus}"]`)),
  };

  bench.listen = async (page) => {
    const main = document.querySelector("script[type=module]").src;
    const { live } = await import(main.replace("main.js", "live.js"));
    let followed = null; // until it is on the screen: the job of an event
    let last = 0;
    live.on("*", (event, data, _seq, at) => {
      bench.last = performance.now();
      bench.first ||= bench.last;
      bench.events[event] = (bench.events[event] ?? 0) + 1;
      if (followed && event === "job_run.done" && data.jobId === followed.jobId) followed.ended = true;
      if (followed || performance.now() - last < LOOK_MS) return;
      const shown = SHOWS[page]?.(event, data);
      if (!shown || shown()) return;
      followed = { jobId: data.jobId, ended: false };
      last = performance.now();
      const told = Date.parse(at);
      const over = () => (followed = null);
      const look = () => {
        if (shown()) setTimeout(() => over(bench.waits.push(Date.now() - told))); // behind the paint of this frame
        else if (followed.ended || performance.now() - last > PATIENCE_MS) over((bench.unseen += 1)); // never seen, or not before the job's end
        else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    });
  };
})();
