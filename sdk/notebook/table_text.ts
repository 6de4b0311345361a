/** Tables as neat text; the door to cli-table3 and string-width. */
import Table from "cli-table3";
import stringWidth from "string-width";

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
  const width = Math.max(...text.map(stringWidth));
  const headLines = Math.max(1, ...head.map((each) => each.split("\n").length));
  return [...text.slice(0, headLines), "─".repeat(width), ...text.slice(headLines)].join("\n");
}

/** How wide text may be: as the terminal is, or as most people read it. */
export function textWidth(): number {
  return process.stdout.isTTY ? Math.max(40, process.stdout.columns) : 100;
}

/** Facts with dots between them, on as many lines as they need. */
export function wrappedFacts(text: string, width = textWidth()): string {
  return text.split("\n").map((line) =>
    line.split(" · ").reduce((lines, fact) => {
      const last = lines.at(-1);
      if (last === undefined) return [fact];
      const longer = `${last} · ${fact}`;
      return longer.length <= width ? [...lines.slice(0, -1), longer] : [...lines, fact];
    }, [] as string[]).join("\n")
  ).join("\n");
}

const gap = 2;
/** No column gets narrower than this before others are left out. */
const narrow = 16;

/** A table that fits into a width: long cells are cut first, then columns are left out, those of `first` before the last ones. */
export function fittedTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { align = [], width = textWidth(), first = [], words = [] }: {
    readonly align?: readonly Align[];
    readonly width?: number;
    readonly first?: readonly number[];
    readonly words?: readonly number[];
  } = {},
): { readonly text: string; readonly left: readonly string[] } {
  const widths = head.map((name, i) => Math.max(lineWidth(name), ...rows.map((row) => lineWidth(row[i] ?? ""))));
  let kept = head.map((_, i) => i);
  const total = (limits: readonly number[]) => kept.reduce((sum, i) => sum + limits[i]! + gap, -gap);
  const least = widths.map((each) => Math.min(each, narrow));
  const order = [...first, ...kept.filter((i) => !first.includes(i)).reverse()];
  for (const out of order) {
    if (total(least) <= width || kept.length === 1) break;
    kept = kept.filter((i) => i !== out);
  }
  const limits = [...widths];
  while (total(limits) > width) {
    const widest = kept.reduce((a, b) => limits[b]! > limits[a]! ? b : a);
    if (limits[widest]! <= narrow) break;
    const others = Math.max(
      narrow,
      ...kept.filter((i) => i !== widest).map((i) => limits[i]!).filter((each) => each < limits[widest]!),
    );
    limits[widest] = Math.max(others, limits[widest]! - (total(limits) - width), narrow);
    // Columns that are equally wide give way together, one sign at a time.
    if (kept.some((i) => i !== widest && limits[i] === limits[widest]) && total(limits) > width) limits[widest]! -= 1;
  }
  const cut = (text: string, i: number) => {
    const fit = words.includes(i) ? wrapLine : cutLine;
    return text.split("\n").map((line) => fit(line, limits[i]!)).join("\n");
  };
  const text = textTable(
    kept.map((i) => cut(head[i]!, i)),
    rows.map((row) => kept.map((i) => cut(row[i] ?? "", i))),
    kept.map((i) => align[i] ?? "left"),
  );
  return { text, left: head.filter((_, i) => !kept.includes(i)).map((each) => each.split("\n")[0]!) };
}

function lineWidth(text: string): number {
  return Math.max(...text.split("\n").map((line) => stringWidth(line)));
}

const signs = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** Signs are as wide as a terminal draws them: two places for those of East Asia and for emoji, however many units they are of. */
function cutLine(line: string, width: number): string {
  if (stringWidth(line) <= width) return line;
  let [kept, left] = ["", width - 1];
  for (const { segment } of signs.segment(line)) {
    left -= stringWidth(segment);
    if (left < 0) break;
    kept += segment;
  }
  return `${kept}…`;
}

/** Words on as many lines as they need; what goes on is set in. */
function wrapLine(line: string, width: number): string {
  const lines: string[] = [];
  for (const word of line.split(" ")) {
    const longer = lines.length === 0 ? word : `${lines.at(-1)} ${word}`;
    if (lines.length === 0 || stringWidth(longer) > width) lines.push(lines.length === 0 ? word : `  ${word}`);
    else lines[lines.length - 1] = longer;
  }
  return lines.map((each) => cutLine(each, width)).join("\n");
}
