// Charts of lines, drawn once more by uPlot so that they can be asked about: a pointer tells the numbers of a day, a
// drag looks closer. What the server drew stays for those who hear the page, and for whoever has no script.
import uPlot from "uplot";

type Told = { top: number; unit: "s" | "share" | "count" | "bytes"; lines: { name: string; tone: string }[]; columns: (number | null)[][] };
const HEIGHT = 150;

function words(unit: Told["unit"], value: number | null): string {
  if (value === null || value === undefined) return "–";
  if (unit === "share") return `${Math.round(value * 1000) / 10} %`;
  if (unit === "count") return value.toLocaleString("en");
  if (unit === "bytes") return bytes(value);
  return duration(value);
}

// In the words of the pages: at most two units.
function duration(seconds: number): string {
  if (seconds > 0 && seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds < 10 && seconds > 0 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  const [large, unit, small, rest] = whole < 3600
    ? [Math.floor(whole / 60), "min", whole % 60, "s"]
    : [Math.floor(whole / 3600), "h", Math.floor((whole % 3600) / 60), "min"];
  return small ? `${large} ${unit} ${small} ${rest}` : `${large} ${unit}`;
}

// In units of a thousand, as everywhere.
function bytes(value: number): string {
  const power = Math.min(5, Math.max(0, Math.floor(Math.log10(Math.max(1, value)) / 3)));
  const shown = value / 1000 ** power;
  return `${shown < 10 && power ? shown.toFixed(1) : Math.round(shown)} ${["bytes", "kB", "MB", "GB", "TB", "PB"][power]}`;
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
    // The same scale as the server's drawing: round figures at its top, its middle and its foot.
    scales: { y: { range: () => [0, told.top] } },
    axes: [
      { ...axis, size: 32, gap: 10, space: 70, values: (_, at) => at.map(day) },
      { ...axis, size: 68, splits: () => [0, told.top / 2, told.top], values: (_, at) => at.map((each) => words(told.unit, each)) },
    ],
    series: [
      { label: "Day", value: "{YYYY}-{MM}-{DD}" },
      ...told.lines.map((line, index) => ({
        label: line.name,
        stroke: colour(line.tone),
        width: 2,
        dash: index ? [2, 5] : [],
        points: { size: 4, fill: colour(line.tone), space: 12 },
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
