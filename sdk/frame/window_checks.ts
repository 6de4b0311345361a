/** Checks of windows that both `.aggregate(…)` and definitions from outside go through. */
import type { Issue } from "../errors.ts";
import { type DataType, type Field, formatType } from "../schema.ts";
import { type Duration, durationToMicros, formatDuration, type Micros } from "../time.ts";
import type { WindowDefinition, WindowEdge } from "./window_spec.ts";
import { lengthText, type NamedWindow, windowCount, windowLengths, windowText } from "./windows.ts";

/** How many rows of a key are kept for requests with `edge: "exact"`, unless told, and at most. */
export const maxRowsDefault = 1_000;
const maxRowsLimit = 10_000;

/** The shortest and longest tile. */
const everyLimits: { readonly min: Micros; readonly max: Micros } = { min: 1_000_000n, max: 366n * 86_400_000_000n };

/** The most tiles that a window may be made of. */
const maxTiles = 1_000_000n;

/** The most different windows, those of series one by one. */
const maxWindows = 5_000;

/** The most features of a view. */
export const maxFeatures = 2_000;

/** Says that there are more features than a view may have. */
export function tooManyFeatures(count: number): string {
  return `there are ${count} features, at most ${maxFeatures} are allowed; use fewer windows or more views`;
}

/** Types that identify something: equal values have equal bytes, which floats and instants do not promise. */
export const keyTypes: readonly DataType[] = ["string", "int64", "int32", "boolean", "date"];

/** Problems of the length of a tile with the windows that are made of tiles. It is a duration. */
export function everyIssues(every: Duration, edge: WindowEdge, windows: readonly NamedWindow[]): Issue[] {
  const path = "every";
  if (edge === "exact") {
    return [{ path, message: 'with edge "exact" rows are counted one by one: there are no tiles; leave it out' }];
  }
  const length = durationToMicros(every, path);
  if (length < everyLimits.min || length > everyLimits.max) {
    const [min, max] = [everyLimits.min, everyLimits.max].map(formatDuration);
    return [{ path, message: `${every} is not between ${min} and ${max}` }];
  }
  return windows.flatMap((named) => {
    const { window } = named;
    const off = windowLengths(window).find((each) => each % length !== 0n);
    if (off !== undefined) {
      return [{
        path: "windows",
        message: `${windowText(named)}: ${lengthText(named.name, off)} is not a multiple of every, ${every}; ` +
          'use a window that is, a shorter every, or edge: "exact"',
      }];
    }
    const tiles = window.kind === "lifetime" ? 0n : durationToMicros(window.size, "window") / length;
    return tiles > maxTiles
      ? [{ path: "windows", message: `${windowText(named)}: it has ${tiles} tiles of ${every}; use a longer every` }]
      : [];
  });
}

/** Problems of the number of windows, and of a secondary key over series. */
export function sizeIssues(windows: readonly NamedWindow[], hasSecondaryKey: boolean): Issue[] {
  const path = "windows";
  const count = windows.reduce((sum, { window }) => sum + windowCount(window), 0);
  if (count > maxWindows) {
    return [{ path, message: `there are ${count}, those of series one by one; at most ${maxWindows} are allowed` }];
  }
  const series = hasSecondaryKey ? windows.find(({ window }) => window.kind === "series") : undefined;
  return series
    ? [{
      path,
      message: `${
        windowText(series)
      }: a series cannot go with a secondaryKey, as both make lists; write its windows out`,
    }]
    : [];
}

/** Problems of the bound on rows. */
export function maxRowsIssues(edge: WindowEdge, maxRows: unknown): Issue[] {
  const path = "maxRows";
  if (maxRows === undefined) return [];
  if (edge !== "exact") {
    return [{ path, message: `it bounds the rows of edge "exact"; edge "${edge}" keeps tiles: leave it out` }];
  }
  return Number.isInteger(maxRows) && (maxRows as number) >= 1 && (maxRows as number) <= maxRowsLimit
    ? []
    : [{ path, message: `${JSON.stringify(maxRows)} is not a number of rows from 1 to ${maxRowsLimit}` }];
}

/** Problems of a secondary key; none where its column is missing, which is told elsewhere. */
export function secondaryKeyIssues(field: Field | undefined, joinKeys: readonly { readonly name: string }[]): Issue[] {
  const path = "secondaryKey";
  if (!field) return [];
  if (joinKeys.some(({ name }) => name === field.name)) {
    return [{ path, message: `column "${field.name}" is a join key: it has one value only` }];
  }
  return keyTypes.includes(field.type)
    ? []
    : [{ path, message: `column "${field.name}" is ${formatType(field.type)}; types are ${keyTypes.join(", ")}` }];
}

/**
 * The length of a tile where nobody says it: the longest of which windows and schedule are multiples. With fresh edges, where windows
 * begin at multiples of it, at most a fraction of the shortest window; always at least a minute. Undefined when none fits.
 */
export function defaultEvery(
  edge: WindowEdge,
  windows: readonly WindowDefinition[],
  schedule: Micros,
): Duration | undefined {
  if (edge === "exact") return formatDuration(schedule);
  const lengths = windows.flatMap(windowLengths).filter((length) => length > 0n);
  const target = edge === "fresh" ? freshTile(windows) : schedule;
  const common = [...lengths, target].reduce(commonDivisor, schedule);
  return common < minute ? undefined : formatDuration(common);
}

const minute = 60_000_000n;

function freshTile(windows: readonly WindowDefinition[]): Micros {
  const sizes = windows.flatMap((window) =>
    window.kind === "lifetime" ? [] : [durationToMicros(window.size, "window")]
  );
  const shortest = sizes.reduce((a, b) => a < b ? a : b, everyLimits.max);
  return shortest < 60n * minute ? minute : shortest < 600n * minute ? 5n * minute : 60n * minute;
}

function commonDivisor(a: Micros, b: Micros): Micros {
  return b === 0n ? a : commonDivisor(b, a % b);
}
