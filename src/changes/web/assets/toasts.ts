// A word that goes away. The shell has the place; a fragment may bring one, or a script calls toast().
import { element, hit, icon } from "./elements";

const SHOWN_MS = 5000;
const ICONS: Record<string, string> = { passed: "check", failed: "warning", quarantined: "warning" };

export function start(): void {
  document.addEventListener("click", (event) => {
    const button = hit(event, "[data-toast] [data-close]");
    button?.closest("[data-toast]")?.remove();
  });
  const place = document.getElementById("toasts");
  if (!place) return;
  place.querySelectorAll("[data-toast]").forEach(leaveLater);
  new MutationObserver((changes) => {
    for (const change of changes)
      for (const each of change.addedNodes)
        if (each instanceof Element && each.matches("[data-toast]")) leaveLater(each);
  }).observe(place, { childList: true });
}

export function toast(text: string, tone = "accent"): void {
  const close = element("button", { class: "button button-icon", type: "button", "data-close": "", title: "Close" });
  close.append(icon("close"), element("span", { class: "unseen" }, "Close"));
  const made = element("div", { class: `toast tone-${tone}`, "data-toast": "" });
  made.append(icon(ICONS[tone] ?? "info"), element("span", {}, text), close);
  document.getElementById("toasts")?.append(made);
}

// Not while it is being read: a pointer or the focus on it holds it.
function leaveLater(each: Element): void {
  setTimeout(() => {
    if (each.matches(":hover, :focus-within")) leaveLater(each);
    else each.remove();
  }, SHOWN_MS);
}
