/** Regular expressions in RE2's syntax, matched in linear time: the door to re2js. */
import { RE2JS } from "re2js";

/** A compiled pattern. */
export interface Pattern {
  /** Whether the pattern occurs anywhere. */
  matches(text: string): boolean;
  /** The text of a group in the first match; null when there is none. */
  extract(text: string, group: number): string | null;
  /** The text with matches replaced; `$0` to `$9` are groups, `$$` is a dollar. */
  replace(text: string, replacement: string, all: boolean): string;
  readonly groupCount: number;
}

/** Compiles a pattern; throws when it is not RE2's syntax. */
export function parsePattern(source: string): Pattern {
  const compiled = RE2JS.compile(source);
  return Object.freeze({
    groupCount: compiled.groupCount(),
    matches: (text: string) => compiled.matcher(text).find(),
    extract(text: string, group: number) {
      const matcher = compiled.matcher(text);
      return matcher.find() ? matcher.group(group) ?? null : null;
    },
    replace(text: string, replacement: string, all: boolean) {
      const parts = parseReplacement(replacement);
      const matcher = compiled.matcher(text);
      let result = "";
      let copied = 0;
      let lastEnd = -1;
      while (matcher.find()) {
        const start = matcher.start();
        const end = matcher.end();
        // RE2 does not replace an empty match right after a match.
        if (start === end && start === lastEnd) continue;
        result += text.slice(copied, start);
        for (const part of parts) result += typeof part === "string" ? part : matcher.group(part) ?? "";
        copied = end;
        lastEnd = end;
        if (!all) break;
      }
      return result + text.slice(copied);
    },
  });
}

/** Literal text and group numbers, in order. */
export function parseReplacement(replacement: string): readonly (string | number)[] {
  const parts: (string | number)[] = [];
  for (const [piece] of replacement.matchAll(/\$\$|\$[0-9]|[^$]+/gs)) {
    if (piece === "$$") parts.push("$");
    else if (piece.startsWith("$")) parts.push(Number(piece.slice(1)));
    else parts.push(piece);
  }
  return parts;
}
