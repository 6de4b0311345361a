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
  if (value instanceof Timestamp) return dayOrTime(String(value));
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "invalid date" : dayOrTime(value.toISOString());
  if (value instanceof Uint8Array) return `${formatCount(value.length)} bytes`;
  if (Array.isArray(value)) return `[${value.map(fullText).join(", ")}]`;
  if (typeof value === "object") {
    return `{${Object.entries(value).map(([name, each]) => `${name}: ${fullText(each)}`).join(", ")}}`;
  }
  return String(value);
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
