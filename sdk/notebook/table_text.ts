/** Tables as neat text; the door to cli-table3. */
import Table from "cli-table3";

/** How a column stands. */
export type Align = "left" | "right";

const lines = {
  "top": "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  "bottom": "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  "left": "",
  "left-mid": "",
  "mid": "─",
  "mid-mid": "──",
  "right": "",
  "right-mid": "",
  "middle": "  ",
};

/** A table with a rule under its head and no other lines. Numbers belong right. */
export function textTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  align: readonly Align[] = [],
): string {
  const table = new Table({
    head: [...head],
    chars: { ...lines, "left-mid": "", "mid": "", "mid-mid": "", "right-mid": "" },
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [], compact: true },
    colAligns: head.map((_, i) => align[i] ?? "left"),
  });
  table.push(...rows.map((row) => [...row]));
  const text = table.toString().split("\n").map((line) => line.trimEnd());
  const width = Math.max(...text.map((line) => line.length));
  return [text[0], "─".repeat(width), ...text.slice(1)].join("\n");
}
