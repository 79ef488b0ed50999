// A slug is suggested from the name while it is typed, until somebody types a slug of his own.
export function start(): void {
  document.addEventListener("input", (event) => {
    const typed = event.target;
    if (!(typed instanceof HTMLInputElement)) return;
    if (typed.dataset.slugFrom) typed.dataset.own = typed.value ? "yes" : "";
    for (const slug of document.querySelectorAll<HTMLInputElement>("input[data-slug-from]"))
      if (slug.dataset.slugFrom === typed.name && !slug.dataset.own && slug !== typed) slug.value = suggested(typed.value);
  });
}

// As projects/rules.py does it for those without script.
function suggested(name: string): string {
  const plain = name.normalize("NFKD").replace(/[^\x20-\x7e]/g, "").toLowerCase();
  return plain
    .replace(/[^a-z0-9._]+/g, "-")
    .slice(0, 64)
    .replace(/^[-._]+|[-._]+$/g, "");
}
