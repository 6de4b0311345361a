/** A small store in a folder of its own, over one Parquet source that can be rewritten: what store tests stand on. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type ConnectOptions } from "../../sdk/connect.ts";
import { entity } from "../../sdk/define/entity.ts";
import { service } from "../../sdk/define/service.ts";
import { view } from "../../sdk/define/view.ts";
import type { ViewSettings } from "../../sdk/define/view_types.ts";
import { col } from "../../sdk/frame/expr.ts";
import { fromRows, parquet } from "../../sdk/frame/sources.ts";
import type { Frame } from "../../sdk/frame/frame.ts";
import type { RowOf } from "../../sdk/schema.ts";
import type { Store } from "../../sdk/store.ts";
import { ManualClock, toMicros } from "../../sdk/time.ts";

/** One source row. */
export interface Trip {
  readonly driver: string | null;
  readonly zone: number | null;
  readonly at: string | null;
  readonly amount: number | null;
}

export const tripTypes = { driver: "string", zone: "int64", at: "timestamp", amount: "float64" } as const;

export const driver = entity("driver", { driver: "string", zone: "int64" });

/** See the file's sentence. */
export class StoreRig {
  readonly folder: string;
  readonly path: string;
  readonly clock = new ManualClock("2001-01-06T00:00Z");
  readonly #options: ConnectOptions;
  readonly #stores: Store[] = [];

  static async open(options: ConnectOptions = {}): Promise<StoreRig> {
    return new StoreRig(await mkdtemp(join(tmpdir(), "varve-store-")), options);
  }

  constructor(folder: string, options: ConnectOptions) {
    this.folder = folder;
    this.path = join(folder, "trips.parquet");
    this.#options = options;
  }

  /** Another connection to the same store. */
  async connect(options: ConnectOptions = {}): Promise<Store> {
    const path = join(this.folder, "store");
    const settings = { clock: this.clock, author: "tester", memoryLimit: "256MB", threads: 1, path };
    const store = await connect({ ...settings, ...this.#options, ...options });
    this.#stores.push(store);
    return store;
  }

  async close(): Promise<void> {
    for (const store of this.#stores) await store.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Replaces the source. */
  async write(trips: readonly Trip[]): Promise<void> {
    const rows = trips.map((trip) => ({
      ...trip,
      zone: trip.zone === null ? null : BigInt(trip.zone),
      at: trip.at === null ? null : toMicros(trip.at),
    }));
    await fromRows(rows, { schema: tripTypes }).toParquet(this.path);
  }

  trips(): Frame<RowOf<typeof tripTypes>> {
    return parquet(this.path, { eventTimestamp: "at", schema: tripTypes });
  }

  /** Amounts by driver, times a factor: another factor is another definition of the data. */
  view(factor = 1, settings: Partial<ViewSettings> = {}) {
    const frame = this.trips().derive({ amount: col("amount").times(factor) }).by(driver);
    return view("driver_amounts", frame, { schedule: "1d", start: "2001-01-01", online: true, ...settings });
  }

  service(factor = 1, settings: Partial<ViewSettings> = {}) {
    return service("model", [this.view(factor, settings)]);
  }
}

export const trips: readonly Trip[] = [
  { driver: "x", zone: 1, at: "2001-01-01T06:00Z", amount: 1 },
  { driver: "x", zone: 1, at: "2001-01-02T06:00Z", amount: 2 },
  { driver: "y", zone: 1, at: "2001-01-02T07:00Z", amount: 3 },
  { driver: "x", zone: 1, at: "2001-01-04T00:00Z", amount: 4 },
  { driver: "1", zone: 12, at: "2001-01-03T00:00Z", amount: 5 },
  { driver: "11", zone: 2, at: "2001-01-03T00:00Z", amount: 6 },
];
