/** A small Parquet source that changes all the time: late rows, corrected rows, rows that go, ties, null keys and times. */
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { fromRows } from "../../sdk/frame/sources.ts";
import { toMicros } from "../../sdk/time.ts";

/** One source row. Instants are micros. */
export interface ChaosRow {
  readonly driver: string | null;
  readonly zone: bigint | null;
  readonly at: bigint | null;
  readonly written: bigint;
  readonly amount: number | null;
  readonly note: string | null;
}

export const chaosTypes = {
  driver: "string",
  zone: "int64",
  at: "timestamp",
  written: "timestamp",
  amount: "float64",
  note: "string",
} as const;

export const minute = 60_000_000n;
export const hour = 60n * minute;
export const day = 24n * hour;

/** The first row's time. */
export const origin = toMicros("2001-01-01");
/** Never changes and always has a fresh row: whoever reads it online gets its value or an error, and nothing else. */
export const stable = { driver: "stable", zone: 0n, amount: 42 } as const;
export const drivers = ["a", "b", "c", "11", "1"] as const;
export const zones = [1n, 2n, 12n] as const;

/** Random numbers that a seed repeats (mulberry32). */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `least` up to and without `end`. */
  whole(least: number, end: number): number {
    return least + Math.floor(this.next() * (end - least));
  }

  is(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.whole(0, items.length)]!;
  }
}

/** See the file's sentence. */
export class ChaosSource {
  readonly path: string;
  readonly rows: ChaosRow[] = [];
  readonly #chance: Chance;
  #writes = 0;

  constructor(folder: string, chance: Chance, days: number) {
    this.path = join(folder, "source.parquet");
    this.#chance = chance;
    for (let at = origin; at < origin + BigInt(days) * day; at += 6n * hour) {
      this.rows.push({ ...stable, at, written: at, note: "stable" });
    }
  }

  /** Changes some rows whose event times are in `[from, to)`; gives the event times that are touched. */
  change(count: number, from: bigint, to: bigint): bigint[] {
    const touched: bigint[] = [];
    for (let i = 0; i < count; i++) {
      const candidates = this.rows.flatMap((row, index) =>
        row.driver !== stable.driver && row.at !== null && row.at >= from && row.at < to ? [index] : []
      );
      const index = candidates.length > 0 && this.#chance.is(0.5) ? this.#chance.pick(candidates) : undefined;
      if (index === undefined) {
        const row = this.#row(from, to);
        // Anywhere: the order in the source decides between rows that were written together.
        this.rows.splice(this.#chance.whole(0, this.rows.length + 1), 0, row);
        if (row.at !== null) touched.push(row.at);
        continue;
      }
      const row = this.rows[index]!;
      touched.push(row.at!);
      if (this.#chance.is(0.4)) this.rows.splice(index, 1);
      else {this.rows[index] = {
          ...row,
          amount: this.#amount(),
          written: row.written + BigInt(this.#chance.whole(0, 2)),
        };}
    }
    return touched;
  }

  /** Replaces the file at once: a reader has the old one or the new one. */
  async write(): Promise<void> {
    const next = `${this.path}.${this.#writes++}.next`;
    await fromRows([...this.rows], { schema: chaosTypes }).toParquet(next);
    await rename(next, this.path);
  }

  #row(from: bigint, to: bigint): ChaosRow {
    const chance = this.#chance;
    const steps = Number((to - from) / (20n * minute));
    const at = from + BigInt(chance.whole(0, Math.max(1, steps))) * 20n * minute;
    return {
      driver: chance.is(0.05) ? null : chance.pick(drivers),
      zone: chance.is(0.05) ? null : chance.pick(zones),
      at: chance.is(0.03) ? null : at,
      written: at + BigInt(chance.whole(0, 3)) * minute,
      amount: this.#amount(),
      note: chance.is(0.2) ? null : chance.pick(["x", "", "ü", "longer text"]),
    };
  }

  #amount(): number | null {
    return this.#chance.is(0.1) ? null : this.#chance.whole(-400, 400) / 4;
  }
}
