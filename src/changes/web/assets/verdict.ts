// The tab tells the verdict: by its title and its icon. A fragment may carry another (macro ui.verdict), and a page that
// was asked for again brings its own.
export function start(): void {
  document.addEventListener("htmx:after:swap", tell);
}

function tell(): void {
  const verdict = document.getElementById("verdict");
  if (!verdict) return;
  tellTab(verdict.dataset.title ?? "", verdict.dataset.icon ?? "");
}

export function follow(fresh: Document): void {
  tellTab(fresh.title, fresh.querySelector("link[rel=icon]")?.getAttribute("href") ?? "");
}

function tellTab(title: string, icon: string): void {
  if (title && document.title !== title) document.title = title;
  const link = document.querySelector<HTMLLinkElement>("link[rel=icon]");
  if (link && icon && link.getAttribute("href") !== icon) link.href = icon;
}
