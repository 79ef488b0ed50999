// Shows a few hundred rows of very many, with a scrollbar that stands for all of them. What counts is which row is at the
// upper edge, not how many pixels lie above: an element may not be as high as a million lines, and nobody knows how high
// broken lines are before they are drawn. Small movements are real ones; large ones go to the same part of the log.
const MARGIN = 100;
const MARGIN_LEFT = 30;
const HELD_MAX = 3000;
const HEIGHT_MAX_PX = 8_000_000;
const NEAR_END_PX = 24;
const SETTLE_MS = 140;
const SMALL_SCREENS = 3;

export interface Rows {
  count(): number;
  draw(row: number): HTMLElement;
}

export class Scroller {
  private readonly space = document.createElement("div");
  private readonly drawn: HTMLElement[] = [];
  private row = 0;
  private shiftPx = 0;
  private from = 0;
  private top = 0;
  private rowPx = 20;
  private isBroken = false;
  private widestPx = 0;
  private settling = 0;

  constructor(
    private readonly box: HTMLElement,
    private readonly list: HTMLElement,
    private readonly rows: Rows,
    private readonly moved: () => void,
  ) {
    this.space.className = "log-space";
    box.replaceChildren(this.space);
    this.space.append(list);
    box.addEventListener("scroll", () => this.catchUp(), { passive: true });
    new ResizeObserver(() => this.resized()).observe(box);
    this.measure();
  }

  get first(): number {
    return this.row;
  }

  // How many rows are in sight, if none is broken.
  get screen(): number {
    return Math.max(1, Math.floor(this.box.clientHeight / this.rowPx));
  }

  inSight(row: number): boolean {
    return row >= this.row + (this.shiftPx > 0 ? 1 : 0) && this.offset(row + 1) - this.offset(this.row) - this.shiftPx <= this.box.clientHeight;
  }

  isAtEnd(): boolean {
    return this.belowPx() < NEAR_END_PX;
  }

  // There are other rows now, or other ones than before; the one at the edge stays there.
  refresh(row = this.row): void {
    this.row = Math.max(0, Math.min(row, this.rows.count() - 1));
    this.space.style.height = `${this.spacePx()}px`;
    this.render();
    this.clamp();
    this.sync();
  }

  goTo(row: number, screensAbove = 1 / 3): void {
    this.row = Math.max(0, Math.min(row, this.rows.count() - 1));
    this.shiftPx = 0;
    this.render();
    this.moveBy(-Math.floor(this.screen * screensAbove) * this.rowPx);
    this.draw();
    this.sync();
  }

  toEnd(): void {
    this.row = Math.max(0, this.rows.count() - 1);
    this.shiftPx = 0;
    this.render();
    this.clamp();
    this.draw();
    this.sync();
  }

  // Lines are broken, or not any more.
  measure(): void {
    this.rowPx = parseFloat(getComputedStyle(this.list).lineHeight) || this.rowPx;
    this.isBroken = this.box.closest(".log-wrapped") !== null;
    this.widestPx = 0;
    this.list.style.minWidth = "";
  }

  // --- what the reader does -----------------------------------------------------------------

  // The browser tells a moment after it happened; who has just left the end is not to be pulled back there.
  catchUp(): void {
    const top = this.box.scrollTop;
    const by = top - this.top;
    this.top = top;
    if (by === 0) return;
    if (this.isExact()) this.stand(top / this.rowPx);
    else if (Math.abs(by) <= SMALL_SCREENS * this.box.clientHeight) this.moveBy(by);
    else this.jump(top);
    this.draw();
    this.moved();
    clearTimeout(this.settling);
    if (!this.isExact()) this.settling = window.setTimeout(() => this.sync(), SETTLE_MS);
  }

  private jump(top: number): void {
    const part = top / Math.max(1, this.maxTop());
    if (part >= 1) {
      this.row = Math.max(0, this.rows.count() - 1);
      this.shiftPx = 0;
    } else this.stand(part * this.lastPosition());
    this.render();
    this.clamp();
  }

  private resized(): void {
    const wasAtEnd = this.isAtEnd();
    this.measure();
    if (wasAtEnd && this.rows.count() > this.screen) this.toEnd();
    else this.refresh();
  }

  // --- geometry -----------------------------------------------------------------------------

  private spacePx(): number {
    return Math.min(HEIGHT_MAX_PX, this.rows.count() * this.rowPx);
  }

  private isExact(): boolean {
    return !this.isBroken && this.rows.count() * this.rowPx <= HEIGHT_MAX_PX;
  }

