// The log on this page, if there is one: its viewer, and what the stream says of it while it grows.
import * as marked from "./log_marked";
import { type News, View } from "./log_view";

export type { News };

let view: View | null = null;

export function start(): void {
  adopt();
  addEventListener("hashchange", () => {
    const span = marked.fromAddress(location.hash);
    if (span) view?.goToMarked(span);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && view?.figure.matches(".log-full")) view.setFull(false);
  });
}

// A page gets a log with its first line.
export function adopt(): void {
  const found = document.querySelector<HTMLElement>("#log [data-log]");
  if (found && found !== view?.figure) view = new View(found);
}

export function isThere(): boolean {
  return view?.figure.isConnected ?? false;
}

// What is followed; nothing when it has ended.
export function figure(): HTMLElement | null {
  return document.querySelector<HTMLElement>("[data-live-log]");
}

// What the address of the stream says about the log.
export function place(): Record<string, string> {
  const { liveLog, offset, line } = figure()?.dataset ?? {};
  return liveLog ? { log: liveLog, offset: offset ?? "0", line: line ?? "1" } : {};
}

export function add(news: News): void {
  view?.add(news);
}

export function renew(fresh: Document): void {
  const next = fresh.querySelector<HTMLElement>("#log [data-log]");
  if (next && view && next.id === view.figure.id) view.renew(next);
}
