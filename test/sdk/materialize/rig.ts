/** A view over a small Parquet source, with its table on local disk: what materialize tests stand on. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AttributeView, ViewDefinition } from "../../../sdk/define/definitions.ts";
import { createDuckDbEngine } from "../../../sdk/engine/duckdb.ts";
import type { Engine } from "../../../sdk/engine/engine.ts";
import type { ScanStep } from "../../../sdk/frame/query.ts";
import { Collections } from "../../../sdk/materialize/collections.ts";
import type { LoadOnlineContext } from "../../../sdk/materialize/load_context.ts";
import { loadOnline, type LoadOnlineResult } from "../../../sdk/materialize/load_online.ts";
import { materialize, type MaterializeContext, type MaterializeResult } from "../../../sdk/materialize/materialize.ts";
import type { Row } from "../../../sdk/schema.ts";
import type { DeltaFile, DeltaTable } from "../../../sdk/storage/delta_format.ts";
import { deltaTable } from "../../../sdk/storage/delta_table.ts";
import { localObjectStore } from "../../../sdk/storage/object_local.ts";
import type { ObjectStore } from "../../../sdk/storage/object_store.ts";
import { encodeKey, readHeader, rowLayout } from "../../../sdk/storage/encoding.ts";
import type { OnlineStore } from "../../../sdk/storage/online_store.ts";
import { formatTimestamp, ManualClock, toMicros } from "../../../sdk/time.ts";

/** One source row: key (two parts), event time, written time, value. */
export interface SourceRow {
  readonly a: string | null;
  readonly b: number | null;
  readonly t: string | null;
  readonly w?: string | null;
  readonly v: number | null;
}

const day = 86_400_000_000n;

/** See the file's sentence. */
export class Rig {
  readonly folder: string;
  readonly engine: Engine;
  readonly objects: ObjectStore;
  readonly clock = new ManualClock("2001-02-01");
  readonly source: string;
  #place = "values";

  static async open(): Promise<Rig> {
    return new Rig(await mkdtemp(join(tmpdir(), "varve-rig-")));
  }

  constructor(folder: string) {
    this.folder = folder;
    this.engine = createDuckDbEngine({ memoryLimit: "256MB", threads: 1, tempDirectory: join(folder, "spill") });
    this.objects = localObjectStore(join(folder, "objects"));
    this.source = join(folder, "source.parquet");
  }

  /** Goes on with an empty table. */
  use(place: string): void {
    this.#place = place;
  }

  get tempDir(): string {
    return join(this.folder, "temp");
  }

