// Keys for people who work through a list: j k move, Enter opens, c takes, n notes, / searches, ? helps, Esc leaves.

const help = document.querySelector("#help");
const rows = () => [...document.querySelectorAll("main [data-row]")].filter((row) => row.offsetParent !== null);
const chosen = () => document.querySelector('main [data-row][aria-current="true"]');

function choose(row) {
  chosen()?.removeAttribute("aria-current");
  if (!row) return;
  row.setAttribute("aria-current", "true");
  row.querySelector("a")?.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function move(step) {
  const all = rows();
  const at = all.indexOf(chosen());
  choose(all[Math.min(all.length - 1, Math.max(0, at < 0 ? 0 : at + step))]);
}

// What a key does is said by the page: a button is pressed, a field is entered, what is folded is opened.
function use(key) {
  const within = chosen() ?? document.querySelector("main");
  const target = within.querySelector(`[data-key="${key}"]`);
  if (!target) return false;
  const folded = target.closest("details");
  if (folded) folded.open = true;
  if (target.matches("input, textarea, select")) target.focus();
  else target.click();
  return true;
}

const keys = {
  j: () => move(1),
  k: () => move(-1),
  c: () => use("c"),
  n: () => use("n"),
  "/": () => document.querySelector("#search")?.focus(),
  "?": () => help.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "Escape") {
    if (help.open) return; // the dialog closes by itself
    if (typing) typing.blur();
    else choose(null);
    return;
  }
  if (typing || help.open) return;
  if (event.key === "Enter") {
    // On a link or button that has the focus, Enter is its own.
    if (event.target === document.body || event.target.matches("main")) chosen()?.querySelector("a")?.click();
    return;
  }
  if (keys[event.key]) {
    event.preventDefault();
    keys[event.key]();
  }
});
