/** What works in a view and may still surprise. */
import { differentWindows, windowText } from "../frame/windows.ts";
import { durationToMicros, formatDuration } from "../time.ts";
import type { AggregateView, ViewDefinition, WindowDefinition } from "./definitions.ts";
import { queryWarnings } from "./query_checks.ts";

/** Warnings of a definition that was checked. */
export function definitionWarnings(view: ViewDefinition): string[] {
  return [...queryWarnings(view.query), ...(view.mode === "aggregates" ? windowWarnings(view) : [])];
}

function windowWarnings(view: AggregateView): string[] {
  const warnings: string[] = [];
  const micros = (text: string) => durationToMicros(text, "duration", { allowZero: true });
  const windows = differentWindows(view.features);
  const shorter = (length: bigint): string =>
    windows.filter(({ window }) => length > sizeOf(window)).map(windowText).join(", ");
  const sizeOf = (window: WindowDefinition) => window.kind === "lifetime" ? micros(longest) : micros(window.size);
  if (view.edge === "complete") {
    const few = shorter(micros(view.schedule));
    if (few !== "") {
      warnings.push(
        `windows of ${few} are shorter than the schedule, ${view.schedule}, with which they end: rows between them never count`,
      );
    }
  } else {
    const wait = micros(view.schedule) + micros(view.dataDelay);
    const few = shorter(wait);
    if (few !== "") {
      warnings.push(
        `windows of ${few} are shorter than schedule and dataDelay, ${formatDuration(wait)}: ` +
          "most of their rows are not known yet when they would count (S4)",
      );
    }
  }
  if (view.edge === "fresh") {
    const coarse = shorter(10n * micros(view.every));
    if (coarse !== "") {
      warnings.push(
        `windows of ${coarse} begin at multiples of ${view.every}, and may be that much longer; a shorter every is closer`,
      );
    }
  }
  if (view.edge === "exact" && view.online && windows.some(({ window }) => window.kind === "lifetime")) {
    warnings.push(`requests know the newest ${view.maxRows} rows of a key only: lifetime windows leave older ones out`);
  }
  return warnings;
}

/** Longer than any schedule. */
const longest = "3652500d";
