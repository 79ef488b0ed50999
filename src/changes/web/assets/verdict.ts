// A live page carries its verdict (macro ui.verdict); when a fragment brings another, the tab says so.
export function start(): void {
  document.addEventListener("htmx:after:swap", tell);
}

function tell(): void {
  const verdict = document.getElementById("verdict");
  if (!verdict) return;
  const { title, icon } = verdict.dataset;
  if (title && document.title !== title) document.title = title;
  const link = document.querySelector<HTMLLinkElement>("link[rel=icon]");
  if (link && icon && link.getAttribute("href") !== icon) link.href = icon;
}
