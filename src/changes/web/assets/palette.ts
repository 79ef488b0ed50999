// Go to anything: Ctrl+K. It knows what the page offers (data-palette="group") and asks the server for more;
// where the server has no answer, the page's own and the search remain.
import { element } from "./elements";

type Item = { label: string; group: string; href: string };

const SERVER = "/palette.json";
const WAIT_MS = 120;
const AT_MOST = 30;
const NO_SERVER = "changes-palette-alone";

let items: Item[] = [];
let chosen = 0;
let asking: AbortController | null = null;
let waiting = 0;

export function start(): void {
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      show();
    }
  });
  document.addEventListener("click", (event) => {
    if (event.target instanceof Element && event.target.closest("[data-show-palette]")) show();
  });
  const { dialog, input, list } = parts();
  if (!dialog || !input || !list) return;
  input.addEventListener("input", () => {
    draw(found(input.value));
    askSoon(input.value);
  });
  input.addEventListener("keydown", move);
  list.addEventListener("click", (event) => {
    const index = [...list.children].findIndex((each) => each.contains(event.target as Node));
    if (index >= 0) go(items[index]);
  });
  dialog.addEventListener("close", () => asking?.abort());
}

function parts() {
  const dialog = document.querySelector<HTMLDialogElement>("#palette");
  return { dialog, input: dialog?.querySelector("input"), list: dialog?.querySelector<HTMLElement>("[role=listbox]") };
}

function show(): void {
  const { dialog, input } = parts();
  if (!dialog || !input || dialog.open) return;
  for (const other of document.querySelectorAll<HTMLDialogElement>("dialog[open]")) other.close();
  input.value = "";
  dialog.showModal();
  draw(found(""));
}

function onPage(): Item[] {
  const links = [...document.querySelectorAll<HTMLAnchorElement>("a[data-palette]")];
  const all = links.map((link) => ({
    label: (link.textContent ?? "").trim(),
    group: link.dataset.palette ?? "",
    href: link.href,
  }));
  return all.filter((item, index) => all.findIndex((other) => other.href === item.href) === index);
}

function found(words: string): Item[] {
  const asked = words.trim().toLowerCase();
  const here = onPage().filter((item) => matches(item.label.toLowerCase(), asked));
  return [...here, ...searching(words)].slice(0, AT_MOST);
}

function searching(words: string): Item[] {
  const text = words.trim();
  return text ? [{ label: `Search for “${text}”`, group: "Search", href: `/search/?q=${encodeURIComponent(text)}` }] : [];
}

// Every word, in any order; a reader remembers pieces.
function matches(label: string, asked: string): boolean {
  return asked.split(/\s+/).every((word) => label.includes(word));
}

function askSoon(words: string): void {
  clearTimeout(waiting);
  asking?.abort();
  if (!words.trim() || sessionStorage.getItem(NO_SERVER)) return;
  waiting = window.setTimeout(() => void ask(words), WAIT_MS);
}

async function ask(words: string): Promise<void> {
  asking = new AbortController();
  try {
    const answer = await fetch(`${SERVER}?q=${encodeURIComponent(words)}`, { signal: asking.signal });
    if (answer.status === 404) sessionStorage.setItem(NO_SERVER, "yes");
    if (!answer.ok) return;
    const told = ((await answer.json()) as { items: Item[] }).items.filter((item) => item.href.startsWith("/"));
    const mine = found(words).filter((item) => item.group !== "Search");
    draw([...mine, ...told, ...searching(words)].slice(0, AT_MOST));
  } catch (error) {
    // Away or overtaken by the next key: the page's own items are on the screen already.
    if (!(error instanceof DOMException || error instanceof TypeError)) throw error;
  }
}

function draw(next: Item[]): void {
  const { list, input } = parts();
  if (!list || !input) return;
  items = next;
  chosen = 0;
  list.replaceChildren(
    ...items.map((item, index) =>
      element(
        "div",
        { role: "option", id: `palette-${index}`, "aria-selected": String(index === chosen) },
        element("span", { class: "palette-label" }, item.label),
        element("small", {}, item.group),
      ),
    ),
  );
  input.setAttribute("aria-activedescendant", items.length ? "palette-0" : "");
}

function move(event: KeyboardEvent): void {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (by && items.length) {
    event.preventDefault();
    choose((chosen + by + items.length) % items.length);
  } else if (event.key === "Enter" && items[chosen]) {
    event.preventDefault();
    go(items[chosen]);
  }
}

function choose(index: number): void {
  const { list, input } = parts();
  list?.children[chosen]?.setAttribute("aria-selected", "false");
  chosen = index;
  list?.children[chosen]?.setAttribute("aria-selected", "true");
  list?.children[chosen]?.scrollIntoView({ block: "nearest" });
  input?.setAttribute("aria-activedescendant", `palette-${chosen}`);
}

function go(item: Item): void {
  parts().dialog?.close();
  location.assign(item.href);
}
