/** The tiles of one Parquet file to be, in a temporary table. */
import type { ColumnBatch, ColumnVector, EngineSession } from "../engine/engine.ts";
import type { Schema } from "../schema.ts";
import type { SlotColumn } from "../window/aggregator.ts";
import { slotColumn } from "../window/inputs.ts";
import type { TileBlock } from "../window/tile_states.ts";
import type { TileSorter } from "./tile_rows.ts";

/** Takes blocks of states, one after the other, and notes what the file needs to know of them. */
export class TilePart {
  /** Row i has the state of tile i: its start, when it was written if the view knows, and slots. */
  readonly table = "varve_states";
  readonly #schema: Schema;
  #isMade = false;
  #tiles = 0;
  #bytes = 0;
  #firstId = -1;
  #lastId = -1;
  /** By key, from the first one on: how many tiles it has. */
  #counts = new Int32Array(1024);

  /** Empty. Its table takes the place of the part before. */
  constructor({ view, aggregators, plan }: TileSorter) {
    this.#schema = [
      { name: "__start", type: "float64" },
      ...plan.written === undefined ? [] : [{ name: "__written", type: "int64" as const }],
      ...view.aggregations.flatMap(({ name }, i) =>
        aggregators[i]!.slots.map((slot) => ({ name: slotColumn(name, slot.name), type: slot.type }))
      ),
    ];
  }

  /** How many tiles there are. */
  get tiles(): number {
    return this.#tiles;
  }

  /** About how many bytes their states take. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The numbers of its keys, which are neighbours. */
  get keys(): { readonly first: number; readonly end: number } {
    return { first: this.#firstId, end: this.#lastId + 1 };
  }

  /** How many tiles each key has, in order. */
  get counts(): Int32Array {
    return this.#counts.subarray(0, this.#lastId + 1 - this.#firstId);
  }

  /** Takes blocks up to a cut; gives whether there was one. `onBlock` is called after each but the last one before a cut. */
  async take(
    session: EngineSession,
    blocks: Iterator<TileBlock, void, undefined>,
    onBlock: () => void,
    signal?: AbortSignal,
  ): Promise<boolean> {
    let isCut = false;
    const noted = (block: TileBlock) => this.#note(block);
    function* batches(): Iterable<ColumnBatch> {
      for (let next = blocks.next(); !next.done; next = blocks.next()) {
        yield noted(next.value);
        isCut = next.value.endsPart;
        if (isCut) return;
        onBlock();
      }
    }
    if (this.#isMade) await session.append(this.table, this.#schema, batches(), signal);
    else await session.fill(this.table, this.#schema, batches(), signal);
    this.#isMade = true;
    return isCut;
  }

  #note({ count, ids, starts, written, states }: TileBlock): ColumnBatch {
    if (this.#tiles === 0) this.#firstId = ids[0]!;
    const last = ids[count - 1]!;
    if (last - this.#firstId >= this.#counts.length) {
      const counts = new Int32Array(2 * (last - this.#firstId + 1));
      counts.set(this.#counts);
      this.#counts = counts;
    }
    for (let i = 0; i < count; i++) this.#counts[ids[i]! - this.#firstId]!++;
    this.#lastId = last;
    this.#tiles += count;
    const slots = states.flat();
    for (const slot of slots) this.#bytes += valuesBytes(slot, count);
    const times = [numbers(starts), ...written ? [written] : []];
    return { rowCount: count, columns: [...times, ...slots.map(numbers)] };
  }
}

/** Slots in typed arrays are never null. */
function numbers(values: SlotColumn): ColumnVector {
  return { values, hasNulls: Array.isArray(values), isNull: (i) => values[i] === null };
}

/** About how many bytes the first values take. */
export function valuesBytes(values: ColumnVector["values"], count: number): number {
  if (ArrayBuffer.isView(values)) return count * values.BYTES_PER_ELEMENT;
  let bytes = 0;
  for (let i = 0; i < count; i++) bytes += valueBytes(values[i]);
  return bytes;
}

/** About what a value in row form takes. */
function valueBytes(value: unknown): number {
  if (value === null) return 1;
  if (typeof value === "string") return value.length + 16;
  if (typeof value !== "object") return 8;
  if (value instanceof Uint8Array) return value.length + 16;
  return 16 + Object.values(value).reduce((sum: number, item) => sum + valueBytes(item), 0);
}
