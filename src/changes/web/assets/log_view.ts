// The viewer of a log: of a million lines a few hundred are on the page. Everything that can be done has a button with
// data-do, and keys (keys.ts) press those buttons. What is on the page when it comes was drawn by the server and reads
// without this; see components/log.html.
import { element, hit, icon } from "./elements";
import { blank, Blocks, lineOf, type Row, type Trouble } from "./log_blocks";
import { Folds, type Group } from "./log_folds";
import { foldButton, Groups } from "./log_groups";
import * as marked from "./log_marked";
import { Scroller } from "./log_scroll";
import { Search } from "./log_search";
import * as times from "./log_times";

const TASTE = "changes_log";
const TASTE_S = 31_536_000;
const GROUPS_FIRST_MS = 100;
const GROUPS_LATER_MS = 700;
const GROUPS_AGAIN_MS = 5000;
const GROUPS_LIVE_LINES = 200_000;
const TOLD: Record<Exclude<Trouble, "">, string> = {
  away: "The server cannot be reached. What is here can be read; the rest follows by itself.",
  "signed out": "You are signed out. Sign in again to see more of this log.",
  gone: "This log is not there any more.",
};

export type News = { html: string; offset: number; line: number; total: number };

export class View {
  private readonly box: HTMLElement;
  private readonly list: HTMLElement;
  private readonly blocks: Blocks;
  private readonly folds = new Folds();
  private readonly groups: Groups;
  private readonly scroller: Scroller;
  private readonly search: Search;
  private readonly blanks = new Map<number, Row>();
  private total: number;
  private way: times.Way;
  private span: marked.Span | null = null;
  private at = 0;
  private follows = false;
  private missed = 0;

  constructor(readonly figure: HTMLElement) {
    const form = figure.querySelector<HTMLFormElement>(".log-search");
    const results = figure.querySelector<HTMLElement>(".log-results");
    this.box = figure.querySelector<HTMLElement>(".log-lines") as HTMLElement;
    this.list = this.box.querySelector("ol") as HTMLElement;
    this.total = Number(figure.dataset.total);
    this.way = times.asWay(figure.dataset.times);
    this.blocks = new Blocks(this.address, (total) => this.came(total), (trouble) => this.tell("", trouble));
    for (const row of this.list.querySelectorAll<Row>(":scope > li")) this.blocks.put(row);
    this.search = new Search(this.address, form as HTMLFormElement, results as HTMLElement, (words, trouble) => this.tell(words, trouble));
    this.blocks.seek(this.search.sought);
    this.groups = new Groups(figure, this.folds, (groups) => this.setGroups(groups));
    figure.dataset.ready = "";
    this.scroller = new Scroller(this.box, this.list, { count: () => this.folds.count(this.total), draw: (row) => this.draw(row) }, () => this.moved());
    this.listen();
    this.begin();
    // Lines are waited for, groups are not: to find them, the server looks through the whole log.
    const isWaiting = this.at > 0 && !this.blocks.get(this.at);
    if (!this.isGrowing || this.total <= GROUPS_LIVE_LINES) this.groups.fetchIn(isWaiting ? GROUPS_LATER_MS : GROUPS_FIRST_MS);
  }

  private get address(): string {
    return this.figure.dataset.address ?? "";
  }

  private get isGrowing(): boolean {
    return this.figure.dataset.liveLog !== undefined && this.figure.dataset.over === undefined;
  }

  private get isTailWanted(): boolean {
    return !this.figure.dataset.target && !this.search.isOn;
  }

  private get errors(): number[] {
    return (this.figure.dataset.errors ?? "").split(" ").filter(Boolean).map(Number);
  }

  // Who comes to a log looks at its end, unless he was sent to a line.
  private begin(): void {
    const sent = marked.fromAddress(location.hash);
    const target = Number(this.figure.dataset.target ?? 0);
    this.countJumps();
    if (sent) this.goToMarked(sent);
    else if (target) this.goToMarked({ first: target, last: target }, false);
    else if (this.isTailWanted) this.follow(true);
    else this.scroller.refresh();
    if (this.search.isOn) this.searched();
  }