  async close(): Promise<void> {
    await this.engine.close();
    await this.objects.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Replaces the source; the order of rows is the order in the file. */
  async write(rows: readonly SourceRow[]): Promise<void> {
    const text = (value: string | null | undefined) => value === null || value === undefined ? "NULL" : `'${value}'`;
    const time = (value: string | null | undefined) => value ? `make_timestamptz(${toMicros(value)}::BIGINT)` : "NULL";
    const lines = rows.map(({ a, b, t, w, v }) =>
      `(${text(a)}, ${b ?? "NULL"}, ${time(t)}, ${time(w)}, ${v ?? "NULL"})`
    );
    await this.writeSql(
      `SELECT a::VARCHAR AS a, b::BIGINT AS b, t::TIMESTAMPTZ AS t, w::TIMESTAMPTZ AS w, v::DOUBLE AS v FROM (VALUES ${
        lines.join(", ") || "(NULL, NULL, NULL, NULL, NULL)"
      }) s(a, b, t, w, v)${lines.length === 0 ? " LIMIT 0" : ""}`,
    );
  }

  /** Replaces the source by the rows of a query. */
  async writeSql(sql: string): Promise<void> {
    const session = await this.engine.session();
    await session.writeParquet(sql, this.source);
    session.close();
  }

  scan(columns: readonly string[] = ["a", "b", "t", "w", "v"]): ScanStep {
    const types = { a: "string", b: "int64", t: "timestamp", w: "timestamp", v: "float64" } as const;
    return {
      kind: "scan",
      source: { kind: "file", format: "parquet", paths: [this.source], eventTimestamp: "t", writtenTimestamp: "w" },
      schema: columns.map((name) => ({ name, type: types[name as keyof typeof types] })),
    };
  }

  definition(more: Partial<AttributeView> = {}): AttributeView {
    return {
      kind: "view",
      name: "values",
      mode: "attributes",
      entity: {
        kind: "entity",
        name: "thing",
        joinKeys: [{ name: "a", type: "string" }, { name: "b", type: "int64" }],
      },
      query: this.scan(),
      eventTimestamp: "t",
      writtenTimestamp: "w",
      features: [{ name: "v", type: "float64" }],
      schedule: "1d",
      dataDelay: "2h",
      start: "2001-01-01T00:00:00Z",
      ttl: "forever",
      lookback: 0,
      online: true,
      offline: true,
      ...more,
    };
  }

  table(version = 1): DeltaTable {
    return deltaTable(this.objects, `test/views/${this.#place}/${version}`, { clock: this.clock });
  }

  /** Materializes days `from` … `to` (exclusive) of January 2001, counted from 1. */
  async run(
    from: number,
    to: number,
    more: { definition?: ViewDefinition; overwrite?: boolean; context?: Partial<MaterializeContext> } = {},
  ): Promise<MaterializeResult> {
    const range = { start: january(from), end: january(to) };
    const { definition = this.definition(), overwrite = false, context = {} } = more;
    return await materialize({ definition, version: 1, range, overwrite }, {
      engine: this.engine,
      table: this.table(),
      clock: this.clock,
      tempDir: this.tempDir,
      ...context,
    });
  }

  collections(online: OnlineStore): Collections {
    return new Collections({ objects: this.objects, online, clock: this.clock, workspace: "test" }, "values", 1);
  }

  async load(
    online: OnlineStore,
    more: { definition?: AttributeView; rebuild?: boolean; context?: Partial<LoadOnlineContext> } = {},
  ): Promise<LoadOnlineResult> {
    const { definition = this.definition(), rebuild = false, context = {} } = more;
    return await loadOnline({ definition, version: 1, rebuild }, {
      engine: this.engine,
      table: this.table(),
      online,
      collections: this.collections(online),
      clock: this.clock,
      ...context,
    });
  }

  /** Live rows of the table, by key and time. */
  async stored(table = this.table(), files?: readonly DeltaFile[]): Promise<Row[]> {
    const live = files ?? (await table.snapshot()).files;
    if (live.length === 0) return [];
    const paths = await table.localPaths(live);
    const session = await this.engine.session();
    try {
      return await session.rows(
        `SELECT * FROM read_parquet([${paths.map((path) => `'${path}'`).join(", ")}]) ORDER BY a, b, event_timestamp`,
      );
    } finally {
      session.close();
    }
  }

  /** Files and folders that attempts have left behind. */
  async leftOvers(): Promise<string[]> {
    return await readdir(this.tempDir).catch(() => []);
  }
}

/** The start of a day of January 2001. */
export function january(number: number): bigint {
  return toMicros("2001-01-01") + BigInt(number - 1) * day;
}

/** What requests would find online: value and event time by key, where the value still counts (S6). */
export async function served(
  online: OnlineStore,
  definition: AttributeView,
  keys: readonly (readonly [string, number])[],
): Promise<(readonly [value: unknown, eventTimestamp: string] | undefined)[]> {
  const state = await online.state(definition.name, 1);
  if (state?.collection === undefined) throw new Error("nothing is served");
  const layout = rowLayout(definition.features);
  const encoded = keys.map(([a, b]) => encodeKey(definition.entity.joinKeys, [a, BigInt(b)])!);
  const values = await online.getMany(keys.map(() => state.collection!), encoded);
  return values.map((value) => value && [layout.decode(value)[0], formatTimestamp(readHeader(value).eventTimestamp)]);
}
