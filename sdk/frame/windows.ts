/** Windows as people write them: `"24h"`, `{ window: "24h", offset: "-7d" }`, `"lifetime"`, `series({ … })`; and what they mean. */
import { type Issue, messageOf } from "../errors.ts";
import { type Duration, durationPattern, durationToMicros, formatDuration, type Micros } from "../time.ts";
import type { WindowDefinition } from "./window_spec.ts";
import type { OffsetWindow, SeriesOptions, SeriesWindow, WindowInput } from "./window_types.ts";

/**
 * Several windows of one length, as a list with one element for each, the oldest first:
 * `series({ window: "1d", from: "-7d" })` is each of the last seven days.
 */
export function series<const S extends SeriesOptions>(options: S): S & { readonly kind: "series" } {
  return Object.freeze({ ...options, kind: "series" });
}

/** The name of a window; keep in step with {@link WindowName}. */
function windowName(window: WindowInput): string {
  if (typeof window === "string") return window;
  if (window.name !== undefined) return window.name;
  if (!isSeries(window)) return window.window + signed("_offset_", window.offset);
  const { window: size, step = size, from, to } = window;
  return `${size}_series_${from.replace(/^-/, "")}${signed("_to_", to)}${step === size ? "" : `_step_${step}`}`;
}

function signed(prefix: string, text: Duration | undefined): string {
  return text?.startsWith("-") ? prefix + text.slice(1) : "";
}

function isSeries(window: Exclude<WindowInput, string>): window is SeriesWindow {
  return "kind" in window && window.kind === "series";
}

/** A window with what its features are called after the aggregation. */
export interface NamedWindow {
  /** `24h` in `delayMean_24h`. */
  readonly name: string;
  /** What it means. */
  readonly window: WindowDefinition;
}

/** The most windows of a series. */
export const maxSeries = 1_000;

/** The longest window, and the farthest back that one may begin. */
export const maxReach: Micros = 36_525n * 86_400_000_000n;

/** Reads what somebody wrote; what is wrong with it becomes issues, and then there is no window. */
export function readWindow(input: unknown, path: string, issues: Issue[]): NamedWindow | undefined {
  const known = issues.length;
  const window = typeof input === "string" ? { window: input } : input as Exclude<WindowInput, string>;
  if (typeof window !== "object" || window === null || typeof window.window !== "string") {
    issues.push({
      path,
      message: `${
        shown(input)
      } is no window; write "24h", { window: "24h", offset: "-7d" }, "lifetime" or series({ … })`,
    });
    return undefined;
  }
  const fields = isSeries(window) ? ["kind", "window", "step", "from", "to", "name"] : ["window", "offset", "name"];
  for (const name of Object.keys(window)) {
    if (!fields.includes(name)) {
      issues.push({ path: `${path}.${name}`, message: `there is no such option; there are ${fields.join(", ")}` });
    }
  }
  if (window.name !== undefined && typeof window.name !== "string") {
    issues.push({ path: `${path}.name`, message: `it is ${shown(window.name)}, not text` });
  }
  const definition = isSeries(window) ? readSeries(window, path, issues) : readTime(window, path, issues);
  if (issues.length > known || !definition) return undefined;
  const problem = windowProblem(definition);
  if (problem !== undefined) {
    issues.push({ path, message: problem });
    return undefined;
  }
  return Object.freeze({ name: windowName(window as WindowInput), window: canonicalWindow(definition) });
}

function readTime({ window, offset = "0s" }: OffsetWindow, path: string, issues: Issue[]): WindowDefinition {
  const back = readBack(offset, `${path}.offset`, issues);
  return window === "lifetime"
    ? { kind: "lifetime", offset: back }
    : { kind: "time", size: readLength(window, path, issues), offset: back };
}

function readSeries(
  { window, step = window, from, to = "0s" }: SeriesOptions,
  path: string,
  issues: Issue[],
): WindowDefinition {
  return {
    kind: "series",
    size: readLength(window, `${path}.window`, issues),
    step: readLength(step, `${path}.step`, issues),
    from: readBack(from, `${path}.from`, issues),
    to: readBack(to, `${path}.to`, issues),
  };
}

function readLength(text: unknown, path: string, issues: Issue[]): Duration {
  try {
    return formatDuration(durationToMicros(text as Duration, "window"));
  } catch (error) {
    issues.push({ path, message: bare(error) });
    return "0s";
  }
}

/** Offsets say where something is, seen from the instant that is asked for: they are never in the future. */
function readBack(text: unknown, path: string, issues: Issue[]): Duration {
  try {
    const negative = typeof text === "string" && text.startsWith("-");
    const length = durationToMicros((negative ? text.slice(1) : text) as Duration, "offset", { allowZero: true });
    if (negative || length === 0n) return formatDuration(length);
    issues.push({
      path,
      message: `${shown(text)} is in the future, of which nothing is known; offsets are negative: "-${text}"`,
    });
  } catch (error) {
    issues.push({ path, message: bare(error) });
  }
  return "0s";
}

