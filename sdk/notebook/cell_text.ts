/** A value in a table, as short as people read it. */
import { formatCount } from "../text.ts";
import { Timestamp } from "../time.ts";

const maxLength = 60;

/** Text of one value: null is a dash, floats have four digits that matter, long text ends in an ellipsis. */
export function cellText(value: unknown): string {
  const text = fullText(value);
  if (text.length <= maxLength) return visible(text);
  // Half a sign, or one that waits for its other half, is none.
  return `${visible(text.slice(0, maxLength - 1).replace(/[\ud800-\udbff\u200d]+$/, ""))}…`;
}

/** The values of one column: when one of its instants has a time of day, all show theirs. */
export function columnTexts(values: readonly unknown[]): string[] {
  const hasTimes = values.some((value) => !dayPattern.test(instantText(value) ?? "2001-01-01"));
  return values.map((value) => {
    const text = hasTimes ? instantText(value) : undefined;
    return text !== undefined && dayPattern.test(text) ? `${text} 00:00:00` : cellText(value);
  });
}

/** The rows of a table, column by column. */
export function rowTexts(rows: readonly Readonly<Record<string, unknown>>[], names: readonly string[]): string[][] {
  const columns = names.map((name) => columnTexts(rows.map((row) => row[name])));
  return rows.map((_, i) => columns.map((texts) => texts[i]!));
}

/** Control signs as pictures of them: in a terminal they would colour, move or turn round what follows. */
function visible(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (sign) => {
    const code = sign.charCodeAt(0);
    return sign === "\n" ? "↵" : code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? "␡" : "�";
  });
}

function fullText(value: unknown): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return numberText(value);
  if (typeof value === "bigint") return formatCount(value);
  if (typeof value === "string") return value;
  const instant = instantText(value);
  if (instant !== undefined) return instant;
  if (value instanceof Uint8Array) return `${formatCount(value.length)} bytes`;
  if (Array.isArray(value)) return `[${value.map(fullText).join(", ")}]`;
  if (typeof value === "object") {
    return `{${Object.entries(value).map(([name, each]) => `${name}: ${fullText(each)}`).join(", ")}}`;
  }
  return String(value);
}

const dayPattern = /^\d{4}-\d\d-\d\d$/;

function instantText(value: unknown): string | undefined {
  if (value instanceof Timestamp) return dayOrTime(String(value));
  if (!(value instanceof Date)) return undefined;
  return Number.isNaN(value.getTime()) ? "invalid date" : dayOrTime(value.toISOString());
}

function dayOrTime(iso: string): string {
  return iso.replace("T", " ").replace(/( 00:00:00(\.000)?|\.000)?Z$/, "");
}

function numberText(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return formatCount(value);
  const size = Math.abs(value);
  return size >= 1e-4 && size < 1e9
    ? value.toLocaleString("en-US", { maximumSignificantDigits: 5 })
    : Number(value.toPrecision(5)).toExponential();
}
