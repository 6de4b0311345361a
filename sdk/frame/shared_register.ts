/** What a process knows by name, whichever copy of this package it was told to. */

/**
 * A register of the whole process. It may hold several copies of this package, as loaders of TypeScript make their own of
 * everything that a module imports: all of them share what users register, and the rows that frames are made of.
 */
export function sharedRegister<T>(name: string): Map<string, T> {
  const holder = globalThis as unknown as Record<symbol, Map<string, T> | undefined>;
  return holder[Symbol.for(`varve.${name}`)] ??= new Map();
}
