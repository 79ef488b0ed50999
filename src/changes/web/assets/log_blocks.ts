// Rows of a log as the server draws them, fetched in blocks as they are wanted. Keeps those that were looked at last.
import { element } from "./elements";

// As in web/pages/logview.py.
export const BLOCK_LINES = 250;
const BLOCKS_KEPT = 60;
const BLOCKS_AT_ONCE = 6;
const WAIT_MS = 40;
// What the server has just not had, it may have a little later.
const AGAIN_MS = 1000;
const RETRY_MS = 500;
const RETRY_MAX_MS = 15_000;
const ANSWER_WITHIN_MS = 30_000;

export type Trouble = "" | "away" | "signed out" | "gone";
export type Row = HTMLLIElement;

export class Blocks {
  // What is looked for, as in an address: the server marks it in the rows.
  private sought = "";
  private blocks = new Map<number, (Row | undefined)[]>();
  private outdated = new Set<number>();
  private wanted: number[] = [];
  private asking: { blocks: number[]; cut: AbortController } | null = null;
  private timer = 0;
  private again = 0;
  private failures = 0;
  private answeredAt = new Map<number, number>();

  // `came` hears of new rows and of how many lines there are; `told` of trouble, and of its end.
  constructor(
    private readonly address: string,
    private readonly came: (total: number) => void,
    private readonly told: (trouble: Trouble) => void,
  ) {}

  get(line: number): Row | undefined {
    return this.blocks.get(blockOf(line))?.[(line - 1) % BLOCK_LINES];
  }

  put(row: Row): number {
    const line = lineOf(row);
    const block = blockOf(line);
    const rows = this.blocks.get(block) ?? [];
    rows[(line - 1) % BLOCK_LINES] = row;
    this.keep(block, rows);
    return line;
  }

  // Rows stay until better ones come.
  seek(sought: string): void {
    if (sought === this.sought) return;
    this.sought = sought;
    this.outdate();
  }

  outdate(): void {
    this.asking?.cut.abort();
    this.asking = null;
    this.outdated = new Set(this.blocks.keys());
  }

  // Those lines are about to be looked at, the most urgent first.
  want(lines: number[]): void {
    const missing = new Set(lines.filter((line) => this.outdated.has(blockOf(line)) || !this.get(line)).map(blockOf));
    this.wanted = [...missing].filter((block) => this.outdated.has(block) || !this.wasJustAsked(block));
    clearTimeout(this.again);
    if (this.wanted.length < missing.size) this.again = window.setTimeout(() => this.want(lines), AGAIN_MS);
    for (const block of new Set(lines.map(blockOf))) this.touch(block);
    const asked = this.asking?.blocks ?? [];
    if (this.wanted.length === 0 || this.wanted.slice(0, BLOCKS_AT_ONCE).every((block) => asked.includes(block))) return;
    if (this.asking && !asked.some((block) => this.wanted.includes(block))) this.asking.cut.abort();
    if (this.failures === 0) this.later(WAIT_MS);
  }

  private wasJustAsked(block: number): boolean {
    return performance.now() - (this.answeredAt.get(block) ?? -AGAIN_MS) < AGAIN_MS;
  }

  retry(): void {
    this.failures = 0;
    this.later(0);
  }

  private later(ms: number): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.ask(), ms);
  }

  private async ask(): Promise<void> {
    if (this.asking || this.wanted.length === 0) return;
    const blocks = this.wanted.slice(0, BLOCKS_AT_ONCE);
    const mine = { blocks, cut: new AbortController() };
    this.asking = mine;
    const trouble = await this.answer(mine);
    if (this.asking === mine) this.asking = null;
    if (trouble === "cut") {
      this.later(WAIT_MS);
      return;
    }
    this.told(trouble);
    if (trouble === "away") this.later(Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** this.failures++) * (0.5 + Math.random()));
    if (trouble) return;
    this.failures = 0;
    this.wanted = this.wanted.filter((block) => !blocks.includes(block));
    if (this.wanted.length) this.later(0);
  }

  private async answer(asked: { blocks: number[]; cut: AbortController }): Promise<Trouble | "cut"> {
    const slow = setTimeout(() => asked.cut.abort(new DOMException("slow", "TimeoutError")), ANSWER_WITHIN_MS);
    try {
      const answer = await fetch(`${this.address}lines/?blocks=${asked.blocks.join(",")}&${this.sought}`, {
        redirect: "manual",
        cache: "no-store",
        signal: asked.cut.signal,
      });
      if (answer.type === "opaqueredirect" || answer.status === 401) return "signed out";
      if (answer.status >= 500 || answer.status === 429) return "away";
      if (!answer.ok) return "gone";
      this.take(await answer.text());
      return "";
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return "cut";
      if (error instanceof TypeError || error instanceof DOMException) return "away";
      throw error;
    } finally {
      clearTimeout(slow);
    }
  }

  private take(html: string): void {
    const made = document.createElement("template");
    made.innerHTML = html;
    const whole = made.content.firstElementChild;
    for (const list of made.content.querySelectorAll<HTMLElement>("ol[data-block]")) {
      const block = Number(list.dataset.block);
      this.keep(block, [...list.children] as Row[]);
      this.outdated.delete(block);
      this.answeredAt.set(block, performance.now());
    }
    this.came(Number(whole?.getAttribute("data-total") ?? 0));
  }

  private keep(block: number, rows: (Row | undefined)[]): void {
    this.blocks.delete(block);
    this.blocks.set(block, rows);
    while (this.blocks.size > BLOCKS_KEPT) {
      const [oldest] = this.blocks.keys();
      this.blocks.delete(oldest);
      this.outdated.delete(oldest);
      this.answeredAt.delete(oldest);
    }
  }

  private touch(block: number): void {
    const rows = this.blocks.get(block);
    if (rows) this.keep(block, rows);
  }
}

export function blockOf(line: number): number {
  return Math.floor((line - 1) / BLOCK_LINES);
}

export function lineOf(row: Element): number {
  return Number(row.id.slice(1));
}

// What stands where a line is going to be. The title of a group is known before its line comes.
export function blank(line: number, title = ""): Row {
  const number = element("a", { href: `#L${line}`, tabindex: "-1" }, String(line));
  return element("li", { id: `L${line}`, class: title ? "log-head" : "log-blank" }, number, element("span", { class: "log-text" }, title));
}
