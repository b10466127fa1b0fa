// Makes the pages nicer where there is JavaScript. Every page can be read and
// every form be sent without it.
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("js");

  // The theme is chosen before anything is painted.
  const themes = ["auto", "light", "dark"];
  const remembered = () => {
    try { return localStorage.getItem("theme") || "auto"; } catch { return "auto"; }
  };
  const wear = (theme) => {
    if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
  };
  wear(remembered());

  const span = (ms) => {
    const after = ms < 0 ? " from now" : " ago";
    const s = Math.floor(Math.abs(ms) / 1000);
    if (s < 60) return s + " s" + after;
    if (s < 3600) return Math.floor(s / 60) + " min" + after;
    if (s < 172800) return Math.floor(s / 3600) + " h" + after;
    return Math.floor(s / 86400) + " days" + after;
  };
  const two = (n) => String(n).padStart(2, "0");
  const local = (t) => `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())} ` +
    `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;

  // Times come in UTC. They are shown in the viewer's zone; UTC stays in the
  // title, for hovering.
  const localise = (within) => {
    for (const e of within.querySelectorAll("time[datetime]")) {
      const t = new Date(e.dateTime);
      if (Number.isNaN(t.getTime())) continue;
      let text = "ago" in e.dataset ? span(Date.now() - t.getTime()) : local(t);
      if ("brief" in e.dataset) text = t.toDateString() === new Date().toDateString() ? text.slice(11, 16) : text.slice(0, 16);
      if (e.textContent !== text) e.textContent = text;
    }
  };

  const copy = async (button) => {
    const source = document.getElementById(button.dataset.copy);
    if (!source) return;
    const said = button.textContent;
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = said; }, 1500);
  };

  // One stream tells all tabs of this browser which topics have changed: the tab
  // that holds the lock listens and tells the others. Where a stream cannot be
  // had, pages ask for themselves every few seconds.
  const listen = (heard, state) => {
    const channel = new BroadcastChannel("dfm-live");
    channel.onmessage = (m) => { state(m.data.up); if (m.data.topics) heard(m.data.topics); };
    const open = () => new Promise(() => {
      const tell = (up, topics) => {
        state(up);
        channel.postMessage({ up, topics });
        if (topics) heard(topics);
      };
      let stream = null;
      const connect = () => {
        stream = new EventSource("/live");
        stream.onopen = () => tell(true);
        stream.addEventListener("changed", (e) => tell(true, e.data.split(" ")));
        stream.onerror = () => {
          tell(false);
          if (stream.readyState === EventSource.CLOSED) setTimeout(connect, 30000);
        };
      };
      connect();
      addEventListener("pagehide", () => stream.close());
      addEventListener("pageshow", (e) => { if (e.persisted) connect(); });
    });
    if (navigator.locks) navigator.locks.request("dfm-live", open); else open();
  };

  // A live page takes over what is new. It holds still while somebody types,
  // selects text or looks elsewhere, and catches up afterwards.
  const live = () => {
    const button = document.querySelector("[data-live]");
    if (!button) return;
    const every = Number(button.dataset.live) * 1000;
    const watch = (document.body.dataset.watch || "").split(" ").filter(Boolean);
    let tag = "none";
    let paused = false;
    let up = false;
    let due = false;
    let last = Date.now();
    let asking = false;
    const busy = () => paused || document.hidden || !getSelection().isCollapsed ||
      document.activeElement?.matches("main input, main select, main textarea") ||
      document.querySelector("main [data-fresh] :is(details[open], input:checked)");
    const refresh = async () => {
      last = Date.now();
      due = false;
      const answer = await fetch(location.href, { headers: { "If-None-Match": tag }, cache: "no-store" });
      if (answer.redirected) { location.reload(); return; }
      if (!answer.ok) return;
      tag = answer.headers.get("ETag") || "none";
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (busy()) { tag = "none"; due = true; return; }
      for (const part of document.querySelectorAll("[data-fresh]")) {
        const fresh = next.getElementById(part.id);
        if (!fresh) continue;
        localise(fresh);
        if (part.innerHTML !== fresh.innerHTML) part.replaceChildren(...fresh.childNodes);
      }
    };
    // What nobody told of, such as a connection that fails, is seen at the latest
    // after six turns.
    const turn = () => {
      const old = Date.now() - last >= (up ? 6 * every : every);
      if (asking || busy() || !(due && Date.now() - last >= 1000 || old)) return;
      asking = true;
      refresh().catch(() => {}).finally(() => { asking = false; });
    };
    button.addEventListener("click", () => {
      paused = !paused;
      button.setAttribute("aria-pressed", String(!paused));
      button.textContent = paused ? "Paused" : "Live";
    });
    listen((topics) => {
      if (watch.length === 0 || topics.some((t) => watch.includes(t))) { due = true; turn(); }
    }, (is) => {
      if (is && !up) due = true; // what changed between the page and the stream
      up = is;
    });
    setInterval(turn, 500);
  };

  document.addEventListener("DOMContentLoaded", () => {
    localise(document);
    setInterval(() => { if (getSelection().isCollapsed) localise(document); }, 10000);
    live();
    const theme = document.querySelector("[data-theme-button]");
    if (theme) {
      const say = () => { theme.textContent = "Theme: " + remembered(); };
      say();
      theme.addEventListener("click", () => {
        const next = themes[(themes.indexOf(remembered()) + 1) % themes.length];
        try { localStorage.setItem("theme", next); } catch { /* a private window forgets */ }
        wear(next);
        say();
      });
    }
    document.addEventListener("click", (event) => {
      const button = event.target.closest("[data-copy]");
      if (button) copy(button);
    });
  });
})();
