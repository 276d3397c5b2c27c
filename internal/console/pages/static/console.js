// Keeps the page up to date: it asks for the same page again and, if that has changed, puts its main part in the place
// of the old one. It rests while nobody looks, and while somebody types or selects. Without it, a link loads the page.
"use strict";
(() => {
  const every = 2000, slowest = 15000, patience = 10000;
  const mark = document.getElementById("live");
  let main = document.getElementById("main");
  if (!mark || !main || !main.hasAttribute("data-live")) return;

  let tag = "", wait = every, timer = 0, busy = false, fresh = Date.now();

  const say = (text, state) => {
    if (mark.textContent !== text) mark.textContent = text; // else a screen reader says it again
    mark.dataset.state = state;
  };
  const time = (t) => new Date(t).toISOString().slice(11, 19) + " UTC";

  // altered reports whether somebody has written something into a field that is not sent yet.
  const altered = (el) => (el.options ? [...el.options].some((o) => o.selected !== o.defaultSelected) && el.selectedIndex !== 0 : el.value !== el.defaultValue);

  // resting reports whether a person would be disturbed.
  const resting = () => {
    const at = document.activeElement;
    if (at && main.contains(at) && at.closest("form")) return true;
    if ([...main.querySelectorAll("input, textarea, select")].some(altered)) return true;
    const chosen = document.getSelection();
    return Boolean(chosen && !chosen.isCollapsed && main.contains(chosen.anchorNode));
  };

  // away says on top of the page that the console is gone; "": it is not.
  const away = (words) => {
    let told = document.getElementById("away");
    document.body.classList.toggle("away", Boolean(words));
    if (!words) return told && told.remove();
    if (!told) {
      told = document.createElement("p");
      told.id = "away";
      told.className = "notice warn";
      told.setAttribute("role", "alert");
      main.before(told);
    }
    if (told.textContent !== words) told.textContent = words;
  };

  // place names an element so that it is found again in the next main part.
  const place = (el) => {
    if (!el || el === main || !main.contains(el)) return null;
    const path = [];
    for (; el !== main; el = el.parentElement) path.unshift([...el.parentElement.children].indexOf(el));
    return path;
  };
  const find = (path) => path.reduce((el, i) => el && el.children[i], main);

  const replace = (text) => {
    const next = new DOMParser().parseFromString(text, "text/html");
    const then = next.getElementById("main");
    if (!then) throw new Error("no page");
    const focus = place(document.activeElement);
    const label = document.activeElement && document.activeElement.textContent;
    const open = [...main.querySelectorAll("details[open][id]")].map((d) => d.id);
    const scrolled = [...main.querySelectorAll("[data-scroll]")].map((d) => [d.dataset.scroll, d.scrollLeft, d.scrollTop]);
    main.replaceWith(then);
    main = then;
    document.title = next.title;
    for (const id of open) {
      const d = document.getElementById(id);
      if (d) d.open = true;
    }
    for (const d of main.querySelectorAll("[data-scroll]")) {
      for (const [name, left, top] of scrolled) if (name === d.dataset.scroll) [d.scrollLeft, d.scrollTop] = [left, top];
    }
    const at = focus && find(focus);
    if (at && at.textContent === label) at.focus({ preventScroll: true });
  };

  const again = () => {
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(look, wait);
  };

  const look = async () => {
    if (busy || document.hidden) return;
    if (resting()) {
      say("paused while you type or select", "paused");
      return again();
    }
    busy = true;
    try {
      const headers = { Accept: "text/html" };
      if (tag) headers["If-None-Match"] = tag;
      const answer = await fetch(location.href, { headers, cache: "no-store", redirect: "error", signal: AbortSignal.timeout(patience) });
      if (answer.status === 200) {
        const text = await answer.text();
        if (!resting()) {
          replace(text);
          tag = answer.headers.get("ETag") || "";
        }
      } else if (answer.status !== 304) {
        throw new Error(String(answer.status));
      }
      fresh = Date.now();
      wait = every;
      away("");
      if (main.hasAttribute("data-stale")) say("stale: Redis is away", "stale");
      else say("live", "live");
    } catch {
      wait = Math.min(slowest, wait * 1.5);
      say("stale since " + time(fresh), "stale");
      away("Not from now: the console has not answered since " + time(fresh) + ".");
    }
    busy = false;
    again();
  };

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else look();
  });
  if (!main.hasAttribute("data-stale")) say("live", "live");
  again();
})();