/** The same window in the only text there is for it; it has no problem. */
export function canonicalWindow(window: WindowDefinition): WindowDefinition {
  const canonical = (text: Duration) => formatDuration(micros(text));
  switch (window.kind) {
    case "time":
      return Object.freeze({ kind: "time", size: canonical(window.size), offset: canonical(window.offset) });
    case "lifetime":
      return Object.freeze({ kind: "lifetime", offset: canonical(window.offset) });
    case "series": {
      const { size, from } = window;
      const count = seriesLength(window);
      const step = count === 1n ? micros(size) : micros(window.step);
      return Object.freeze({
        kind: "series",
        size: canonical(size),
        step: formatDuration(step),
        from: canonical(from),
        // Where the last window ends: `to` may lie after it.
        to: formatDuration(micros(from) - (count - 1n) * step - micros(size)),
      });
    }
  }
}

/** Why a window cannot be, whatever the view; undefined when it can. Its durations may be unreadable. */
export function windowProblem(window: WindowDefinition): string | undefined {
  try {
    const reach = window.kind === "series"
      ? micros(window.from)
      : micros(window.offset) + (window.kind === "time" ? micros(window.size) : 0n);
    if (window.kind !== "lifetime" && micros(window.size) === 0n) return "a window of no length holds nothing";
    if (reach > maxReach) {
      return `it begins ${formatDuration(reach)} back, at most ${formatDuration(maxReach)} are allowed; use "lifetime"`;
    }
    if (window.kind !== "series") return undefined;
    if (micros(window.step) === 0n) return "a series needs a step";
    const count = seriesLength(window);
    if (count <= 0n) {
      return `no window of ${window.size} fits between ${back(window.from)} and ${back(window.to)}`;
    }
    return count > BigInt(maxSeries)
      ? `the series has ${count} windows, at most ${maxSeries} are allowed; use a longer step`
      : undefined;
  } catch (error) {
    return bare(error);
  }
}

function back(text: Duration): string {
  return text === "0s" ? text : `-${text}`;
}

function seriesLength({ size, step, from, to }: WindowDefinition & { kind: "series" }): bigint {
  const room = micros(from) - micros(to) - micros(size);
  return room < 0n ? 0n : room / micros(step) + 1n;
}

function micros(text: Duration): Micros {
  return durationToMicros(text, "window", { allowZero: true });
}

/** How many windows it is. */
export function windowCount(window: WindowDefinition): number {
  return window.kind === "series" ? Number(seriesLength(window)) : 1;
}

/** All lengths that must be multiples of a tile, so that the window is made of whole tiles. */
export function windowLengths(window: WindowDefinition): readonly Micros[] {
  switch (window.kind) {
    case "time":
      return [micros(window.size), micros(window.offset)];
    case "lifetime":
      return [micros(window.offset)];
    case "series":
      return [micros(window.size), micros(window.step), micros(window.from)];
  }
}

/** Windows that are told apart, each with the first of its names. */
export function differentWindows<W extends NamedWindow>(windows: readonly W[]): W[] {
  const first = new Map<string, W>();
  for (const each of windows) {
    const key = JSON.stringify(each.window);
    if (!first.has(key)) first.set(key, each);
  }
  return [...first.values()];
}

/** A length as a name says it, if it does. */
export function lengthText(name: string, length: Micros): Duration {
  const said = name.split("_").filter((each) => durationPattern.test(each));
  return said.find((each) => micros(each) === length) ?? formatDuration(length);
}

/**
 * `24h`, `7d ending 1d before`, `lifetime`, `1d each from 7d to 0s before`. Lengths as the name of the window, or of a feature over
 * it, says them: who wrote `24h` reads it, and not `1d`.
 */
export function windowText({ name, window }: NamedWindow): string {
  const text = (length: Duration) => lengthText(name, micros(length));
  const ending = (offset: Duration) => offset === "0s" ? "" : ` ending ${text(offset)} before`;
  switch (window.kind) {
    case "time":
      return text(window.size) + ending(window.offset);
    case "lifetime":
      return "lifetime" + ending(window.offset);
    case "series": {
      const step = window.step === window.size ? "" : ` every ${text(window.step)}`;
      return `${text(window.size)} each${step} from ${text(window.from)} to ${text(window.to)} before`;
    }
  }
}

/** The message of a duration that cannot be read, without the words that its place says too. */
function bare(error: unknown): string {
  return messageOf(error).replace(/^Cannot read \w+ /, "");
}

function shown(value: unknown): string {
  return JSON.stringify(value) ?? typeof value;
}