  private maxTop(): number {
    return Math.max(0, this.spacePx() - this.box.clientHeight);
  }

  private lastPosition(): number {
    return Math.max(0, this.rows.count() - this.box.clientHeight / this.rowPx);
  }

  private stand(position: number): void {
    this.row = Math.max(0, Math.min(Math.floor(position), this.rows.count() - 1));
    this.shiftPx = Math.max(0, (position - this.row) * this.rowPx);
  }

  // From the upper edge of the list; what is not drawn is taken as one line.
  private offset(row: number): number {
    const at = row - this.from;
    if (!this.isBroken || at < 0) return at * this.rowPx;
    if (at < this.drawn.length) return this.drawn[at].offsetTop;
    return this.list.offsetHeight + (at - this.drawn.length) * this.rowPx;
  }

  private moveBy(px: number): void {
    const y = this.offset(this.row) + this.shiftPx + px;
    if (y < 0 || y >= this.list.offsetHeight) this.stand(this.from + y / this.rowPx);
    else this.standAt(y);
    this.clamp();
  }

  private standAt(y: number): void {
    let [low, high] = [0, this.drawn.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.offset(this.from + middle) <= y) low = middle;
      else high = middle - 1;
    }
    this.row = this.from + low;
    this.shiftPx = Math.max(0, y - this.offset(this.row));
  }

  private belowPx(): number {
    return this.offset(this.rows.count()) - this.offset(this.row) - this.shiftPx - this.box.clientHeight;
  }

  // Nothing is shown behind the last row.
  private clamp(): void {
    if (this.row === 0 && this.shiftPx < 0) this.shiftPx = 0;
    const tooFar = -this.belowPx();
    if (tooFar <= 0) return;
    const y = this.offset(this.row) + this.shiftPx - tooFar;
    if (y < 0) this.stand(Math.max(0, this.from + y / this.rowPx));
    else this.standAt(y);
  }

  // The scrollbar shows where we are.
  private sync(): void {
    const max = this.maxTop();
    let top = this.row * this.rowPx + this.shiftPx;
    if (!this.isExact()) top = Math.min(max, ((this.row + this.shiftPx / this.rowPx) / Math.max(1, this.lastPosition())) * max);
    if (this.belowPx() < 1) top = max;
    this.box.scrollTop = top;
    this.top = this.box.scrollTop;
    this.place();
  }

  // --- drawing ------------------------------------------------------------------------------

  private draw(): void {
    const end = this.row + this.screen + 1;
    const isNearTop = this.from > 0 && this.row - this.from < MARGIN_LEFT;
    const to = this.from + this.drawn.length;
    if (isNearTop || (to < this.rows.count() && to - end < MARGIN_LEFT)) this.render();
    else this.place();
  }

  private render(): void {
    let from = Math.max(0, this.row - MARGIN);
    let to = Math.min(this.rows.count(), this.row + this.screen + 1 + MARGIN);
    [from, to] = this.withSelected(from, to);
    const next: HTMLElement[] = [];
    for (let row = from; row < to; row++) next.push(this.rows.draw(row));
    const kept = new Set(next);
    for (const child of [...this.list.children]) if (!kept.has(child as HTMLElement)) child.remove();
    next.forEach((child, at) => {
      if (this.list.children[at] !== child) this.list.insertBefore(child, this.list.children[at] ?? null);
    });
    this.from = from;
    this.drawn.splice(0, this.drawn.length, ...next);
    this.widen();
    this.place();
  }

  // What is selected to be copied stays, as long as that is no whole log.
  private withSelected(from: number, to: number): [number, number] {
    const selection = getSelection();
    if (!selection || selection.isCollapsed) return [from, to];
    const ends = [selection.anchorNode, selection.focusNode].map((node) => this.drawn.findIndex((each) => each.contains(node)));
    const rows = ends.filter((at) => at >= 0).map((at) => this.from + at);
    const [low, high] = [Math.min(from, ...rows), Math.max(to, ...rows.map((row) => row + 1))];
    return high - low <= HELD_MAX ? [low, high] : [from, to];
  }

  private widen(): void {
    if (this.isBroken) return;
    const width = this.list.scrollWidth;
    if (width <= this.widestPx) return;
    this.widestPx = width;
    this.list.style.minWidth = `${width}px`;
  }

  private place(): void {
    const y = this.isExact() ? this.from * this.rowPx : this.box.scrollTop - this.shiftPx - this.offset(this.row);
    this.list.style.transform = `translateY(${y}px)`;
  }
}
