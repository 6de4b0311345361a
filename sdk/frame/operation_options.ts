/** Constants of operations: what each may be, and the check of values from outside. */
import { parsePattern } from "./regex.ts";

/** What a constant of an operation may be. */
export interface OptionRule {
  /** What kind of constant it is. */
  readonly kind: "integer" | "text" | "unit" | "zone" | "pattern" | "replacement" | "character" | "names" | "boolean";
  /** It may be left out. */
  readonly optional?: true;
  /** The least number. */
  readonly min?: number;
  /** The greatest number. */
  readonly max?: number;
  /** The texts there are. */
  readonly values?: readonly string[];
}

/** Why a value cannot be that constant; undefined when it can. */
export function optionProblem(value: unknown, rule: OptionRule): string | undefined {
  if (value === undefined) return rule.optional ? undefined : "it is missing";
  switch (rule.kind) {
    case "integer":
      return integerProblem(value, rule.min ?? -2147483648, rule.max ?? 2147483647);
    case "boolean":
      return typeof value === "boolean" ? undefined : "it must be true or false";
    case "names":
      return namesProblem(value);
  }
  if (typeof value !== "string") return "it must be text";
  if (!isWellFormed(value)) return "it holds half of a surrogate pair";
  switch (rule.kind) {
    case "text":
      return undefined;
    case "unit":
      return rule.values!.includes(value) ? undefined : `it must be one of ${rule.values!.join(", ")}`;
    case "zone":
      return zoneProblem(value);
    case "pattern":
      return patternProblem(value);
    case "replacement":
      return /^(?:[^$]|\$[0-9$])*$/.test(value) ? undefined : "a $ must be followed by a group number or another $";
    case "character":
      return [...value].length === 1 ? undefined : "it must be one character";
  }
}

/** Whether text has no half of a surrogate pair, so that it can be written as UTF-8. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

function integerProblem(value: unknown, min: number, max: number): string | undefined {
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return undefined;
  return `it must be a whole number from ${min} to ${max}`;
}

function namesProblem(value: unknown): string | undefined {
  if (!Array.isArray(value) || !value.every((name) => typeof name === "string" && name !== "" && isWellFormed(name))) {
    return "it must be a list of names";
  }
  // Engines compare the names of a struct's parts without case.
  return new Set(value.map((name: string) => name.toLowerCase())).size === value.length
    ? undefined
    : "a name comes twice";
}

function zoneProblem(value: string): string | undefined {
  const problem = 'it is not an IANA time zone such as "America/New_York"';
  if (!/^[A-Za-z][A-Za-z0-9_+-]*(?:\/[A-Za-z0-9_+-]+)*$/.test(value)) return problem;
  try {
    new Intl.DateTimeFormat("en", { timeZone: value });
    return undefined;
  } catch {
    return problem;
  }
}

function patternProblem(value: string): string | undefined {
  try {
    parsePattern(value);
    return undefined;
  } catch (error) {
    return `it is not an RE2 pattern: ${error instanceof Error ? error.message : String(error)}`;
  }
}
