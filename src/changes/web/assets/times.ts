// Keeps "5 min ago" true and tells the exact moment in the reader's own zone. The words are those of
// pages/phrasing.py, which wrote them first.
const EVERY_MS = 15_000;
const MINUTE_S = 60;
const HOUR_S = 3600;
const DAY_S = 86400;

const zoned = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const short = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function start(): void {
  rewrite();
  setInterval(() => {
    if (!document.hidden) rewrite();
  }, EVERY_MS);
  document.addEventListener("visibilitychange", () => rewrite());
  document.addEventListener("htmx:after:swap", () => rewrite());
  setInterval(() => countOn(), 1000);
}

// A page that was asked for again is rewritten before it is compared with this one: nothing then differs but what changed.
export function rewrite(root: ParentNode = document): void {
  for (const each of root.querySelectorAll<HTMLTimeElement>("time[data-relative], time[data-exact]")) {
    const moment = new Date(each.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    write(each, "exact" in each.dataset ? short.format(moment) : ago(moment) ?? each.textContent ?? "");
    const title = zoned.format(moment);
    if (each.title !== title) each.title = title;
  }
  countOn(root);
}

// A year-old date stays what the server wrote.
export function ago(moment: Date, now: Date = new Date()): string | null {
  const seconds = (now.getTime() - moment.getTime()) / 1000;
  const size = Math.abs(seconds);
  if (size >= 30 * DAY_S) return null;
  if (size < MINUTE_S) return "just now";
  const text =
    size >= DAY_S
      ? `${Math.floor(size / DAY_S)} d`
      : size >= HOUR_S
        ? `${Math.floor(size / HOUR_S)} h`
        : `${Math.floor(size / MINUTE_S)} min`;
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

// What still runs counts on.
function countOn(root: ParentNode = document): void {
  if (document.hidden) return;
  for (const each of root.querySelectorAll<HTMLTimeElement>("time[data-since]")) {
    const since = new Date(each.dataset.since ?? "").getTime();
    if (!Number.isNaN(since)) write(each, duration(Math.max(0, (Date.now() - since) / 1000)));
  }
}

export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const two = (large: number, unit: string, small: number, smallUnit: string) =>
    small ? `${large} ${unit} ${small} ${smallUnit}` : `${large} ${unit}`;
  if (whole < MINUTE_S) return `${whole} s`;
  if (whole < HOUR_S) return two(Math.floor(whole / MINUTE_S), "min", whole % MINUTE_S, "s");
  if (whole < DAY_S) return two(Math.floor(whole / HOUR_S), "h", Math.floor((whole % HOUR_S) / MINUTE_S), "min");
  return two(Math.floor(whole / DAY_S), "d", Math.floor((whole % DAY_S) / HOUR_S), "h");
}

// Equal text is not written again: a screen reader or a selection would notice.
function write(each: HTMLElement, text: string): void {
  if (each.textContent !== text) each.textContent = text;
}
