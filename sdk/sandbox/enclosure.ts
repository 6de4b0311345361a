/** What is taken from the world of a function: it sees its row and what depends on its arguments alone, and leaves nothing behind. */

/** Closes the world in two steps: the function is compiled between them. */
export interface Enclosure {
  /** Takes away the globals that are not allowed, the time, chance and the language of the computer. */
  close(): void;
  /** Takes away what makes code of text, and freezes all that the function can reach; `reachable` is what it is given beside. */
  seal(reachable: readonly unknown[]): void;
}

/**
 * Makes the enclosure of this very world. Its own text is sent to the sandbox: it may use nothing from outside but what every
 * JavaScript engine has.
 */
export function makeEnclosure(allowed: readonly string[]): Enclosure {
  const world = globalThis as unknown as Record<PropertyKey, unknown>;
  const RealDate = Date;
  const reflect = Reflect;

  function refuse(what: string): never {
    throw new TypeError(`${what} is not there in a published function: its answer may depend on its input alone`);
  }

  /** A Date that does not know what time it is. */
  function replaceDate(): void {
    const Still = function (this: unknown, ...parts: unknown[]): unknown {
      if (new.target === undefined) refuse("Date()");
      if (parts.length === 0) refuse("new Date()");
      return reflect.construct(RealDate, parts, new.target);
    };
    Object.defineProperty(Still, "name", { value: "Date" });
    Object.defineProperty(Still, "length", { value: 7 });
    Object.defineProperty(Still, "prototype", { value: RealDate.prototype, writable: false });
    Object.assign(Still, { UTC: RealDate.UTC, parse: RealDate.parse, now: () => refuse("Date.now()") });
    Object.defineProperty(RealDate.prototype, "constructor", { value: Still });
    world["Date"] = Still;
  }

  /** Nothing turns text into code any more. */
  function takeCompilers(): void {
    const functions = [function () {}, async function () {}, function* () {}, async function* () {}];
    for (const sample of functions) {
      const gone = () => refuse("A function made of text");
      Object.defineProperty(Object.getPrototypeOf(sample), "constructor", { value: gone, writable: false });
    }
  }

  /** What depends on the language of a computer, on chance, or runs later. */
  function takeTheRest(): void {
    Math.random = () => refuse("Math.random()");
    const local = [
      "toLocaleString",
      "toLocaleDateString",
      "toLocaleTimeString",
      "toLocaleUpperCase",
      "toLocaleLowerCase",
    ];
    const homes = [
      Object,
      Number,
      BigInt,
      Array,
      RealDate,
      String,
      Object.getPrototypeOf(Uint8Array) as { prototype: object },
    ];
    for (const home of homes) {
      for (const name of [...local, "localeCompare"]) {
        if (!Object.hasOwn(home.prototype as object, name)) continue;
        Object.defineProperty(home.prototype, name, { value: () => refuse(name), writable: true, configurable: true });
      }
    }
    reflect.deleteProperty(Array, "fromAsync");
    // What the last match was: memory between rows.
    for (const name of reflect.ownKeys(RegExp)) {
      const property = Object.getOwnPropertyDescriptor(RegExp, name)!;
      if (property.get !== undefined && typeof name === "string") reflect.deleteProperty(RegExp, name);
    }
    reflect.deleteProperty(RegExp.prototype, "compile");
  }

  /** Takes away every global that is not allowed. */
  function takeGlobals(): void {
    const kept = new Set<PropertyKey>(allowed);
    for (const name of reflect.ownKeys(world)) {
      if (kept.has(name) || reflect.deleteProperty(world, name)) continue;
      reflect.defineProperty(world, name, { value: undefined });
    }
    Object.setPrototypeOf(world, null);
    Object.preventExtensions(world);
  }

  /** So that a function that gives its own object a `toString`, or an error a `name`, still can. */
  function letOverride(prototype: object): void {
    for (const name of reflect.ownKeys(prototype)) {
      const property = Object.getOwnPropertyDescriptor(prototype, name)!;
      if (!("value" in property) || property.configurable !== true) continue;
      const { value } = property;
      Object.defineProperty(prototype, name, {
        get: () => value,
        set(this: object, next: unknown) {
          if (this === prototype) refuse("Writing to a built-in");
          Object.defineProperty(this, name, { value: next, writable: true, enumerable: true, configurable: true });
        },
        enumerable: property.enumerable === true,
        configurable: true,
      });
    }
  }

  /** Freezes everything that the function can reach: no row leaves anything behind for the next. */
  function freezeAll(reachable: readonly unknown[]): void {
    const samples: unknown[] = [
      [][Symbol.iterator](),
      new Map()[Symbol.iterator](),
      new Set()[Symbol.iterator](),
      ""[Symbol.iterator](),
      "".matchAll(/a/g),
      function () {},
      async function () {},
      function* () {},
      async function* () {},
      (function* () {})(),
      ...reachable,
    ];
    const waiting: unknown[] = [...samples, ...reflect.ownKeys(world).map((name) => world[name])];
    const seen = new Set<unknown>([world]);
    while (waiting.length > 0) {
      const item = waiting.pop();
      if ((typeof item !== "object" && typeof item !== "function") || item === null || seen.has(item)) continue;
      seen.add(item);
      waiting.push(Object.getPrototypeOf(item));
      for (const name of reflect.ownKeys(item)) {
        const property = Object.getOwnPropertyDescriptor(item, name)!;
        waiting.push(property.value, property.get, property.set);
      }
    }
    letOverride(Object.prototype);
    for (const kind of [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]) {
      letOverride(kind.prototype);
    }
    for (const item of seen) {
      if (item !== world) Object.freeze(item);
    }
  }

  return {
    close() {
      replaceDate();
      takeTheRest();
      takeGlobals();
    },
    seal(reachable) {
      takeCompilers();
      freezeAll(reachable);
    },
  };
}
