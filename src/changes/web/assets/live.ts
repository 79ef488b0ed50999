// Keeps an open page true. One stream per visible page says what changed (web/live.py); the page then asks for itself
// again (live_regions.ts), at most four times a second and less often when the server is slow. A hidden tab holds no
// connection. When the connection comes back, the server knows by the time of the last drawing what was missed.
import { element } from "./elements";
import * as log from "./live_log";
import * as regions from "./live_regions";
import { listen } from "./live_stream";
import * as verdict from "./verdict";

const DRAW_EVERY_MS = 250;
// A list of everything changes all the time, and so many more look at it.
const DRAW_WIDE_EVERY_MS = 1000;
const WIDE = /\b(projects|nodes)\b/;
// So many times as long as the last drawing took does the next one wait: a slow server is not asked faster.
const SLOWER = 3;
// The server speaks every 15 s; whoever is silent for longer is gone, or this machine slept.
const SILENCE_MS = 35_000;
const LOOK_EVERY_MS = 5000;
const RETRY_MS = 500;
const RETRY_MAX_MS = 15_000;
// A change of connection that nobody notices need not be told.
const TELL_AFTER_MS = 800;
const HELD_LOOK_MS = 500;
const HIDDEN_LOOK_MS = 30_000;
const SAID = {
  live: ["Live", "This page shows what happens as it happens."],
  away: ["Reconnecting", "The server cannot be reached. The page asks again and catches up by itself."],
  held: ["Waiting for you", "There is news. It is shown when you have finished what you are doing here."],
  "signed out": ["Signed out", "Sign in again to see what happens."],
  gone: ["Not live", "This page is not there any more. Reload it to see what became of it."],
  refused: ["Not live", "The server does not tell this page what happens. Reload it."],
  "new version": ["New version", "The server was upgraded. Reload the page to go on."],
} as const;
type State = keyof typeof SAID;
const FINAL: State[] = ["signed out", "gone", "refused", "new version"];

let state: State = "away";
let connection: AbortController | null = null;
let heardAt = 0;
let drawnAt = Date.now();
let isWanted = false;
let isDrawing = false;
let hurry: () => void = () => undefined;
let telling = 0;

export function start(): void {
  if (!mark()) return;
  regions.start(drawSoon);
  document.addEventListener("visibilitychange", () => (document.hidden ? rest() : wake()));
  // A page that comes back out of the browser's memory has lost its connection without a word.
  addEventListener("pageshow", (event) => event.persisted && reconnect());
  addEventListener("pagehide", rest);
  addEventListener("online", () => hurry());
  setInterval(watch, LOOK_EVERY_MS);
  setInterval(() => void lookHidden(), HIDDEN_LOOK_MS);
  setInterval(() => regions.isReleased() && drawSoon(), HELD_LOOK_MS);
  if (!document.hidden) void stayConnected();
}

function mark(): HTMLElement | null {
  return document.getElementById("live");
}

function rest(): void {
  connection?.abort();
  connection = null;
}

function wake(): void {
  if (!connection) void stayConnected();
}

function reconnect(): void {
  rest();
  wake();
}

function watch(): void {
  if (connection && Date.now() - heardAt > SILENCE_MS) reconnect();
  const everyS = Number(mark()?.dataset.everyS ?? 0);
  if (everyS && !document.hidden && Date.now() - drawnAt > everyS * 1000) drawSoon();
}

// --- the stream ---------------------------------------------------------------------------

async function stayConnected(): Promise<void> {
  const mine = (connection = new AbortController());
  let failures = 0;
  while (connection === mine && !FINAL.includes(state)) {
    heardAt = Date.now();
    try {
      const outcome = await listen(address(), mine.signal, hear, () => {
        failures = 0;
        isAlive();
      });
      if (outcome !== "ended") say(outcome);
    } catch (error) {
      if (!isTrouble(error)) throw error;
    }
    if (connection !== mine || FINAL.includes(state)) return;
    if (state !== "away") sayLater("away");
    await patience(backOff(failures++));
  }
}

function isAlive(): void {
  heardAt = Date.now();
  if (state === "away" || telling || !document.getElementById("live-sign")) say("live");
}

