/** Strings in JavaScript, by code point. */
import { parsePattern } from "../frame/regex.ts";
import type { TypedCall } from "../frame/expr_type.ts";
import { type Builder, strict1, strict1By, strict2, strict3 } from "./row_builder.ts";
import { lowerCase, upperCase } from "./row_case.ts";

const isAscii = (text: string): boolean => !/[^\0-\x7f]/.test(text);

/** How many code points. */
export function codePointLength(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length - 1; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xd800 && unit < 0xdc00) {
      length--;
      i++;
    }
  }
  return length;
}

/** The part from `start` on, at most `length`; of a text by code points, of a list by elements. */
export function slicer(call: TypedCall): <T>(values: readonly T[]) => T[] {
  const start = Number(call.options["start"]);
  const length = call.options["length"];
  return (values) => {
    const first = start < 0 ? Math.max(0, values.length + start) : start;
    return values.slice(first, length === undefined ? values.length : first + Number(length));
  };
}

const substring = strict1By((call) => {
  const slice = slicer(call);
  const start = Number(call.options["start"]);
  const length = call.options["length"];
  return (text: string) => {
    if (!isAscii(text)) return slice([...text]).join("");
    const first = start < 0 ? Math.max(0, text.length + start) : start;
    return text.slice(first, length === undefined ? text.length : first + Number(length));
  };
});

function pad(side: "start" | "end"): Builder {
  return strict1By((call) => {
    const length = Number(call.options["length"]);
    const fill = String(call.options["fill"]);
    return (text: string) => {
      const missing = length - codePointLength(text);
      if (missing <= 0) return text;
      return side === "start" ? fill.repeat(missing) + text : text + fill.repeat(missing);
    };
  });
}

const patternOf = (call: TypedCall) => parsePattern(String(call.options["pattern"]));

const concat: Builder = (args) => (row) => {
  let text: string | null = "";
  for (const arg of args) {
    const value = arg(row) as string | null;
    text = text === null || value === null ? null : text + value;
  }
  return text;
};

export const stringBuilders = {
  lower: strict1(lowerCase),
  upper: strict1(upperCase),
  trim: strict1((text: string) => text.replace(/^[ \t\n\v\f\r]+/, "").replace(/[ \t\n\v\f\r]+$/, "")),
  trimStart: strict1((text: string) => text.replace(/^[ \t\n\v\f\r]+/, "")),
  trimEnd: strict1((text: string) => text.replace(/[ \t\n\v\f\r]+$/, "")),
  length: strict1(codePointLength),
  concat,
  substring,
  startsWith: strict2((text: string, start: string) => text.startsWith(start)),
  endsWith: strict2((text: string, end: string) => text.endsWith(end)),
  contains: strict2((text: string, part: string) => text.includes(part)),
  replace: strict3((text: string, part: string, by: string) => part === "" ? text : text.replaceAll(part, () => by)),
  split: strict1By((call) => {
    const separator = String(call.options["separator"]);
    if (separator === "") return (text: string) => text === "" ? [""] : [...text];
    return (text: string) => text.split(separator);
  }),
  matches: strict1By((call) => patternOf(call).matches),
  extract: strict1By((call) => {
    const pattern = patternOf(call);
    const group = Number(call.options["group"]);
    return (text: string) => pattern.extract(text, group);
  }),
  replacePattern: strict1By((call) => {
    const pattern = patternOf(call);
    const replacement = String(call.options["replacement"]);
    const all = call.options["all"] === true;
    return (text: string) => pattern.replace(text, replacement, all);
  }),
  padStart: pad("start"),
  padEnd: pad("end"),
  reverse: strict1((text: string) => [...text].reverse().join("")),
} as const;
