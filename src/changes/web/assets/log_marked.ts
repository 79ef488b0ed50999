// Lines that the reader marked (#L10-L20), and what he copies: what was printed, without numbers and colours.
import { written } from "./copy";
import { element, icon } from "./elements";
import { toast } from "./toasts";

export type Span = { first: number; last: number };

const ADDRESS = /^#L(\d{1,15})(?:-L?(\d{1,15}))?$/;
const NAMED = /^(?:U\+([0-9A-F]{4,6})|(NUL|ESC|DEL|CR))(?:, ([\d,]+) times)?$/;
const CODES: Record<string, number> = { NUL: 0, ESC: 27, DEL: 127, CR: 13 };
const REPEATED_MAX = 10_000;

export function fromAddress(hash: string): Span | null {
  const found = ADDRESS.exec(hash);
  if (!found) return null;
  const [one, other] = [Number(found[1]), Number(found[2] ?? found[1])];
  return { first: Math.max(1, Math.min(one, other)), last: Math.max(one, other) };
}

export function address(span: Span): string {
  return span.first === span.last ? `#L${span.first}` : `#L${span.first}-L${span.last}`;
}

export function bar(span: Span): HTMLElement {
  const words = span.first === span.last ? `Line ${span.first.toLocaleString("en")}` : `Lines ${span.first.toLocaleString("en")} to ${span.last.toLocaleString("en")}`;
  const button = (what: string, picture: string, text: string) =>
    element("button", { class: "button button-icon", type: "button", "data-do": what, title: text }, icon(picture), element("span", { class: "unseen" }, text));
  return element(
    "div",
    { class: "log-marked-bar", role: "group", "aria-label": "Marked lines" },
    element("span", {}, words),
    button("copy", "copy", "Copy the marked lines"),
    button("link", "link", "Copy the address of the marked lines"),
    button("unmark", "close", "Mark nothing"),
  );
}

// The server knows the exact text, also of lines that are not on the page.
export async function copyLines(log: string, span: Span): Promise<void> {
  try {
    const answer = await fetch(`${log}text/?first=${span.first}&last=${span.last}`, { redirect: "manual", cache: "no-store" });
    if (!answer.ok) {
      toast(answer.status === 400 ? "That is too much to be copied at once; download the log instead." : "The lines could not be fetched.", "quarantined");
      return;
    }
    await tell(await written(await answer.text()), span.first === span.last ? "The line was copied." : "The lines were copied.");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    toast("The server cannot be reached, so nothing was copied.", "quarantined");
  }
}

export async function copyAddress(span: Span): Promise<void> {
  const here = new URL(location.href);
  here.hash = address(span);
  await tell(await written(here.href), "The address was copied.");
}

async function tell(isDone: boolean, words: string): Promise<void> {
  if (isDone) toast(words, "passed");
  else toast("The browser did not allow it.", "quarantined");
}

// --- what is selected with the pointer ------------------------------------------------------

export function selectedText(list: HTMLElement): string | null {
  const selection = getSelection();
  if (!selection || selection.isCollapsed || selection.rangeCount === 0) return null;
  const range = selection.getRangeAt(0);
  if (!list.contains(range.commonAncestorContainer)) return null;
  const piece = range.cloneContents();
  const rows = [...piece.querySelectorAll("li")];
  return rows.length ? rows.map(textOf).join("\n") : textOf(piece);
}

function textOf(part: ParentNode & Node): string {
  for (const each of part.querySelectorAll("a[href^='#L'], .log-fold, a.code-unseen")) each.remove();
  for (const each of part.querySelectorAll(".code-unseen")) each.replaceWith(unnamed(each.textContent ?? ""));
  return part.textContent ?? "";
}

// What a name stands for; of bytes that are no text nobody knows more than that.
function unnamed(name: string): string {
  const found = NAMED.exec(name);
  if (!found) return "\ufffd";
  const code = found[1] ? parseInt(found[1], 16) : CODES[found[2]];
  return String.fromCodePoint(code).repeat(Math.min(REPEATED_MAX, Number((found[3] ?? "1").replaceAll(",", ""))));
}
