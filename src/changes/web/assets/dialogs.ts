// <a data-dialog="id" href="…"> opens the dialog of this page; without script the link asks on a page of its own.
import { hit } from "./elements";

export function start(): void {
  document.addEventListener("click", (event) => {
    const opener = hit<HTMLElement>(event, "[data-dialog]");
    const dialog = opener && document.getElementById(opener.dataset.dialog ?? "");
    if (dialog instanceof HTMLDialogElement) {
      event.preventDefault();
      dialog.showModal();
    } else if (event.target instanceof HTMLDialogElement && isOutside(event.target, event)) {
      event.target.close();
    }
  });
  document.addEventListener("keydown", (event) => {
    const opener = hit<HTMLElement>(event, "a[data-dialog]");
    if (opener && event.key === " ") {
      event.preventDefault();
      opener.click();
    }
  });
}

function isOutside(dialog: HTMLDialogElement, event: MouseEvent): boolean {
  const box = dialog.getBoundingClientRect();
  return (
    event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom
  );
}
