// Charts of lines, drawn once more by uPlot so that they can be asked about: a pointer tells the numbers of a day, a
// drag looks closer. What the server drew stays for those who hear the page, and for whoever has no script.
import uPlot from "uplot";

type Told = { unit: "s" | "share" | "count"; lines: { name: string; tone: string }[]; columns: (number | null)[][] };
const HEIGHT = 150;

function words(unit: Told["unit"], value: number | null): string {
  if (value === null || value === undefined) return "–";
  if (unit === "share") return `${Math.round(value * 1000) / 10} %`;
  if (unit === "count") return value.toLocaleString("en");
  if (value < 60) return `${value < 10 ? value.toFixed(1) : Math.round(value)} s`;
  if (value < 3600) return `${Math.floor(value / 60)}m ${String(Math.round(value % 60)).padStart(2, "0")}s`;
  return `${Math.floor(value / 3600)}h ${String(Math.floor((value % 3600) / 60)).padStart(2, "0")}m`;
}

// As a canvas understands it: a token may be light-dark(…).
function colour(name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function day(at: number): string {
  return new Date(at * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
}

function options(told: Told, width: number): uPlot.Options {
  const axis = { stroke: colour("quiet"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
  return {
    width,
    height: HEIGHT,
    // The days are days of UTC, wherever the reader is.
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
    scales: { y: { range: (_, least, most) => (told.unit === "share" ? [0, 1] : [0, most || 1]) } },
    axes: [{ ...axis, space: 70, values: (_, at) => at.map(day) }, { ...axis, size: 56, values: (_, at) => at.map((each) => words(told.unit, each)) }],
    series: [
      { label: "Day", value: "{YYYY}-{MM}-{DD}" },
      ...told.lines.map((line, index) => ({
        label: line.name,
        stroke: colour(line.tone),
        width: 2,
        dash: index ? [2, 5] : [],
        value: (_: uPlot, value: number | null) => words(told.unit, value),
      })),
    ],
  };
}

function draw(frame: HTMLElement): void {
  const told = JSON.parse(frame.dataset.lines ?? "{}") as Told;
  const live = document.createElement("div");
  live.className = "lines-live";
  live.setAttribute("aria-hidden", "true");
  frame.querySelector(".lines-live")?.remove();
  for (const part of frame.querySelectorAll<HTMLElement>(".bars-scale, .bars-ends, .lines-legend")) part.hidden = true;
  frame.querySelector(".bars-plot")?.classList.add("unseen");
  frame.append(live);
  const plot = new uPlot(options(told, frame.clientWidth), told.columns as uPlot.AlignedData, live);
  new ResizeObserver(() => plot.setSize({ width: frame.clientWidth, height: HEIGHT })).observe(frame);
}

function drawAll(): void {
  for (const frame of document.querySelectorAll<HTMLElement>("[data-lines]")) draw(frame);
}

drawAll();
// The colours are those of the theme at the time.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
new MutationObserver(drawAll).observe(document.documentElement, { attributeFilter: ["data-theme", "data-palette"] });