function address(): string {
  const asked = new URLSearchParams({ since: mark()?.dataset.drawn ?? "0", ...log.place() });
  for (const topic of (mark()?.dataset.topics ?? "").split(" ")) if (topic) asked.append("topic", topic);
  return `/live?${asked}`;
}

// Whoever wants something else needs another stream.
function wants(): string {
  return `${mark()?.dataset.topics} ${log.figure()?.dataset.liveLog}`;
}

function hear(name: string, data: string): void {
  if (name === "log") log.add(JSON.parse(data) as log.News);
  if (name === "changed") drawSoon();
}

// Twice as long each time, and not all pages of the world at the same moment.
function backOff(failures: number): number {
  return Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** failures) * (0.5 + Math.random());
}

function patience(forMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, forMs);
    hurry = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

// --- drawing ------------------------------------------------------------------------------

function drawSoon(): void {
  isWanted = true;
  if (!isDrawing) void drawWhileWanted();
}

async function drawWhileWanted(): Promise<void> {
  isDrawing = true;
  while (isWanted && !document.hidden && !FINAL.includes(state)) {
    isWanted = false;
    const began = performance.now();
    const pause = await drawn();
    const tookMs = performance.now() - began;
    await new Promise((resolve) => setTimeout(resolve, pause ?? Math.max(drawEveryMs(), SLOWER * tookMs)));
  }
  isDrawing = false;
}

function drawEveryMs(): number {
  return WIDE.test(mark()?.dataset.topics ?? "") ? DRAW_WIDE_EVERY_MS : DRAW_EVERY_MS;
}

// How long to wait before the next drawing, when that is not for the clock to say.
async function drawn(): Promise<number | null> {
  try {
    const fresh = await regions.fetched();
    if (typeof fresh === "string") {
      say(fresh);
      return null;
    }
    const before = wants();
    const answer = regions.draw(fresh);
    drawnAt = Date.now();
    renew(fresh);
    log.adopt();
    log.renew(fresh);
    if (wants() !== before) reconnect();
    say(answer);
    return null;
  } catch (error) {
    if (!isTrouble(error)) throw error;
    isWanted = true;
    return backOff(2);
  }
}

// The network, a time-out, or ourselves who cut it.
function isTrouble(error: unknown): boolean {
  return error instanceof TypeError || error instanceof DOMException;
}

// The mark is no region: the script keeps it, and takes over what the page says of itself.
function renew(fresh: Document): void {
  const [mine, next] = [mark(), fresh.getElementById("live")];
  if (!mine || !next) return;
  for (const name of ["data-topics", "data-drawn", "data-running"]) {
    const value = next.getAttribute(name);
    if (value === null) mine.removeAttribute(name);
    else mine.setAttribute(name, value);
  }
}

// The tab of a running build tells its end while the reader does something else.
async function lookHidden(): Promise<void> {
  if (!document.hidden || !mark()?.hasAttribute("data-running") || FINAL.includes(state)) return;
  try {
    const fresh = await regions.fetched();
    if (typeof fresh === "string" || !document.hidden) return;
    verdict.follow(fresh);
    mark()?.toggleAttribute("data-running", fresh.getElementById("live")?.hasAttribute("data-running"));
  } catch (error) {
    if (!isTrouble(error)) throw error;
  }
}

// --- the sign -----------------------------------------------------------------------------

function say(next: State): void {
  clearTimeout(telling);
  telling = 0;
  if (FINAL.includes(state)) return;
  state = next;
  if (FINAL.includes(next)) rest();
  const [word, meaning] = SAID[next];
  const shown = document.getElementById("live-sign");
  if (shown?.dataset.state === next) return;
  const sign = shown ?? element("div", { class: "live-sign", id: "live-sign", role: "status" });
  sign.dataset.state = next;
  sign.title = meaning;
  sign.replaceChildren(element("span", { class: "live-word" }, word), ...wayOut(next));
  if (!shown) document.querySelector(".top-end")?.prepend(sign);
}

function sayLater(next: State): void {
  telling ||= window.setTimeout(() => say(next), TELL_AFTER_MS);
}

function wayOut(of: State): HTMLElement[] {
  const here = location.pathname + location.search;
  if (of === "signed out") return [element("a", { href: `/auth/login/?next=${encodeURIComponent(here)}` }, "Sign in")];
  return FINAL.includes(of) ? [element("a", { href: here }, "Reload")] : [];
}
