/** Numbers as a line of small bars: text that every front end shows, on light and dark pages. */
const bars = "▁▂▃▄▅▆▇█";

/** One bar for each number, between the least and the greatest; a dot where there is none. */
export function sparkline(values: readonly (number | null)[], { from, width = 24 }: SparklineOptions = {}): string {
  const shown = narrowed(values, width);
  const known = shown.filter((value): value is number => value !== null && Number.isFinite(value));
  if (known.length === 0) return "";
  const lo = from ?? Math.min(...known);
  const hi = Math.max(...known);
  return shown.map((value) => {
    if (value === null || !Number.isFinite(value)) return "·";
    const share = hi > lo ? (value - lo) / (hi - lo) : 0.5;
    return bars[Math.min(bars.length - 1, Math.max(0, Math.floor(share * bars.length)))];
  }).join("");
}

/** How numbers become bars. */
export interface SparklineOptions {
  /** What the lowest bar stands for. @default the least of the numbers */
  readonly from?: number;
  /** The most bars: neighbours share one. @default 24 */
  readonly width?: number;
}

/** At most `width` numbers: means of neighbours. */
function narrowed(values: readonly (number | null)[], width: number): (number | null)[] {
  if (values.length <= width) return [...values];
  return Array.from({ length: width }, (_, i) => {
    const part = values.slice(Math.floor(i * values.length / width), Math.floor((i + 1) * values.length / width))
      .filter((value): value is number => value !== null);
    return part.length === 0 ? null : part.reduce((sum, value) => sum + value, 0) / part.length;
  });
}
