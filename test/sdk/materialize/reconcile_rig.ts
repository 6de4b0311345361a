/** A registry with one published view and a handler that commits empty slices: what reconcilers are tested on. */
import { dataHash } from "../../../sdk/registry/data_hash.ts";
import { openRegistry, type Registry } from "../../../sdk/registry/registry.ts";
import type { Action } from "../../../sdk/registry/state.ts";
import type { PassReport, ReconcilerOptions } from "../../../sdk/materialize/reconciler.ts";
import { slicesIn } from "../../../sdk/materialize/due_slices.ts";
import type { Handler } from "../../../sdk/queue/queue.ts";
import type { DeltaTable } from "../../../sdk/storage/delta_format.ts";
import { deltaTable } from "../../../sdk/storage/delta_table.ts";
import { ManualClock, toMicros } from "../../../sdk/time.ts";
import { airport, delays } from "../../support/flight_views.ts";
import { MemoryStore } from "../../support/memory_store.ts";

const day = 86_400_000_000n;

export class ReconcileRig {
  readonly objects = new MemoryStore();
  /** Ten days have closed. */
  readonly clock = new ManualClock("2001-01-11T00:00:00Z");
  readonly registry: Registry = openRegistry({
    store: this.objects,
    workspace: "test",
    author: "ana",
    clock: this.clock,
  });
  /** Jobs that the handler was given, as `name first–last` days of January. */
  readonly ran: string[] = [];
  readonly #tables = new Map<string, DeltaTable>();

  get stores(): ReconcilerOptions["stores"] {
    return {
      registry: this.registry,
      objects: this.objects,
      table: (view, version) => this.table(view, version),
      online: () => Promise.reject(new Error("no view of this rig is online")),
      clock: this.clock,
    };
  }

  table(view: string, version: number): DeltaTable {
    const path = `test/views/${view}/${version}`;
    const table = this.#tables.get(path) ?? deltaTable(this.objects, path);
    this.#tables.set(path, table);
    return table;
  }

  /** Adds a version of the view `delays`. */
  async publish(version = 1, start = "2001-01-01"): Promise<void> {
    const { definition } = delays({ start, online: false });
    const added: Action = {
      kind: "addVersion",
      version: {
        version,
        definition,
        dataHash: `${dataHash(definition)}${version}`,
        createdAt: "2001-01-01T00:00:00Z",
      },
    };
    const actions: Action[] = version === 1 ? [{ kind: "putEntity", entity: airport.definition }, added] : [added];
    await this.registry.commit(actions);
  }

  /** Commits the slices of a job, empty; a clean job deletes the version's folder. */
  readonly handler: Handler = async (job) => {
    if (job.name === "clean") {
      this.ran.push(`clean ${job.view}/${job.version}`);
      const { path } = this.table(job.view, job.version);
      const keys: string[] = [];
      for await (const { key } of this.objects.list(`${path}/`)) keys.push(key);
      return await this.objects.delete(keys);
    }
    if (job.name !== "materialize") throw new Error(`this rig cannot ${job.name}`);
    const range = { start: toMicros(job.start), end: toMicros(job.end) };
    const [first, end] = [range.start, range.end].map((at) => Number((at - toMicros("2001-01-01")) / day) + 1);
    this.ran.push(`${job.reason} ${first}-${end! - 1}`);
    const table = this.table(job.view, job.version);
    const { version: readVersion } = await table.create([{ name: "origin", type: "string" }], { at: 0 });
    return await table.commit({
      runId: crypto.randomUUID(),
      readVersion,
      slices: slicesIn(range, day),
      files: [],
      info: {},
    });
  };
}

/** Hears of looks, and resolves at the first that is like this. */
export class PassLog {
  readonly reports: PassReport[] = [];
  #heard = () => {};

  readonly onPass = (report: PassReport): void => {
    this.reports.push(report);
    this.#heard();
  };

  async until(isIt: (report: PassReport) => boolean): Promise<PassReport> {
    let seen = 0;
    while (true) {
      while (seen < this.reports.length) {
        const report = this.reports[seen++]!;
        if (isIt(report)) return report;
      }
      await new Promise<void>((resolve) => this.#heard = resolve);
    }
  }
}
