// Menus are <details>; here they learn to close when the reader goes elsewhere.
import { hit } from "./elements";

export function start(): void {
  document.addEventListener("click", (event) => {
    const mine = hit<HTMLDetailsElement>(event, "details.menu");
    for (const menu of open()) if (menu !== mine) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of open()) {
      if (menu.contains(document.activeElement)) menu.querySelector("summary")?.focus();
      menu.open = false;
    }
  });
}

function open(): NodeListOf<HTMLDetailsElement> {
  return document.querySelectorAll<HTMLDetailsElement>("details.menu[open]");
}