  private listen(): void {
    this.figure.addEventListener("click", (event) => this.clicked(event));
    this.figure.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.seek();
    });
    const field = this.figure.querySelector<HTMLInputElement>(".log-search input[type=search]");
    field?.addEventListener("input", () => field.value === "" && this.search.isOn && this.stopSearch());
    this.figure.querySelectorAll(".log-search [type=checkbox]").forEach((each) => each.addEventListener("change", () => void this.seek()));
    this.list.addEventListener("copy", (event) => {
      const text = marked.selectedText(this.list);
      if (text === null) return;
      (event as ClipboardEvent).clipboardData?.setData("text/plain", text);
      event.preventDefault();
    });
  }

  // --- drawing ------------------------------------------------------------------------------

  private draw(row: number): HTMLElement {
    const line = this.folds.lineAt(row);
    const element = this.blocks.get(line) ?? this.blankOf(line);
    this.decorate(element, line);
    return element;
  }

  private blankOf(line: number): Row {
    const made = this.blanks.get(line) ?? blank(line, this.folds.at(line)?.title);
    this.blanks.set(line, made);
    return made;
  }

  private decorate(row: Row, line: number): void {
    times.write(row, this.way, Number(this.figure.dataset.began ?? 0));
    row.classList.toggle("log-marked", this.span !== null && this.span.first <= line && line <= this.span.last);
    row.classList.toggle("log-here", line === this.at);
    const group = this.folds.at(line);
    const button = row.querySelector(".log-fold");
    if (!group) button?.remove();
    else if (!button) row.querySelector(".log-text")?.before(foldButton(group));
    else button.setAttribute("aria-expanded", String(!group.isClosed));
    if (group?.isClosed) row.dataset.folded = `${(group.last - group.first).toLocaleString("en")} lines`;
    else delete row.dataset.folded;
  }

  private redraw(): void {
    this.scroller.refresh();
    this.want();
  }

  // Rows in sight first, then those around them.
  private want(): void {
    const [first, screen] = [this.scroller.first, this.scroller.screen];
    const count = this.folds.count(this.total);
    const lines: number[] = [];
    for (let row = first; row < Math.min(count, first + 2 * screen); row++) lines.push(this.folds.lineAt(row));
    for (let row = first - 1; row >= Math.max(0, first - screen); row--) lines.push(this.folds.lineAt(row));
    this.blocks.want(lines);
  }

  private came(total: number): void {
    if (!this.isGrowing || total > this.total) this.setTotal(total);
    this.blanks.clear();
    this.keepPlace(() => this.scroller.refresh());
    this.want();
  }

  private setTotal(total: number): void {
    const digits = (count: number) => `log-digits-${String(count).length}`;
    this.figure.classList.replace(digits(this.total), digits(total));
    this.figure.dataset.total = String(total);
    this.total = total;
  }

  // --- moving -------------------------------------------------------------------------------

  private moved(): void {
    this.want();
    const isAtEnd = this.scroller.isAtEnd();
    if (this.follows !== isAtEnd) this.setFollows(isAtEnd);
  }

  private follow(isOn: boolean): void {
    this.setFollows(isOn);
    if (!isOn) return;
    this.scroller.refresh();
    this.scroller.toEnd();
    this.want();
  }

  private setFollows(isOn: boolean): void {
    this.follows = isOn;
    this.figure.querySelector("[data-do=follow]")?.setAttribute("aria-pressed", String(isOn));
    if (isOn) this.sayMissed(0);
  }

  private keepPlace(change: () => void): void {
    change();
    if (this.follows) this.scroller.toEnd();
  }

  private goTo(line: number): void {
    const wanted = Math.max(1, Math.min(line, this.total));
    if (wanted !== line) this.tell(`The log has ${this.total.toLocaleString("en")} lines.`, "");
    for (const first of this.folds.reveal(wanted)) this.groups.keep(first, false);
    this.at = wanted;
    this.setFollows(false);
    const row = this.folds.rowOf(wanted);
    if (this.scroller.inSight(row)) this.scroller.refresh();
    else this.scroller.goTo(row);
    this.want();
  }

  private lineAtEdge(): number {
    return this.folds.lineAt(this.scroller.first);
  }

  // --- marked lines -------------------------------------------------------------------------

  goToMarked(span: marked.Span, isInAddress = true): void {
    this.mark({ first: Math.min(span.first, this.total), last: Math.min(span.last, this.total) }, isInAddress);
    this.goTo(span.first);
  }

  private mark(span: marked.Span | null, isInAddress = true): void {
    this.span = span;
    if (isInAddress) history.replaceState(history.state, "", span ? marked.address(span) : location.pathname + location.search);
    this.figure.querySelector(".log-marked-bar")?.remove();
    if (span) this.figure.append(marked.bar(span));
    this.scroller.refresh();
  }

  private step(by: number): void {
    // The first is the one that the reader was led to, as long as that is in sight.
    const led = this.at ? this.folds.rowOf(this.at) : -1;
    const first = led >= 0 && this.scroller.inSight(led) ? led : this.scroller.first;
    const row = this.span ? this.folds.rowOf(this.span.last) + by : first;
    const line = this.folds.lineAt(Math.max(0, Math.min(row, this.folds.count(this.total) - 1)));
    this.mark({ first: line, last: line });
    this.goTo(line);
  }

  private clickedNumber(line: number, extends_: boolean): void {
    const from = extends_ && this.span ? this.span : { first: line, last: line };
    this.setFollows(this.follows && this.scroller.isAtEnd());
    this.mark({ first: Math.min(from.first, line), last: extends_ ? Math.max(from.first, line) : line });
  }

  // --- groups -------------------------------------------------------------------------------

  private setGroups(groups: Group[]): void {
    const [edge, kept] = [this.lineAtEdge(), this.groups.kept()];
    this.folds.set(groups, kept);
    this.blanks.clear();
    // What was jumped to, or tells of an error, is not hidden by a way of a program to be tidy.
    for (const line of [this.at, ...this.errors, ...this.search.lines]) if (line) this.folds.reveal(line);
    this.keepPlace(() => this.scroller.refresh(this.folds.rowOf(edge)));
    this.want();
    this.groups.outline();
  }

  private toggle(line: number): void {
    const group = this.folds.at(line);
    if (!group) return;
    const edge = this.lineAtEdge();
    this.groups.keep(line, !group.isClosed);
    this.folds.close(line, !group.isClosed);
    this.setFollows(false);
    this.scroller.refresh(this.folds.rowOf(edge));
    this.want();
  }

  private toggleAll(isClosed: boolean): void {
    const edge = this.lineAtEdge();
    for (const group of this.folds.all()) this.groups.keep(group.first, isClosed);
    this.folds.closeAll(isClosed);
    this.setFollows(false);
    this.scroller.refresh(this.folds.rowOf(edge));
    this.want();
  }

  // --- search and errors --------------------------------------------------------------------

  private async seek(goesOn = false): Promise<void> {
    if (!(await this.search.ask(goesOn))) return;
    this.searched();
    const first = this.search.lines.find((line) => line >= this.lineAtEdge()) ?? this.search.lines[0];
    const isSeen = this.search.lines.some((line) => this.scroller.inSight(this.folds.rowOf(line)));
    if (first && !isSeen && !goesOn) this.goTo(first);
    else this.redraw();
  }

  private searched(): void {
    this.blocks.seek(this.search.sought);
    this.countJumps();
    this.want();
  }

  private stopSearch(): void {
    const field = this.figure.querySelector<HTMLInputElement>(".log-search input[type=search]");
    if (field) field.value = "";
    this.search.clear();
    this.searched();
    this.redraw();
  }

  private get jumps(): number[] {
    return this.search.isOn ? this.search.lines : this.errors;
  }

  private async jump(by: number): Promise<void> {
    if (this.jumps.length === 0) return;
    const here = this.standsAt(by);
    const before = this.jumps.filter((line) => line < here).length;
    let at = by > 0 ? this.jumps.findIndex((line) => line > here) : before - 1;
    if (at < 0 && by > 0 && this.search.isOn && !this.search.isComplete) {
      const known = this.jumps.length;
      await this.seek(true);
      at = known < this.jumps.length ? known : -1;
    }
    if (at < 0) at = by > 0 ? 0 : this.jumps.length - 1;
    this.goTo(this.jumps[at]);
    this.countJumps(at);
  }

  // Where the last jump led, as long as that is in sight; else what is in sight comes first.
  private standsAt(by: number): number {
    if (this.at && this.scroller.inSight(this.folds.rowOf(this.at))) return this.at;
    const last = Math.min(this.scroller.first + this.scroller.screen, this.folds.count(this.total) - 1);
    return by > 0 ? this.lineAtEdge() - 1 : this.folds.lineAt(last) + 1;
  }

  private countJumps(at = -1): void {
    const [place, count] = [this.figure.querySelector<HTMLElement>(".log-jump"), this.jumps.length];
    if (!place) return;
    place.hidden = count === 0;
    const all = `${count.toLocaleString("en")}${this.search.isOn && !this.search.isComplete ? "+" : ""}`;
    const noun = this.search.isOn ? (count === 1 ? "hit" : "hits") : count === 1 ? "error" : "errors";
    const shown = place.querySelector(".log-count");
    if (shown) shown.textContent = at < 0 ? `${all} ${noun}` : `${(at + 1).toLocaleString("en")} of ${all} ${noun}`;
  }

  // --- a log that grows ---------------------------------------------------------------------

  add(news: News): void {
    this.scroller.catchUp();
    const made = document.createElement("template");
    made.innerHTML = news.html;
    const rows = [...made.content.querySelectorAll<Row>("li")];
    const grown = Math.max(0, news.total - this.total);
    for (const row of rows) {
      const line = this.blocks.put(row);
      this.blanks.delete(line);
    }
    this.setTotal(Math.max(this.total, news.total));
    this.figure.dataset.offset = String(news.offset);
    this.figure.dataset.line = String(news.line);
    const isHeld = marked.selectedText(this.list) !== null;
    if (isHeld) this.setFollows(false);
    this.keepPlace(() => this.scroller.refresh());
    this.want();
    if (!this.follows) this.sayMissed(this.missed + grown);
    if (rows.some((row) => row.matches(".log-head, .log-end"))) this.groupsMayHaveChanged();
  }

  // What the page says of it when it was drawn again: the end of it, and what was found to be wrong.
  renew(fresh: HTMLElement): void {
    if (fresh.dataset.liveLog === undefined && this.isGrowing) this.end(fresh);
    // Another log of the step may have begun.
    const [names, now] = [this.figure, fresh].map((each) => each.querySelector(".log-bar > :is(.tabs, .log-name)"));
    if (names && now && !names.isEqualNode(now)) names.replaceWith(document.importNode(now, true));
    if (fresh.dataset.errors === this.figure.dataset.errors) return;
    this.figure.dataset.errors = fresh.dataset.errors ?? "";
    this.countJumps();
    this.blocks.outdate();
    this.want();
  }

  private end(fresh: HTMLElement): void {
    this.setTotal(Math.max(this.total, Number(fresh.dataset.total)));
    this.figure.dataset.over = "";
    this.figure.querySelector("[data-do=follow]")?.remove();
    this.redraw();
    this.groupsMayHaveChanged();
  }

  // Of a log that grows only while that is little work.
  private groupsMayHaveChanged(): void {
    if (!this.isGrowing) this.groups.fetchIn(0);
    else if (this.total <= GROUPS_LIVE_LINES) this.groups.fetchIn(GROUPS_AGAIN_MS);
  }

  private sayMissed(count: number): void {
    this.missed = Math.max(0, count);
    const shown = this.figure.querySelector(".live-pill");
    const text = `${this.missed.toLocaleString("en")} new line${this.missed === 1 ? "" : "s"}`;
    if (this.missed === 0) shown?.remove();
    else if (shown) shown.textContent = text;
    else this.figure.append(element("button", { class: "live-pill", type: "button", "data-do": "end" }, text));
  }

  // --- what is pressed ----------------------------------------------------------------------

  private clicked(event: MouseEvent): void {
    const number = hit<HTMLElement>(event, ".log-lines li > a");
    const row = hit<Row>(event, ".log-lines li");
    if (number && row && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.clickedNumber(lineOf(row), event.shiftKey);
      return;
    }
    if (row && hit(event, ".log-fold")) this.toggle(lineOf(row));
    const to = hit<HTMLElement>(event, "[data-go]");
    if (to) {
      event.preventDefault();
      this.goTo(Number(to.dataset.go));
    }
    const button = hit<HTMLElement>(event, "[data-do]");
    if (!button) return;
    event.preventDefault();
    this.act(button.dataset.do ?? "");
  }

  private act(what: string): void {
    const done: Record<string, () => void> = {
      next: () => void this.jump(1),
      previous: () => void this.jump(-1),
      follow: () => this.follow(!this.follows),
      end: () => {
        this.follow(true);
        this.box.focus({ preventScroll: true });
      },
      times: () => this.setTimes(times.after(this.way)),
      wrap: () => this.setWrap(!this.figure.classList.contains("log-wrapped")),
      full: () => this.setFull(!this.figure.classList.contains("log-full")),
      first: () => this.goTo(1),
      last: () => this.follow(true),
      down: () => this.step(1),
      up: () => this.step(-1),
      "close-all": () => this.toggleAll(true),
      "open-all": () => this.toggleAll(false),
      copy: () => this.span && void marked.copyLines(this.address, this.span),
      link: () => this.span && void marked.copyAddress(this.span),
      unmark: () => this.mark(null),
      "search-on": () => void this.seek(true),
      "search-off": () => this.stopSearch(),
      retry: () => this.blocks.retry(),
    };
    done[what]?.();
  }

  private setTimes(way: times.Way): void {
    this.way = way;
    this.figure.dataset.times = way;
    this.figure.classList.toggle("log-timed", way !== "");
    this.keepTaste();
    this.redraw();
  }

  private setWrap(isOn: boolean): void {
    this.figure.classList.toggle("log-wrapped", isOn);
    this.figure.querySelector("[data-do=wrap]")?.setAttribute("aria-pressed", String(isOn));
    this.keepTaste();
    this.scroller.measure();
    this.keepPlace(() => this.scroller.refresh());
    this.want();
  }

  setFull(isOn: boolean): void {
    this.figure.classList.toggle("log-full", isOn);
    this.figure.querySelector("[data-do=full]")?.setAttribute("aria-pressed", String(isOn));
    this.box.focus({ preventScroll: true });
  }

  // The server draws it so the next time.
  private keepTaste(): void {
    const words = [this.way, this.figure.classList.contains("log-wrapped") ? "wrap" : ""].filter(Boolean).join(".");
    const secure = location.protocol === "https:" ? "; secure" : "";
    document.cookie = `${TASTE}=${words}; path=/; max-age=${words ? TASTE_S : 0}; samesite=lax${secure}`;
  }

  private tell(words: string, trouble: Trouble): void {
    const place = this.figure.querySelector(".log-told");
    const text = trouble ? TOLD[trouble] : words;
    if (!place || (place.querySelector("span")?.textContent ?? "") === text) return;
    place.replaceChildren();
    if (!text) return;
    place.append(element("span", {}, text));
    if (trouble) place.prepend(icon("warning"));
    if (trouble === "away") place.append(element("button", { class: "button", type: "button", "data-do": "retry" }, "Ask now"));
  }
}
