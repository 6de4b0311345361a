/** Plain results that show themselves: their fields are as they are, only their looks are added. */
import { Displayed, type MimeBundle, type Rendering } from "../display.ts";

class Report extends Displayed {
  readonly #bundle: () => MimeBundle;

  constructor(fields: object, bundle: () => MimeBundle) {
    super();
    this.#bundle = bundle;
    Object.assign(this, fields);
    Object.freeze(this);
  }

  override toString(): string {
    return this.#bundle()["text/plain"];
  }

  override rendering(): Rendering {
    return { first: this.#bundle() };
  }
}

/** The fields, with looks. */
export function report<T extends object>(fields: T, bundle: (fields: T) => MimeBundle): T & Displayed {
  return new Report(fields, () => bundle(fields)) as unknown as T & Displayed;
}

/** The list, with looks: still an array, which a class of ours could not be. */
export function reportList<T>(list: T[], bundle: (list: readonly T[]) => MimeBundle): T[] & Displayed {
  const looks = new Report({}, () => bundle(list));
  const names = Reflect.ownKeys(Displayed.prototype).filter((name) => name !== "constructor");
  for (const name of [...names, "toString"]) {
    const value = (looks as unknown as Record<PropertyKey, (...args: unknown[]) => unknown>)[name]!.bind(looks);
    Object.defineProperty(list, name, { value, enumerable: false, configurable: true });
  }
  return list as T[] & Displayed;
}
