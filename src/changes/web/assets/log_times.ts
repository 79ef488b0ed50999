// When a line was printed, in one of the ways that the reader may choose. The words are those of pages/log_rows.py.
export const WAYS = ["", "start", "line", "clock"] as const;
export type Way = (typeof WAYS)[number];

const PAUSE_MIN_MS = 50;
const SECOND_MS = 1000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

export function asWay(text: string | undefined): Way {
  return WAYS.find((each) => each === text) ?? "";
}

export function after(way: Way): Way {
  return WAYS[(WAYS.indexOf(way) + 1) % WAYS.length];
}

export function write(row: HTMLElement, way: Way, beganMs: number): void {
  const words = row.dataset.at === undefined ? "" : said(way, Number(row.dataset.at), Number(row.dataset.since), beganMs);
  if (words) row.dataset.time = words;
  else delete row.dataset.time;
}

function said(way: Way, atMs: number, sinceMs: number, beganMs: number): string {
  if (way === "start") return sinceStart(atMs);
  if (way === "line") return sinceLine(sinceMs);
  return way === "clock" ? clock.format(beganMs + atMs) : "";
}

function sinceStart(ms: number): string {
  const [hours, minutes, seconds] = [ms / HOUR_MS, (ms / MINUTE_MS) % 60, (ms / SECOND_MS) % 60].map(Math.floor);
  if (hours) return `${hours}:${two(minutes)}:${two(seconds)}`;
  return `${minutes}:${two(seconds)}.${Math.floor((ms % SECOND_MS) / 100)}`;
}

function sinceLine(ms: number): string {
  if (ms < PAUSE_MIN_MS) return "";
  if (ms < MINUTE_MS) return `+${(ms / SECOND_MS).toFixed(1)} s`;
  return `+${Math.floor(ms / MINUTE_MS)}:${two(Math.floor(ms / SECOND_MS) % 60)}`;
}

function two(count: number): string {
  return String(count).padStart(2, "0");
}
