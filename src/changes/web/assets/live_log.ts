// A log that grows: adds the lines the server drew, follows when the reader is at the end, and otherwise says how many
// new lines there are. The page keeps the last of them; the whole log has an address of its own.
import { element } from "./elements";
import { still } from "./live_still";

const LINES_KEPT = 5000;
const AT_END_PX = 24;

export type News = { html: string; offset: number; line: number };

let missed = 0;
// What the reader did last, not where the end is now: the box may have changed its size meanwhile.
let follows = true;
// The reader reads far back in a page that is full: nothing is added until he comes to the end.
let isFull = false;

// `again` begins to listen anew, from where the page is.
export function start(again: () => void): void {
  document.addEventListener("click", (event) => {
    const box = event.target instanceof Element && event.target.closest("[data-show-end]") ? scroller() : null;
    if (box) toEnd(box);
  });
  // The event of scrolling does not bubble.
  document.addEventListener(
    "scroll",
    (event) => {
      if (event.target !== scroller()) return;
      follows = isAtEnd(scroller());
      if (!follows) return;
      sayMissed(0);
      if (isFull) again();
      isFull = false;
    },
    { capture: true, passive: true },
  );
}

export function figure(): HTMLElement | null {
  return document.querySelector<HTMLElement>("[data-live-log]");
}

// What the address of the stream says about the log.
export function place(): Record<string, string> {
  const { liveLog, offset, line } = figure()?.dataset ?? {};
  return liveLog ? { log: liveLog, offset: offset ?? "0", line: line ?? "1" } : {};
}

// A reader who comes to a running step looks at its end, unless he was sent to a line.
export function begin(): void {
  const box = scroller();
  if (box && !location.hash) box.scrollTop = box.scrollHeight;
  follows = box === null || isAtEnd(box);
}

export function add(news: News): void {
  const [log, box, list] = [figure(), scroller(), figure()?.querySelector("ol")];
  if (!log || !box || !list || isFull) return;
  const made = document.createElement("template");
  made.innerHTML = news.html;
  const open = list.querySelector("[data-open]");
  const count = made.content.childElementCount - (open ? 1 : 0);
  if (!follows && list.childElementCount + count > LINES_KEPT) {
    isFull = true;
    sayMissed(missed + count);
    return;
  }
  still(() => {
    if (open && made.content.firstElementChild?.id === open.id) open.replaceWith(made.content);
    else list.append(made.content);
    while (list.childElementCount > LINES_KEPT) list.firstElementChild?.remove();
    if (follows) box.scrollTop = box.scrollHeight;
  });
  log.dataset.offset = String(news.offset);
  log.dataset.line = String(news.line);
  sayMissed(follows ? 0 : missed + count);
}

function scroller(): HTMLElement | null {
  return figure()?.querySelector<HTMLElement>(".log-lines") ?? null;
}

function isAtEnd(box: HTMLElement | null): boolean {
  return box !== null && box.scrollHeight - box.scrollTop - box.clientHeight < AT_END_PX;
}

function toEnd(box: HTMLElement): void {
  box.scrollTop = box.scrollHeight;
  box.focus({ preventScroll: true });
}

function sayMissed(count: number): void {
  missed = Math.max(0, count);
  const shown = figure()?.querySelector("[data-show-end]");
  const text = `${missed.toLocaleString("en")} new line${missed === 1 ? "" : "s"}`;
  if (missed === 0) shown?.remove();
  else if (shown) shown.textContent = text;
  else figure()?.append(element("button", { class: "live-pill", type: "button", "data-show-end": "" }, text));
}
