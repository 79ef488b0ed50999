// <button data-copy="#id"> copies the text of that element, data-copy="words" the words themselves.
import { hit } from "./elements";
import { toast } from "./toasts";

const SHOWN_MS = 1500;

export function start(): void {
  document.addEventListener("click", (event) => {
    const button = hit<HTMLButtonElement>(event, "[data-copy]");
    if (button) void copy(button);
  });
}

async function copy(button: HTMLButtonElement): Promise<void> {
  const what = button.dataset.copy ?? "";
  const source = /^#[\w-]+$/.test(what) ? document.querySelector(what) : null;
  if (await written(source?.textContent ?? what)) {
    button.classList.add("copied");
    setTimeout(() => button.classList.remove("copied"), SHOWN_MS);
    toast("Copied.", "passed");
  } else {
    if (source) getSelection()?.selectAllChildren(source);
    toast("The browser did not allow it; the text is selected instead.", "quarantined");
  }
}

// The clipboard is only there on https and localhost; many run this inside their walls on plain http.
export async function written(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return writtenTheOldWay(text);
  }
}

function writtenTheOldWay(text: string): boolean {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}
