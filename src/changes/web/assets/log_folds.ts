// Which lines of a log are in sight: all but those within closed groups. Knows nothing of elements.
export type Group = { first: number; last: number; depth: number; title: string; isClosed: boolean };
type Range = { first: number; last: number; hiddenBefore: number };

export class Folds {
  private groups = new Map<number, Group>();
  private ranges: Range[] = [];

  // `kept` are the groups that the reader opened or closed, by their first lines.
  set(groups: Group[], kept: ReadonlyMap<number, boolean>): void {
    this.groups = new Map(groups.map((each) => [each.first, { ...each, isClosed: kept.get(each.first) ?? each.isClosed }]));
    this.reckon();
  }

  all(): Group[] {
    return [...this.groups.values()];
  }

  at(line: number): Group | undefined {
    return this.groups.get(line);
  }

  close(line: number, isClosed: boolean): void {
    const group = this.groups.get(line);
    if (group) group.isClosed = isClosed;
    this.reckon();
  }

  closeAll(isClosed: boolean): void {
    for (const group of this.groups.values()) group.isClosed = isClosed;
    this.reckon();
  }

  // Opens whatever hides a line; returns what was opened.
  reveal(line: number): number[] {
    const hiding = this.all().filter((each) => each.isClosed && each.first < line && line <= each.last);
    for (const group of hiding) group.isClosed = false;
    if (hiding.length) this.reckon();
    return hiding.map((each) => each.first);
  }

  count(total: number): number {
    return total - this.hiddenBefore(total + 1);
  }

  // Rows count from 0, lines from 1.
  lineAt(row: number): number {
    let [low, high] = [0, this.ranges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const range = this.ranges[middle];
      if (range.first - 1 - range.hiddenBefore <= row) low = middle + 1;
      else high = middle;
    }
    const before = this.ranges[low - 1];
    return row + 1 + (before ? before.hiddenBefore + before.last - before.first + 1 : 0);
  }

  // Of a hidden line the row that it is folded into.
  rowOf(line: number): number {
    const range = this.rangeBefore(line);
    if (range && line <= range.last) return range.first - 2 - range.hiddenBefore;
    return line - 1 - this.hiddenBefore(line);
  }

  private hiddenBefore(line: number): number {
    const range = this.rangeBefore(line);
    return range ? range.hiddenBefore + Math.min(range.last, line - 1) - range.first + 1 : 0;
  }

  // The last one that begins at or before this line.
  private rangeBefore(line: number): Range | undefined {
    let [low, high] = [0, this.ranges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.ranges[middle].first <= line) low = middle + 1;
      else high = middle;
    }
    return this.ranges[low - 1];
  }

  private reckon(): void {
    this.ranges = [];
    let hidden = 0;
    for (const group of this.all().sort((one, other) => one.first - other.first)) {
      const before = this.ranges.at(-1);
      if (!group.isClosed || (before && group.first < before.last)) continue;
      this.ranges.push({ first: group.first + 1, last: group.last, hiddenBefore: hidden });
      hidden += group.last - group.first;
    }
  }
}
