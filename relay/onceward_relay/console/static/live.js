// Hears from the server that what this page shows has changed, and shows it: at once, or when the person says so.
import { tellTimes } from "./console.js";

const notice = document.querySelector("[data-changed]");
let main = document.querySelector("main[data-live]");
let seen = main.dataset.mark;
let stream = null;
let fetching = false;

// A form that is in use is left alone: one that has the focus, was changed, or was opened.
function inUse() {
  if (main.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")) return true;
  if ([...main.querySelectorAll("details[open]")].some((each) => each.querySelector("form"))) return true;
  return [...main.querySelectorAll("input:not([type=hidden]), select, textarea")].some((field) => {
    if (field.matches("select")) return [...field.options].some((option) => option.selected !== option.defaultSelected && field.selectedIndex > 0);
    if (field.matches("[type=checkbox], [type=radio]")) return field.checked !== field.defaultChecked;
    return field.value !== field.defaultValue;
  });
}

async function show() {
  if (fetching) return;
  fetching = true;
  try {
    const answer = await fetch(location.href, { headers: { "X-Onceward-By-Itself": "1" } });
    if (answer.redirected && new URL(answer.url).pathname === "/login") return ended();
    if (!answer.ok) return;
    const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
    if (next) swap(next);
  } catch {
    // The network is away; the next change is shown again.
  } finally {
    fetching = false;
  }
}

function swap(next) {
  const focused = main.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  const chosen = main.querySelector('[data-row][aria-current="true"] a')?.getAttribute("href");
  main.replaceChildren(...next.childNodes);
  tellTimes(main);
  const link = (href) => href && [...main.querySelectorAll("a")].find((each) => each.getAttribute("href") === href);
  link(chosen)?.closest("[data-row]")?.setAttribute("aria-current", "true");
  link(focused)?.focus({ preventScroll: true });
  notice.hidden = true;
}

function offer() {
  const button = document.createElement("button");
  button.textContent = "Something has changed – show it";
  button.addEventListener("click", show);
  notice.replaceChildren(button);
  notice.hidden = false;
}

function ended() {
  stop();
  const link = document.createElement("a");
  link.href = `/login?to=${encodeURIComponent(location.pathname + location.search)}`;
  link.textContent = "log in";
  notice.replaceChildren("Your session has ended: ", link, ".");
  notice.hidden = false;
}

function heard(event) {
  const state = JSON.parse(event.data);
  for (const badge of document.querySelectorAll("[data-approvals]")) {
    badge.hidden = !state.approvals;
    badge.textContent = state.approvals ? String(state.approvals) : "";
  }
  if (state.mark === null) return;
  const before = seen;
  seen = state.mark;
  if (before === seen) return; // a page that does not know what it showed is shown once more
  if (inUse()) offer();
  else show();
}

function start() {
  if (stream !== null) return;
  const asked = new URLSearchParams({ page: main.dataset.live });
  if (main.dataset.about) asked.set("about", main.dataset.about);
  stream = new EventSource(`/events?${asked}`);
  stream.addEventListener("state", heard);
  stream.addEventListener("end", (event) => JSON.parse(event.data).end === "session" && ended());
}

function stop() {
  stream?.close();
  stream = null;
}

// A page that nobody sees listens to nothing: browsers let few streams of one site be open.
document.addEventListener("visibilitychange", () => (document.hidden ? stop() : start()));
addEventListener("pagehide", stop);
addEventListener("pageshow", () => document.hidden || start());
if (!document.hidden) start();
