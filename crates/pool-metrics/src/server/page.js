
(() => {
  "use strict";
  const main = document.querySelector("main");
  const note = document.getElementById("note");
  const here = location.pathname.endsWith("/") ? location.pathname : location.pathname + "/";
  for (const link of document.querySelectorAll("footer a")) link.href = here + link.getAttribute("href");
  const time = () => new Date().toLocaleTimeString();
  let since = time();

  async function refresh() {
    const selecting = !getSelection().isCollapsed && main.contains(getSelection().anchorNode);
    // what is not looked at need not be asked for, and what is being copied must stay
    if (document.hidden || selecting) return;
    try {
      const answer = await fetch(here + "pools?format=html", { cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (!answer.ok) throw new Error("the answer was " + answer.status);
      main.innerHTML = await answer.text();
      document.title = main.firstElementChild.dataset.title;
      since = time();
      note.textContent = "As of " + since + ", refreshed every 5 seconds.";
      document.body.classList.remove("stale");
    } catch (error) {
      note.textContent = "No answer since " + since + " (" + error.message + "); what you see is old.";
      document.body.classList.add("stale");
    }
  }

  note.textContent = "As of " + since + ", refreshed every 5 seconds.";
  (async () => {
    for (;;) {
      await new Promise((done) => setTimeout(done, 5000));
      await refresh();
    }
  })();
  document.addEventListener("visibilitychange", refresh);
})();
