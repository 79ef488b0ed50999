// Lines of a file by their numbers: #L10 and #L10-L20 are marked, a number together with Shift marks up to there.
import { hit } from "./elements";

const RANGE = /^#L(\d{1,9})(?:-L?(\d{1,9}))?$/;
const CHOSEN = "line-chosen";

export function start(): void {
  document.addEventListener("click", (event) => {
    const number = hit<HTMLAnchorElement>(event, "[data-file-lines] .line-number a");
    if (!number || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    go(event.shiftKey ? upTo(number.hash) : number.hash);
  });
  addEventListener("hashchange", () => mark());
  // The server has marked what it was asked for.
  if (location.hash.includes("-") || !new URLSearchParams(location.search).has("lines")) mark();
}

// From the first line that is marked.
function upTo(hash: string): string {
  const here = RANGE.exec(location.hash);
  const there = RANGE.exec(hash);
  if (!here || !there) return hash;
  const [first, last] = [Number(here[1]), Number(there[1])].sort((one, other) => one - other);
  return first === last ? hash : `#L${first}-L${last}`;
}

function go(hash: string): void {
  const address = new URL(location.href);
  address.searchParams.delete("lines");
  address.hash = hash;
  history.pushState(null, "", address);
  mark(false);
}

function mark(mayScroll = true): void {
  const found = RANGE.exec(location.hash);
  const table = document.querySelector("[data-file-lines]");
  if (!table || !found) return;
  const first = Number(found[1]);
  const last = Math.max(first, Number(found[2] ?? first));
  const row = document.getElementById(`L${first}`);
  if (!row) {
    elsewhere(first, last);
    return;
  }
  for (const each of table.querySelectorAll(`.${CHOSEN}`)) each.classList.remove(CHOSEN);
  for (let each: Element | null = row; each && Number(each.id.slice(1)) <= last; each = each.nextElementSibling) each.classList.add(CHOSEN);
  if (mayScroll) row.scrollIntoView({ block: "center" });
}

// In another part of a long file; the server knows in which one, unless it was asked already.
function elsewhere(first: number, last: number): void {
  const asked = `${first}-${last}`;
  if (new URLSearchParams(location.search).get("lines") !== asked) location.replace(`${location.pathname}?lines=${asked}#L${first}`);
}
