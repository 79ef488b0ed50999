// One map of keys for every page. What a page can do carries data-keys ("r", "g p"); the dialog behind ?
// lists exactly those, so the list is never wrong. No key acts inside fields or with Ctrl, Alt or Meta.
import { element, isTyping } from "./elements";

const SEQUENCE_MS = 1200;
const ITEM = "[data-item]";
let typed = "";
let typedAt = 0;

export function start(): void {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    if (act(event.key, event.timeStamp)) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    if (event.target instanceof Element && event.target.closest("[data-show-keys]")) showKeys();
  });
}

function act(key: string, at: number): boolean {
  if (key === "?") return showKeys();
  if ((key === "j" || key === "k") && !byKeys(key)) return step(key === "j" ? 1 : -1);
  const sequence = at - typedAt < SEQUENCE_MS && typed ? `${typed} ${key}` : key;
  const found = byKeys(sequence) ?? byKeys(key);
  typed = found || key.length > 1 ? "" : key;
  typedAt = at;
  if (!found) return false;
  if (isTyping(found)) found.focus();
  else found.click();
  return true;
}

// What the page is about goes before its frame: / is the field of a log rather than the one above.
function byKeys(keys: string): HTMLElement | null {
  const found = all().filter((each) => each.dataset.keys === keys);
  return found.find((each) => each.closest("main")) ?? found[0] ?? null;
}

// What only shows how something looks does nothing.
function all(): HTMLElement[] {
  return [...document.querySelectorAll<HTMLElement>("[data-keys]:not([data-sample] *)")];
}

// Moves along what the page lists: rows, builds, failures.
function step(by: number): boolean {
  const items = [...document.querySelectorAll<HTMLElement>(ITEM)].filter((each) => each.checkVisibility());
  if (items.length === 0) return false;
  const now = items.indexOf(document.activeElement as HTMLElement);
  const next = now < 0 ? (by > 0 ? 0 : items.length - 1) : Math.min(items.length - 1, Math.max(0, now + by));
  items[next].focus();
  items[next].scrollIntoView({ block: "nearest" });
  return true;
}

function showKeys(): boolean {
  const dialog = document.getElementById("keys");
  const list = dialog?.querySelector(".key-list");
  if (!(dialog instanceof HTMLDialogElement) || !list) return false;
  list.replaceChildren(...groups());
  dialog.showModal();
  return true;
}

function groups(): HTMLElement[] {
  const search: [string, string][] = byKeys("/")?.closest("main") ? [] : [["/", "Search"]];
  const everywhere: [string, string][] = [
    ...search,
    ["Ctrl+K", "Go to anything"],
    ["?", "This list"],
    ["Esc", "Close what is open"],
  ];
  if (document.querySelector(ITEM)) everywhere.push(["j", "Next in the list"], ["k", "Previous in the list"]);
  const found = new Map<string, [string, string][]>([["Everywhere", everywhere]]);
  for (const each of all()) {
    if (each.dataset.keys === "/" && !each.closest("main")) continue;
    const group = each.dataset.keysGroup ?? "This page";
    found.set(group, [...(found.get(group) ?? []), [each.dataset.keys ?? "", nameOf(each)]]);
  }
  return [...found].map(([title, lines]) => section(title, lines));
}

function nameOf(each: HTMLElement): string {
  return each.getAttribute("aria-label") ?? (each.textContent ?? "").trim();
}

function section(title: string, lines: [string, string][]): HTMLElement {
  const items = lines.map(([keys, name]) => element("li", {}, name, drawn(keys)));
  return element("section", {}, element("h3", {}, title), element("ul", {}, ...items));
}

function drawn(keys: string): HTMLElement {
  const box = element("span", { class: "keys" });
  keys.split(" ").forEach((part, index) => {
    if (index) box.append(element("span", { class: "quiet" }, "then"));
    box.append(...part.split("+").map((key) => element("kbd", {}, key)));
  });
  return box;
}
