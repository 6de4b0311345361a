/**
 * HTML that any notebook shows, also one that is not trusted, and on light and dark pages: plain elements that mean what they are, no
 * scripts, no styles.
 */
import type { MimeBundle } from "../display.ts";
import { type Align, textTable } from "./table_text.ts";

/** Text as HTML. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (each) => `&#${each.charCodeAt(0)};`);
}

/** A table that is shown: the same rows as HTML and as text. */
export interface ShownTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly align?: readonly Align[];
  /** Above it: what it is. */
  readonly title?: string;
  /** Under it: what is not in it. */
  readonly note?: string;
}

/** A table in both forms. */
export function tableBundle(table: ShownTable): MimeBundle {
  return { "text/html": tableHtml(table), "text/plain": tableText(table) };
}

/** Several things below each other. */
export function stacked(...bundles: readonly MimeBundle[]): MimeBundle {
  return {
    "text/html": bundles.map((each) => each["text/html"] ?? `<pre>${escapeHtml(each["text/plain"])}</pre>`).join("\n"),
    "text/plain": bundles.map((each) => each["text/plain"]).join("\n\n"),
  };
}

/** Text that keeps its lines. */
export function textBundle(text: string): MimeBundle {
  return { "text/html": `<pre>${escapeHtml(text)}</pre>`, "text/plain": text };
}

function tableHtml({ head, rows, align = [], title, note }: ShownTable): string {
  const side = (i: number) => ` align="${align[i] ?? "left"}" style="text-align: ${align[i] ?? "left"}"`;
  const cells = (row: readonly string[], tag: "th" | "td") =>
    `<tr>${
      row.map((cell, i) => `<${tag}${side(i)}>${escapeHtml(cell).replaceAll("\n", "<br>")}</${tag}>`).join("")
    }</tr>`;
  return [
    ...(title === undefined ? [] : [`<p><b>${escapeHtml(title)}</b></p>`]),
    `<table>\n<thead>${cells(head, "th")}</thead>\n<tbody>${
      rows.map((row) => cells(row, "td")).join("\n")
    }</tbody>\n</table>`,
    ...(note === undefined ? [] : [`<p><small>${escapeHtml(note)}</small></p>`]),
  ].join("\n");
}

function tableText({ head, rows, align = [], title, note }: ShownTable): string {
  return [
    ...(title === undefined ? [] : [title, ""]),
    textTable(head, rows, align),
    ...(note === undefined ? [] : ["", note]),
  ].join("\n");
}
