/** Draws a plot: as SVG for every front end, as Vega-Lite for those that know it, and its numbers as text. The door to Vega. */
import type { MimeBundle } from "../display.ts";
import type { Plot } from "../frame/plots.ts";
import type { Row } from "../schema.ts";
import { Timestamp } from "../time.ts";
import { cellText } from "./cell_text.ts";
import { textBundle } from "./html.ts";
import { textTable } from "./table_text.ts";

/** The parts of Vega that are used. */
interface Vega {
  parse(spec: unknown): unknown;
  View: new (runtime: unknown, options: object) => { toSVG(): Promise<string> };
}

const shownRows = 20;

/** A plot in all its forms. */
export async function plotBundle(plot: Plot): Promise<MimeBundle> {
  const rows = await plot.data();
  const title = String(plot.spec["title"] ?? "plot");
  if (rows.length === 0) return textBundle(`${title}: there are no rows to draw`);
  const spec = { ...plot.spec, data: { values: rows.map(jsonRow) } };
  // Loaded with the first picture: most programs draw none.
  const [vega, lite] = await Promise.all([import("vega") as unknown as Vega, import("vega-lite")]);
  const { spec: compiled } = lite.compile(spec as unknown as Parameters<typeof lite.compile>[0]);
  const svg = await new vega.View(vega.parse(compiled), { renderer: "none" }).toSVG();
  return {
    "image/svg+xml": svg,
    "application/vnd.vegalite.v5+json": spec,
    "text/plain": plotText(title, rows),
  };
}

function plotText(title: string, rows: readonly Row[]): string {
  const names = Object.keys(rows[0] ?? {});
  const table = textTable(names, rows.slice(0, shownRows).map((row) => names.map((name) => cellText(row[name]))));
  return rows.length > shownRows
    ? `${title}\n\n${table}\n… ${rows.length - shownRows} more rows`
    : `${title}\n\n${table}`;
}

function jsonRow(row: Row): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, jsonValue(value)]));
}

function jsonValue(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (value instanceof Timestamp) return value.toString();
  return typeof value === "number" && !Number.isFinite(value) ? null : value;
}
