// A choice in a filter bar is asked at once; words wait for Enter. Empty fields stay out of the address.
import { hit } from "./elements";

export function start(): void {
  document.addEventListener("change", (event) => {
    const form = hit<HTMLFormElement>(event, "form[data-filter]");
    if (form && event.target instanceof HTMLSelectElement) form.requestSubmit();
  });
  document.addEventListener("submit", (event) => {
    const form = hit<HTMLFormElement>(event, "form[data-filter]");
    if (form) withoutEmpty(form);
  });
}

function withoutEmpty(form: HTMLFormElement): void {
  const empty = [...form.elements].filter(
    (each) => (each instanceof HTMLInputElement || each instanceof HTMLSelectElement) && each.name && !each.value,
  ) as (HTMLInputElement | HTMLSelectElement)[];
  for (const each of empty) each.disabled = true;
  // The form stays usable when the reader comes back to it.
  setTimeout(() => empty.forEach((each) => (each.disabled = false)), 0);
}
