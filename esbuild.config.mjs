import { build } from "esbuild";

const out = "src/changes/web/static";

await build({
  entryPoints: {
    changes: "src/changes/web/assets/changes.ts",
    // Only where there are charts: it is as much again as all else.
    charts: "src/changes/web/assets/charts.ts",
    style: "src/changes/web/assets/style.css",
  },
  outdir: out,
  bundle: true,
  minify: true,
  sourcemap: true,
  format: "esm",
  target: ["es2022"],
  logLevel: "warning",
});
