/** The names that a module uses: what it imports from the package, and its own. */

const reserved = new Set(
  ("await break case catch class const continue debugger default delete do else enum export extends false finally for function if implements " +
    "import in instanceof interface let new null package private protected public return static super switch this throw true try typeof " +
    "undefined NaN Infinity var void while with yield arguments eval async of Date URL Uint8Array").split(" "),
);

/** Collects what is imported, and gives every constant a name of its own. */
export class ModuleNames {
  readonly #imports = new Set<string>();
  readonly #taken: Set<string>;

  /** No constant gets a name that the package exports and this writes. */
  constructor(exported: readonly string[]) {
    this.#taken = new Set([...reserved, ...exported]);
  }

  /** The names that are imported, in order. */
  get imports(): readonly string[] {
    return [...this.#imports].sort((a, b) => {
      const [x, y] = [a.toLowerCase(), b.toLowerCase()];
      return x < y ? -1 : x > y ? 1 : 0;
    });
  }

  /** Imports a name of the package. */
  use(name: string): string {
    this.#imports.add(name);
    return name;
  }

  /** A name for a constant, made of a text; `kind` is added where the name is taken. */
  take(text: string, kind: string): string {
    const words = text.split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
    const joined = words.map((word, i) => i === 0 ? lowerFirst(word) : upperFirst(word)).join("");
    const wanted = /^[a-z]/i.test(joined) ? joined : `${kind}${upperFirst(joined)}`;
    const candidates = [wanted, wanted.toLowerCase().endsWith(kind) ? wanted : `${wanted}${upperFirst(kind)}`];
    let name = candidates.find((each) => !this.#taken.has(each));
    for (let i = 2; name === undefined; i++) if (!this.#taken.has(`${wanted}${i}`)) name = `${wanted}${i}`;
    this.#taken.add(name);
    return name;
  }
}

function lowerFirst(word: string): string {
  // An abbreviation goes down as a whole: `URLs` is left to look odd rather than be guessed.
  return /^[A-Z0-9]+$/.test(word) ? word.toLowerCase() : word.charAt(0).toLowerCase() + word.slice(1);
}

function upperFirst(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
