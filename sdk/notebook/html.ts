/**
 * HTML that any notebook shows, also one that is not trusted, and on light and dark pages: plain elements that mean what they are, no
 * scripts, no styles.
 */
import type { MimeBundle } from "../display.ts";
import { type Align, fittedTable, wrappedFacts } from "./table_text.ts";

/** Text as HTML. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (each) => `&#${each.charCodeAt(0)};`);
}

/** What stands in a cell: text, or text with HTML that shows the same. */
export type Cell = string | { readonly text: string; readonly html: string };

/** A share as a meter with its number; where meters are taken away, as its number. */
export function shareCell(share: number, text: string): Cell {
  return { text, html: `<meter min="0" max="1" value="${share.toFixed(4)}"></meter> ${escapeHtml(text)}` };
}

/** Text whose signs stand below each other, and which is never broken. */
export function exactCell(html: string, text = html): Cell {
  if (html === "") return text;
  return { text, html: `<samp>${escapeHtml(html).replaceAll(" ", "&#160;")}</samp>` };
}

/** A table that is shown: the same rows as HTML and as text. */
export interface ShownTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  readonly align?: readonly Align[];
  /** Columns that are left out first where text is narrow. */
  readonly first?: readonly number[];
  /** Columns of words, which go on in the next line where text is narrow, and are not cut. */
  readonly words?: readonly number[];
  /** Above it: what it is. */
  readonly title?: string;
  /** Under it: what is not in it. */
  readonly note?: string;
}

/** A table in both forms. */
export function tableBundle(table: ShownTable): MimeBundle {
  return { "text/html": tableHtml(table), "text/plain": tableText(table) };
}

/** Pages read text between dollar signs as formulas, prices too; these classes keep both versions of MathJax from it. */
function asItIs(html: string): string {
  return `<div class="mathjax_ignore tex2jax_ignore">\n${html}\n</div>`;
}

/** Several things below each other. */
export function stacked(...bundles: readonly MimeBundle[]): MimeBundle {
  const parts = bundles.map((each) =>
    String(each["text/html"] ?? asItIs(`<pre>${escapeHtml(each["text/plain"])}</pre>`))
  );
  return {
    "text/html": parts.map((each, i) => i > 0 && touches(parts[i - 1]!, each) ? `<br>${each}` : each).join("\n"),
    "text/plain": bundles.map((each) => each["text/plain"]).join("\n\n"),
  };
}

/** Whether a table is next to something: not every page keeps distance around it. */
function touches(above: string, below: string): boolean {
  return above.endsWith("</table>\n</div>") || /^<div[^>]*>\n<table>/.test(below);
}

/** Text that keeps its lines. */
export function textBundle(text: string): MimeBundle {
  const html = text.includes("\n") ? `<pre>${escapeHtml(text)}</pre>` : `<p>${escapeHtml(text)}</p>`;
  return { "text/html": asItIs(html), "text/plain": text };
}

function tableHtml({ head, rows, align = [], title, note }: ShownTable): string {
  const cells = (row: readonly Cell[], tag: "th" | "td") =>
    `<tr>${row.map((cell, i) => placed(cellHtml(cell), align[i] ?? "left", tag)).join("")}</tr>`;
  return asItIs([
    ...(title === undefined ? [] : [`<p><b>${escapeHtml(title)}</b></p>`]),
    `<table>\n<thead>${cells(head, "th")}</thead>\n<tbody>${
      rows.map((row) => cells(row, "td")).join("\n")
    }</tbody>\n</table>`,
    ...(note === undefined ? [] : [`<p><small>${escapeHtml(note).replaceAll("\n", "<br>")}</small></p>`]),
  ].join("\n"));
}

/** Pages of Jupyter put cells right, and take a style away that says otherwise where they trust nobody: the element inside stays left. */
function placed(html: string, align: Align, tag: "th" | "td"): string {
  return align === "right"
    ? `<${tag} align="right">${html}</${tag}>`
    : `<${tag}><div align="left">${html}</div></${tag}>`;
}

function cellHtml(cell: Cell): string {
  if (typeof cell !== "string") return cell.html;
  const html = escapeHtml(cell).replaceAll("\n", "<br>");
  // Broken at a hyphen, an instant or a tiny number is hard to read.
  return /^-?[\d.]+e-\d+$|^\d{4}-\d\d-\d\d( \d\d:\d\d\S*)?$/.test(cell) ? `<nobr>${html}</nobr>` : html;
}

function tableText({ head, rows, align = [], first = [], words = [], title, note }: ShownTable): string {
  const texts = rows.map((row) => row.map((cell) => typeof cell === "string" ? cell : cell.text));
  const { text, left } = fittedTable(head, texts, { align, first, words });
  const shown = left.slice(0, 5).join(", ");
  const more = left.length === 0
    ? []
    : [`not shown here: ${shown}${left.length > 5 ? ` and ${left.length - 5} more columns` : ""}`];
  return [
    ...(title === undefined ? [] : [wrappedFacts(title), ""]),
    text,
    ...(note === undefined && more.length === 0
      ? []
      : ["", ...more, ...(note === undefined ? [] : [wrappedFacts(note)])]),
  ].join("\n");
}
