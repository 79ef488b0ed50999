// The search field of a log: the server looks through all of it, and tells how far it came.
import { element } from "./elements";
import type { Trouble } from "./log_blocks";

const ANSWER_WITHIN_MS = 60_000;

export class Search {
  // Lines that fit, in their order; more may follow when it is not complete.
  lines: number[] = [];
  isComplete = true;
  private searchedTo = 0;
  private asking: AbortController | null = null;

  constructor(
    private readonly address: string,
    private readonly form: HTMLFormElement,
    private readonly results: HTMLElement,
    private readonly told: (words: string, trouble: Trouble) => void,
  ) {
    this.read();
  }

  get isOn(): boolean {
    return this.results.childElementCount > 0;
  }

  // As in an address; empty when nothing is looked for.
  get sought(): string {
    const fields = new FormData(this.form);
    const words = String(fields.get("q") ?? "");
    if (!words) return "";
    const asked = new URLSearchParams({ q: words });
    for (const name of ["regex", "case"]) if (fields.get(name)) asked.set(name, "1");
    return asked.toString();
  }

  clear(): void {
    this.asking?.abort();
    this.results.replaceChildren();
    this.lines = [];
    this.isComplete = true;
    this.told("", "");
  }

  // From the beginning, or where the last search ended. Tells whether an answer came.
  async ask(goesOn = false): Promise<boolean> {
    const sought = this.sought;
    if (!sought) {
      this.clear();
      return true;
    }
    this.asking?.abort();
    const mine = (this.asking = new AbortController());
    this.told("Searching …", "");
    const after = goesOn ? this.searchedTo : 0;
    const html = await this.fetched(`${this.address}found/?${sought}&after=${after}`, mine);
    if (this.asking !== mine) return false;
    if (html === null) return false;
    this.told("", "");
    const made = document.createElement("template");
    made.innerHTML = html;
    if (!goesOn) {
      this.results.replaceChildren();
      this.lines = [];
    }
    this.results.append(made.content);
    this.read();
    return true;
  }

  private async fetched(address: string, mine: AbortController): Promise<string | null> {
    const slow = setTimeout(() => mine.abort(new DOMException("slow", "TimeoutError")), ANSWER_WITHIN_MS);
    try {
      const answer = await fetch(address, { redirect: "manual", cache: "no-store", signal: mine.signal });
      if (answer.ok) return await answer.text();
      const isOut = answer.type === "opaqueredirect" || answer.status === 401;
      this.told("", isOut ? "signed out" : answer.status === 404 ? "gone" : "away");
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof DOMException)) throw error;
      if (!(error instanceof DOMException && error.name === "AbortError")) this.told("", "away");
    } finally {
      clearTimeout(slow);
    }
    return null;
  }

  private read(): void {
    const last = [...this.results.querySelectorAll<HTMLElement>(".log-found")].at(-1);
    if (!last) return;
    this.lines = [...this.results.querySelectorAll<HTMLElement>("[data-go]")].map((each) => Number(each.dataset.go));
    this.searchedTo = Number(last.dataset.searchedTo);
    this.isComplete = last.dataset.complete === "true";
    for (const each of [...this.results.querySelectorAll("[data-do='search-on']")].slice(0, -1)) each.remove();
    if (!last.querySelector(".log-found-close")) last.querySelector(".log-found-head")?.append(closer());
  }
}

function closer(): HTMLElement {
  return element("button", { class: "log-found-close", type: "button", "data-do": "search-off", title: "Search no more" }, "Close");
}
