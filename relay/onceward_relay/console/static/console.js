// Small helps for people with a browser that runs scripts. Every page can be read without them.

const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

function spell(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const parts = [];
  let left = Math.max(0, Math.floor(seconds));
  for (const [name, size] of units) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count && parts.length < 2) parts.push(`${count} ${name}`);
    else if (parts.length) break;
  }
  return parts.join(" ") || "now";
}

// Times are sent as UTC and shown in the person's own zone; the exact UTC stays in the title.
export function tellTimes(root = document) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    const seconds = (Date.now() - at) / 1000;
    if (time.dataset.form === "age") time.textContent = spell(seconds);
    else if (time.dataset.form === "until") time.textContent = seconds < 0 ? `in ${spell(-seconds)}` : `${spell(seconds)} ago`;
    else time.textContent = zone.format(at);
  }
}

tellTimes();
setInterval(() => tellTimes(), 30_000);
