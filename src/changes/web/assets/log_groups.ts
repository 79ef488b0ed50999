// The groups of a log: the server finds them in all of it, the reader opens and closes them, and the tab remembers how.
import { element, icon } from "./elements";
import type { Folds, Group } from "./log_folds";

const OUTLINE_MAX = 300;

type Told = [first: number, last: number, depth: number, title: string, isClosed: boolean];

export class Groups {
  private timer = 0;

  constructor(
    private readonly figure: HTMLElement,
    private readonly folds: Folds,
    private readonly came: (groups: Group[]) => void,
  ) {}

  fetchIn(ms: number): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.fetch(), ms);
  }

  kept(): Map<number, boolean> {
    const told = sessionStorage.getItem(this.key);
    return new Map(told ? (JSON.parse(told) as [number, boolean][]) : []);
  }

  keep(line: number, isClosed: boolean): void {
    sessionStorage.setItem(this.key, JSON.stringify([...this.kept().set(line, isClosed)]));
  }

  // Buttons that lead to each of them.
  outline(): void {
    const place = this.figure.querySelector<HTMLElement>(".log-outline");
    const groups = this.folds.all().slice(0, OUTLINE_MAX);
    if (!place) return;
    place.hidden = groups.length === 0;
    place.querySelector("ol")?.replaceChildren(
      ...groups.map((each) => {
        const words = element("span", { class: `log-depth-${each.depth}` }, each.title || `Line ${each.first}`);
        return element("li", {}, element("button", { class: "menu-item", type: "button", "data-go": String(each.first) }, words));
      }),
    );
  }

  private get key(): string {
    return `changes-folds-${this.figure.dataset.log}`;
  }

  private async fetch(): Promise<void> {
    const { address, total } = this.figure.dataset;
    try {
      const answer = await fetch(`${address}groups/?total=${total}`, { redirect: "manual" });
      if (!answer.ok) return;
      const told = (await answer.json()) as { groups: Told[] };
      this.came(told.groups.map(([first, last, depth, title, isClosed]) => ({ first, last, depth, title, isClosed })));
    } catch (error) {
      // Without the server it is a log without groups.
      if (!(error instanceof TypeError)) throw error;
    }
  }
}

export function foldButton(group: Group): HTMLElement {
  const what = `${group.title || "Group"}, lines ${group.first} to ${group.last}`;
  const attributes = { class: "log-fold", type: "button", "aria-expanded": String(!group.isClosed), "aria-label": what };
  return element("button", { ...attributes, title: "Open or close" }, icon("right"));
}
