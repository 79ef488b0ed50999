// The reader's taste: <button data-set="theme" data-to="dark">. A cookie tells the server, which draws it from the
// first byte; local storage tells the other tabs; the form around the button tells the reader's other browsers.
import { hit } from "./elements";

const ONE_YEAR_S = 31536000;
const KINDS = ["theme", "palette"];

export function start(): void {
  document.addEventListener("click", (event) => {
    const button = hit<HTMLElement>(event, "[data-set]");
    if (!button) return;
    choose(button.dataset.set ?? "", button.dataset.to ?? "");
    const form = button.closest("form");
    if (form && button instanceof HTMLButtonElement) {
      event.preventDefault();
      keep(form, button);
    }
  });
  addEventListener("storage", (event) => {
    const kind = event.key?.replace("changes-", "") ?? "";
    if (KINDS.includes(kind)) apply(kind, event.newValue ?? "");
  });
  for (const kind of KINDS) showChosen(kind, document.documentElement.dataset[kind] ?? "");
}

// It is seen already, so nobody waits for this, and a server that is away only means that it stays in this browser.
function keep(form: HTMLFormElement, button: HTMLButtonElement): void {
  const said = new FormData(form);
  said.set(button.name, button.value);
  fetch(form.action, { method: "POST", body: said, redirect: "manual" }).catch(() => undefined);
}

function choose(kind: string, to: string): void {
  if (!KINDS.includes(kind)) return;
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `changes_${kind}=${to}; path=/; max-age=${to ? ONE_YEAR_S : 0}; samesite=lax${secure}`;
  localStorage.setItem(`changes-${kind}`, to);
  apply(kind, to);
}

function apply(kind: string, to: string): void {
  if (to) document.documentElement.dataset[kind] = to;
  else delete document.documentElement.dataset[kind];
  showChosen(kind, to);
}

function showChosen(kind: string, to: string): void {
  for (const each of document.querySelectorAll<HTMLElement>(`[data-set="${kind}"]`))
    each.setAttribute("aria-pressed", String(each.dataset.to === to));
}
