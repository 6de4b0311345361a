/** Looks up the values of keys that changed, in memory that has a limit however large they are. */
import { VarveError } from "../errors.ts";
import { type TileLayout, TileReader, tilesBehind, tilesKey } from "../storage/encoding.ts";
import type { Collection } from "../storage/online_store.ts";
import type { Load } from "./load_context.ts";

/** How many bytes are looked up at once, as far as can be foreseen, and how many values. */
const bytesAtOnce = 16 << 20;
const valuesAtOnce = 512;

/** A key, and what is stored of it. */
export interface StoredValue<K> {
  readonly key: K;
  /** What requests find; undefined: nothing. */
  readonly found: Uint8Array | undefined;
  /** What has tiles or rows: that, or behind totals another value; undefined where none can be trusted. */
  readonly tiles: Uint8Array | undefined;
}

/** Looks values up, and opens them. */
export class StoredValues<K extends { readonly key: Uint8Array }> {
  readonly reader: TileReader;
  readonly #load: Load;
  #atOnce = 64;

  /** For values of one layout. */
  constructor(load: Load, layout: TileLayout) {
    this.#load = load;
    this.reader = new TileReader(layout);
  }

  /** The values of keys, in their order. */
  async *of(collection: Collection, keys: readonly K[]): AsyncIterable<StoredValue<K>> {
    for (let from = 0; from < keys.length;) {
      const some = keys.slice(from, from + this.#atOnce);
      from += some.length;
      yield* await this.#some(collection, some);
    }
  }

  async #some(collection: Collection, keys: readonly K[]): Promise<StoredValue<K>[]> {
    const { online, signal } = this.#load.context;
    const get = (wanted: readonly Uint8Array[]) => online.getMany(wanted.map(() => collection), wanted, signal);
    const found = await get(keys.map(({ key }) => key));
    const tiles = [...found];
    const withTotals = keys.flatMap((_, i) => found[i] && this.opens(found[i]) && this.reader.isTotals ? [i] : []);
    const behind = withTotals.length === 0 ? [] : await get(withTotals.map((i) => tilesKey(keys[i]!.key)));
    for (const [n, i] of withTotals.entries()) tiles[i] = tilesBehind(found[i]!, behind[n]);
    const bytes = [...found, ...behind].reduce((sum, value) => sum + (value?.length ?? 0), 0);
    const fitting = Math.floor(keys.length * bytesAtOnce / Math.max(1, bytes));
    this.#atOnce = Math.max(1, Math.min(fitting, 4 * this.#atOnce, valuesAtOnce));
    return keys.map((key, i) => ({ key, found: found[i], tiles: tiles[i] }));
  }

  /** Opens a value with {@link reader}; false for one that cannot be read, which is to be made anew. */
  opens(value: Uint8Array): boolean {
    try {
      this.reader.open(value);
      return true;
    } catch (error) {
      if (error instanceof VarveError && error.code === "CORRUPT") return false;
      throw error;
    }
  }
}
