/** Reads an object from outside, property by property, and gathers what is wrong with it. */
import { type Issue, messageOf } from "../errors.ts";
import { type DataType, type Field, parseType } from "../schema.ts";

/** An object from outside with its place, for messages. */
export class JsonReader {
  readonly issues: Issue[];
  readonly #object: Readonly<Record<string, unknown>>;
  readonly #path: string;
  readonly #read = new Set<string>();

  constructor(value: unknown, path: string, issues: Issue[]) {
    this.issues = issues;
    this.#path = path;
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    if (!isObject) this.#report("", `it is ${shown(value)}, not an object`);
    this.#object = isObject ? value as Record<string, unknown> : {};
  }

  /** A property as it is. */
  raw(name: string): unknown {
    this.#read.add(name);
    return Object.hasOwn(this.#object, name) ? this.#object[name] : undefined;
  }

  text(name: string): string {
    return this.#typed(name, "text", (value) => typeof value === "string", "");
  }

  optionalText(name: string): string | undefined {
    return this.raw(name) === undefined ? undefined : this.text(name);
  }

  flag(name: string, otherwise: boolean): boolean {
    return this.raw(name) === undefined
      ? otherwise
      : this.#typed(name, "true or false", (value) => typeof value === "boolean", otherwise);
  }

  number(name: string, otherwise: number): number {
    return this.raw(name) === undefined
      ? otherwise
      : this.#typed(name, "a number", (value) => typeof value === "number", otherwise);
  }

  /** One of some texts; the first of them when it is another. */
  choice<T extends string>(name: string, choices: readonly T[]): T {
    const isChoice = (value: unknown) => choices.includes(value as T);
    return this.#typed(name, `one of ${choices.join(", ")}`, isChoice, choices[0]!);
  }

  /** A record of texts; an empty one when it is absent. */
  texts(name: string): Readonly<Record<string, string>> {
    const isTexts = (value: unknown) =>
      typeof value === "object" && value !== null && !Array.isArray(value) &&
      Object.values(value).every((text) => typeof text === "string");
    return this.raw(name) === undefined
      ? {}
      : { ...this.#typed<Record<string, string>>(name, "a record of texts", isTexts, {}) };
  }

  /** A list of objects, each read by the function. */
  list<T>(name: string, read: (reader: JsonReader) => T): readonly T[] {
    const value = this.#typed<unknown[]>(name, "a list", Array.isArray, []);
    return Object.freeze(value.map((each, i) => {
      const reader = new JsonReader(each, this.#at(`${name}[${i}]`), this.issues);
      const item = read(reader);
      reader.end();
      return Object.freeze(item);
    }));
  }

  /** An object, read by the function. */
  object<T>(name: string, read: (reader: JsonReader) => T): T {
    const reader = new JsonReader(this.raw(name), this.#at(name), this.issues);
    const value = read(reader);
    reader.end();
    return value;
  }

  /** A property that another function parses and complains about. */
  parsed<T>(name: string, parse: (value: unknown) => T): T | undefined {
    try {
      return parse(this.raw(name));
    } catch (error) {
      this.#report(name, messageOf(error));
      return undefined;
    }
  }

  field(): Field {
    return { name: this.text("name"), type: this.type("type") };
  }

  type(name: string): DataType {
    return this.parsed(name, (value) => parseType(value)) ?? "string";
  }

  /** Complains about every property that nobody asked for: it is misspelt, or this version does not know it. */
  end(): void {
    for (const name of Object.keys(this.#object)) {
      if (!this.#read.has(name)) {
        this.#report(name, `there is no such property; there are ${[...this.#read].join(", ")}`);
      }
    }
  }

  #typed<T>(name: string, what: string, fits: (value: unknown) => boolean, otherwise: T): T {
    const value = this.raw(name);
    if (fits(value)) return value as T;
    this.#report(
      name,
      value === undefined ? `it is missing; it must be ${what}` : `it is ${shown(value)}, not ${what}`,
    );
    return otherwise;
  }

  #report(name: string, message: string): void {
    this.issues.push({ path: this.#at(name), message });
  }

  #at(name: string): string {
    return [this.#path, name].filter((part) => part !== "").join(".");
  }
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
