// Draws the page again: asks for its own address and morphs what is marked. Only elements with an id and data-live
// change, and only when nobody has an open menu, a half-written field or a selection in them. New rows of a list that is
// scrolled past, or that the keyboard is in, wait behind a pill.
import htmx from "htmx.org";

import { element, isTyping } from "./elements";
import { bottomOfHeader, still } from "./live_still";
import * as times from "./times";
import * as verdict from "./verdict";

// Why a page cannot be drawn again.
export type Refusal = "signed out" | "gone" | "new version";

const ANSWER_WITHIN_MS = 15_000;
const POINTING_MS = 2000;
type Field = HTMLInputElement | HTMLTextAreaElement | HTMLOptionElement;
type Change = { old: HTMLElement; next: HTMLElement };
type Morph = (old: Element, fresh: DocumentFragment, inside: boolean) => void;

let morph: Morph | null = null;
let pointedAt = -POINTING_MS;
let isPillPressed = false;
// Each tells whether what held back a part of the last drawing still does.
let holds: (() => boolean)[] = [];

export function start(pressed: () => void): void {
  htmx.registerExtension("live", {
    init: (inside: { morph: Morph }) => {
      morph = inside.morph;
    },
  });
  addEventListener("pointermove", (event) => (pointedAt = event.timeStamp), { passive: true });
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element) || !event.target.closest("[data-show-rows]")) return;
    isPillPressed = true;
    pressed();
  });
}

// Fails when the server cannot be reached or is not well; the caller asks again.
export async function fetched(): Promise<Document | Refusal> {
  const answer = await fetch(location.pathname + location.search, {
    // A page that has its log need not be sent it again.
    headers: { Accept: "text/html", ...(document.querySelector("#log [data-log]") ? { "Changes-Has": "log" } : {}) },
    redirect: "manual",
    cache: "no-store",
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
  });
  // Signed out, a page leads to the one about signing in.
  if (answer.type === "opaqueredirect" || answer.status === 401) return "signed out";
  if (answer.status >= 500 || answer.status === 429) throw new TypeError(`the server said ${answer.status}`);
  if (!answer.ok) return "gone";
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  return script(fresh) === script(document) ? fresh : "new version";
}

function script(page: Document): string | null | undefined {
  return page.querySelector('script[type="module"]')?.getAttribute("src");
}

export function isReleased(): boolean {
  return holds.some((hold) => !hold());
}

// "held" when the reader is in the middle of something that the fresh page would disturb.
export function draw(fresh: Document): "live" | "held" {
  times.rewrite(fresh);
  verdict.follow(fresh);
  const changed = [...document.querySelectorAll<HTMLElement>("[data-live]")]
    .map((old) => ({ old, next: fresh.getElementById(old.id) }))
    .filter((each): each is Change => each.next !== null && !each.old.isEqualNode(each.next))
    // A log is in the hands of its viewer.
    .filter((each) => !each.old.querySelector("[data-log]"));
  // Looked at before anything moves.
  const [used, free] = [changed.filter((each) => isInUse(each.old)), changed.filter((each) => !isInUse(each.old))];
  holds = used.map((each) => () => isInUse(each.old));
  const word = document.querySelector<HTMLElement>("[data-row]")?.dataset.row ?? "line";
  const waiting = isPillPressed ? 0 : free.reduce((sum, each) => sum + holdBack(each.old, each.next), 0);
  still(() => free.forEach((each) => swap(each)));
  showPill(waiting, word);
  if (isPillPressed) showNewest();
  isPillPressed = false;
  return used.length > 0 ? "held" : "live";
}

function swap({ old, next }: Change): void {
  const fragment = document.createDocumentFragment();
  fragment.append(document.importNode(next, true));
  morph?.(old, fragment, false);
}

function isInUse(region: HTMLElement): boolean {
  if (region.querySelector("details.menu[open], dialog[open]")) return true;
  if (isTyping(document.activeElement) && region.contains(document.activeElement)) return true;
  const selection = getSelection();
  if (selection && !selection.isCollapsed && selection.containsNode(region, true)) return true;
  return [...region.querySelectorAll<Field>("input, textarea, option")].some(isHalfWritten);
}

function isHalfWritten(field: Field): boolean {
  // Where nothing is chosen by the page, the browser chooses the first.
  if (field instanceof HTMLOptionElement) return field.defaultSelected && !field.selected;
  if (field instanceof HTMLInputElement && ["checkbox", "radio"].includes(field.type))
    return field.checked !== field.defaultChecked;
  return field.value !== field.defaultValue;
}

// --- rows ---------------------------------------------------------------------------------

// Takes new rows out of the fresh page where they would push away what is looked at. Returns how many.
function holdBack(old: HTMLElement, fresh: HTMLElement): number {
  let held = 0;
  for (const list of lists(old)) {
    const known = new Map([...list.children].map((row) => [row.id, row]));
    const row = [...fresh.querySelectorAll("[data-row]")].find((each) => known.has(each.id));
    const next = row?.parentElement;
    if (!next || !isLookedAt(list)) continue;
    const news = [...next.children].filter((each) => each.id && !known.has(each.id));
    if (news.length === 0) continue;
    held += news.length;
    holds.push(() => isLookedAt(list));
    const drawn = new Map([...next.children].map((each) => [each.id, each]));
    next.replaceChildren(...[...known].map(([id, each]) => drawn.get(id) ?? each.cloneNode(true)));
  }
  return held;
}

function lists(region: HTMLElement): Set<HTMLElement> {
  const rows = [...region.querySelectorAll<HTMLElement>("[data-row]")];
  return new Set(rows.map((row) => row.parentElement).filter((each) => each !== null));
}

function isLookedAt(list: HTMLElement): boolean {
  const box = list.getBoundingClientRect();
  if (box.top < bottomOfHeader() && box.bottom > 0) return true;
  if (list.contains(document.activeElement)) return true;
  // A row that moves away under a finger or a pointer is the wrong row a moment later.
  return list.matches(":hover") && performance.now() - pointedAt < POINTING_MS;
}

function showPill(count: number, word: string): void {
  const shown = document.getElementById("live-pill");
  if (count === 0) {
    shown?.remove();
    return;
  }
  const text = `${count} new ${word}${count === 1 ? "" : "s"}`;
  if (shown) {
    if (shown.textContent !== text) shown.textContent = text;
    return;
  }
  const pill = element("button", { class: "live-pill", id: "live-pill", type: "button", "data-show-rows": "" }, text);
  document.querySelector("main")?.append(pill);
}

function showNewest(): void {
  const row = document.querySelector<HTMLElement>("[data-row]");
  row?.scrollIntoView({ block: "center", behavior: "instant" });
  row?.querySelector<HTMLElement>("[data-item], a")?.focus({ preventScroll: true });
}
