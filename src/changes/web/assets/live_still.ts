// What the reader looks at stays where it is, whatever grows or shrinks above it.
const LOOKED_AT = [0.08, 0.3, 0.55, 0.8];

export function still(change: () => void): void {
  // At the top there is nothing above: what is new there is meant to be seen.
  const marks = scrollY > 0 ? landmarks() : [];
  change();
  const mark = marks.find(([each]) => each.isConnected && each.checkVisibility());
  if (!mark) return;
  const moved = mark[0].getBoundingClientRect().top - mark[1];
  if (Math.abs(moved) >= 1) scrollBy({ top: moved, behavior: "instant" });
}

// Things that keep their identity come first: a row has an id, a word in it may be rewritten.
function landmarks(): [Element, number][] {
  const hit = LOOKED_AT.map((part) => document.elementFromPoint(innerWidth / 2, bottomOfHeader() + part * innerHeight));
  const inside = hit.filter((each): each is Element => each !== null && each.closest("main") !== null);
  const named = inside.map((each) => each.closest("[data-row], li[id], h2, h3, tr")).filter((each) => each !== null);
  return [...named, ...inside].map((each) => [each, each.getBoundingClientRect().top]);
}

export function bottomOfHeader(): number {
  return document.querySelector(".top")?.getBoundingClientRect().bottom ?? 0;
}
