/** Views of aggregates over a small source, loaded online and read again, and what plain loops give for them. */
import type {
  AggregateView,
  AggregationDefinition,
  WindowDefinition,
  WindowFeature,
} from "../../../sdk/define/definitions.ts";
import { userValue } from "../../../sdk/engine/value_form.ts";
import type { ExprNode } from "../../../sdk/frame/expr_node.ts";
import { typeOfExpr } from "../../../sdk/frame/expr_type.ts";
import type { ScanStep } from "../../../sdk/frame/query.ts";
import { type WindowFunctionName, windowFunctionType } from "../../../sdk/frame/window_functions.ts";
import { closedRange } from "../../../sdk/materialize/due_slices.ts";
import type { LoadOnlineContext } from "../../../sdk/materialize/load_context.ts";
import { loadOnline, type LoadOnlineResult } from "../../../sdk/materialize/load_online.ts";
import { materialize } from "../../../sdk/materialize/materialize.ts";
import { readOfView } from "../../../sdk/retrieve/feature_read.ts";
import type { ReadObserver } from "../../../sdk/retrieve/observe.ts";
import { compileService } from "../../../sdk/retrieve/online.ts";
import type { Answer, ServiceReader } from "../../../sdk/retrieve/service_reader.ts";
import type { DataType, Schema } from "../../../sdk/schema.ts";
import type { OnlineStore } from "../../../sdk/storage/online_store.ts";
import { durationToMicros, toMicros } from "../../../sdk/time.ts";
import { windowOracle } from "../../oracle/window_functions.ts";
import type { Rig } from "./rig.ts";

/** A source row; times are micros. */
export interface Event {
  readonly user: string;
  readonly at: number;
  readonly written: number;
  readonly amount: number | null;
  readonly n: bigint | null;
  readonly kind: string | null;
  readonly ok: boolean | null;
}

export const minute = 60_000_000;
export const hour = 60 * minute;
export const day = 24 * hour;

const schema: Schema = [
  { name: "user", type: "string" },
  { name: "at", type: "timestamp" },
  { name: "written", type: "timestamp" },
  { name: "amount", type: "float64" },
  { name: "n", type: "int64" },
  { name: "kind", type: "string" },
  { name: "ok", type: "boolean" },
];

const column = (name: string): ExprNode => ({ kind: "column", name });

/** Every kind of state: numbers, counts, values with flags, lists, maps, orders. */
export const aggregations: readonly AggregationDefinition[] = [
  { name: "bestKind", function: "maxBy", input: column("kind"), by: column("amount") },
  { name: "count", function: "count" },
  { name: "kinds", function: "countDistinct", input: column("kind") },
  { name: "lastKinds", function: "lastDistinct", input: column("kind"), parameters: { n: 2 } },
  { name: "lastN", function: "lastN", input: column("n"), parameters: { n: 3 } },
  { name: "lastTime", function: "last", input: column("written") },
  { name: "max", function: "max", input: column("amount") },
  { name: "mean", function: "mean", input: column("amount"), where: column("ok") },
  { name: "okCount", function: "count", where: column("ok") },
  { name: "spread", function: "varSamp", input: column("amount") },
  { name: "sum", function: "sum", input: column("amount") },
  { name: "sumN", function: "sum", input: column("n") },
];

/** What a test says of its view. */
export interface ViewOptions extends Partial<Omit<AggregateView, "features" | "secondaryKey">> {
  readonly windows: readonly WindowDefinition[];
  readonly secondaryKey?: boolean;
}

/** A window of a length, ending `offset` before the others. */
export function time(size: string, offset = "0s"): WindowDefinition {
  return { kind: "time", size, offset };
}

/** Micros of an instant. */
export function instant(text: string): number {
  return Number(toMicros(text));
}

/** See the file's sentence. */
export class OnlineRig {
  readonly rig: Rig;
  events: readonly Event[] = [];
  /** By start of slice: the events that it was last computed from. */
  readonly stored = new Map<number, readonly Event[]>();

  constructor(rig: Rig) {
    this.rig = rig;
  }

  /** A view of hourly slices from 2001 on, unless told otherwise. */
  view({ windows, secondaryKey = false, ...more }: ViewOptions): AggregateView {
    const used = more.aggregations ?? aggregations;
    const query: ScanStep = {
      kind: "scan",
      source: {
        kind: "file",
        format: "parquet",
        paths: [this.rig.source],
        eventTimestamp: "at",
        writtenTimestamp: "written",
      },
      schema,
    };
    const features = windows.flatMap((window, w) => {
      const isPlain = !secondaryKey && window.kind !== "series";
      const of = (name: string, type: DataType, aggregation?: string): WindowFeature => ({
        name: `${name}_${w}`,
        type: listIf(listIf(type, secondaryKey), window.kind === "series"),
        window,
        ...(aggregation !== undefined && { aggregation }),
        ...(isPlain && name === "max" && { default: -1 }),
      });
      return [
        ...used.map((each) => of(each.name, resultType(each), each.name)),
        ...(secondaryKey ? [of("keys", "string")] : []),
      ];
    });
    return {
      kind: "view",
      name: "values",
      mode: "aggregates",
      entity: { kind: "entity", name: "user", joinKeys: [{ name: "user", type: "string" }] },
      query,
      eventTimestamp: "at",
      writtenTimestamp: "written",
      schedule: "1h",
      dataDelay: "0s",
      start: "2001-01-01T00:00:00Z",
      ttl: "forever",
      lookback: 0,
      online: true,
      offline: true,
      every: "1h",
      edge: "complete",
      boundary: "inclusive",
      aggregations: used,
      features,
      ...(secondaryKey && { secondaryKey: { name: "kind", type: "string" as const } }),
      ...more,
    };
  }

  /** Replaces the source. */
  async write(events: readonly Event[]): Promise<void> {
    this.events = events;
    const text = (value: string | null) => value === null ? "NULL" : `'${value}'`;
    const lines = events.map(({ user, at, written, amount, n, kind, ok }) =>
      `(${text(user)}, make_timestamptz(${at}::BIGINT), make_timestamptz(${written}::BIGINT), ${
        amount === null ? "NULL" : `'${Object.is(amount, -0) ? "-0.0" : amount}'::DOUBLE`
      }, ${n ?? "NULL"}, ${text(kind)}, ${ok ?? "NULL"})`
    );
    const nothing = "(NULL, NULL, NULL, NULL, NULL, NULL, NULL)";
    await this.rig.writeSql(
      `SELECT u::VARCHAR AS user, a::TIMESTAMPTZ AS at, w::TIMESTAMPTZ AS written, m::DOUBLE AS amount, n::BIGINT AS n, ` +
        `k::VARCHAR AS kind, o::BOOLEAN AS ok FROM (VALUES ${lines.join(", ") || nothing}) s(u, a, w, m, n, k, o)` +
        (lines.length === 0 ? " LIMIT 0" : ""),
    );
  }

  /** Computes slices of a part of the past (micros) that have closed; those that are there already only if `overwrite`. */
  async run(view: AggregateView, from: number, to: number, overwrite = false): Promise<void> {
    const { rig } = this;
    const closed = closedRange(view, rig.clock.now());
    const schedule = micros(view.schedule);
    const start = Math.max(Math.floor(from / schedule) * schedule, Number(closed?.start ?? 0));
    const end = Math.min(Math.ceil(to / schedule) * schedule, Number(closed?.end ?? 0));
    if (end <= start) return;
    await materialize(
      { definition: view, version: 1, range: { start: BigInt(start), end: BigInt(end) }, overwrite },
      { engine: rig.engine, table: rig.table(), clock: rig.clock, tempDir: rig.tempDir },
    );
    for (let slice = start; slice < end; slice += schedule) {
      if (!overwrite && this.stored.has(slice)) continue;
      this.stored.set(slice, this.events.filter(({ at }) => at >= slice && at < slice + schedule));
    }
  }

  /** Loads what is in the table. */
  async load(
    view: AggregateView,
    online: OnlineStore,
    more: { readonly rebuild?: boolean; readonly context?: Partial<LoadOnlineContext> } = {},
  ): Promise<LoadOnlineResult> {
    const { rig } = this;
    return await loadOnline({ definition: view, version: 1, rebuild: more.rebuild ?? false }, {
      engine: rig.engine,
      table: rig.table(),
      online,
      collections: rig.collections(online),
      clock: rig.clock,
      ...more.context,
    });
  }

  /** A reader of some features of the view, or of all. */
  async reader(
    view: AggregateView,
    online: OnlineStore,
    names: readonly string[] = view.features.map(({ name }) => name),
    observer?: ReadObserver,
  ): Promise<ServiceReader> {
    const state = await online.state(view.name, 1);
    const features = names.map((name) => ({ feature: name, as: name }));
    const read = { ...readOfView({ definition: view, version: 1 }), features };
    return compileService("model", [read], online, () => state, { observer });
  }

  /** What requests get at an instant. */
  async read(
    view: AggregateView,
    online: OnlineStore,
    users: readonly string[],
    at: number,
    names?: readonly string[],
  ): Promise<Answer[]> {
    const reader = await this.reader(view, online, names);
    return await reader.read(users.map((user) => ({ user })), { at: BigInt(at) });
  }

  /** What plain loops give of what was stored, when everything before the watermark is loaded. */
  expected(
    view: AggregateView,
    user: string,
    at: number,
    watermark: number,
    stored: ReadonlyMap<number, readonly Event[]> = this.stored,
  ): Pick<Answer, "values" | "statuses" | "effectiveTimes"> {
    const [schedule, delay] = [micros(view.schedule), micros(view.dataDelay)];
    const visible = Math.min(Math.floor((at - delay) / schedule) * schedule, watermark);
    const rows = [...stored.keys()].sort((a, b) => a - b).flatMap((slice) => stored.get(slice)!)
      .filter((event) => event.user === user && (view.secondaryKey === undefined || event.kind !== null))
      .map((event, position) => ({ event, position }))
      .sort((a, b) => a.event.at - b.event.at || a.event.written - b.event.written || a.position - b.position)
      .map(({ event }) => event);
    const kept = view.edge === "exact" ? rows.slice(-view.maxRows!) : rows;
    let isPresent = false;
    const values = view.features.map(({ aggregation, window, type, default: fallback = null }) => {
      const results = spansOf(view, window, at, visible).map(([lo, hi]) => {
        const inside = kept.filter((row) => row.at >= lo && row.at < hi);
        if (inside.length > 0) isPresent = true;
        return valueOf(view, aggregation, inside);
      });
      return userValue(window.kind === "series" ? results : results[0], type) ?? fallback;
    });
    return {
      values,
      statuses: values.map(() => isPresent ? "PRESENT" : "MISSING"),
      effectiveTimes: values.map(() => isPresent ? BigInt(visible + delay) : undefined),
    };
  }
}

function listIf(type: DataType, isList: boolean): DataType {
  return isList ? { list: type } : type;
}

function resultType({ input, by, ...item }: AggregationDefinition): DataType {
  return windowFunctionType(item, input && typeOfExpr(input, schema), by && typeOfExpr(by, schema));
}

function micros(text: string): number {
  return Number(durationToMicros(text, "duration", { allowZero: true }));
}

/** S5, once more. */
function spansOf(view: AggregateView, window: WindowDefinition, at: number, visible: number): [number, number][] {
  if (window.kind === "series") {
    const [size, step, from, to] = [micros(window.size), micros(window.step), micros(window.from), micros(window.to)];
    const spans: [number, number][] = [];
    for (let start = from; start - size >= to; start -= step) {
      spans.push(...spansOf(view, time(window.size, `${start - size}us`), at, visible));
    }
    return spans;
  }
  const offset = micros(window.offset);
  const size = window.kind === "lifetime" ? Infinity : micros(window.size);
  if (view.edge === "complete") return [[visible - offset - size, visible - offset]];
  const end = at + (view.boundary === "inclusive" ? 1 : 0) - offset;
  if (view.edge === "exact") return [[end - size, Math.min(end, visible)]];
  const every = micros(view.every);
  const down = (place: number) => place === -Infinity ? place : Math.floor(place / every) * every;
  return [[down(end - size), Math.min(offset > 0 ? down(end) : end, visible)]];
}

function valueOf(view: AggregateView, name: string | undefined, rows: readonly Event[]): unknown {
  if (!view.secondaryKey) return aggregated(view, name!, rows);
  const keys = [...new Set(rows.map(({ kind }) => kind!))].sort();
  return name === undefined ? keys : keys.map((key) => aggregated(view, name, rows.filter(({ kind }) => kind === key)));
}

function aggregated(view: AggregateView, name: string, rows: readonly Event[]): unknown {
  const item = view.aggregations.find((each) => each.name === name)!;
  const read = (node: ExprNode, event: Event): unknown => {
    const of = (node as { readonly name: keyof Event }).name;
    return of === "at" || of === "written" ? BigInt(event[of]) : event[of];
  };
  const counted = rows.filter((event) => !item.where || read(item.where, event) === true);
  return windowOracle(
    item.function as WindowFunctionName,
    item.input && typeOfExpr(item.input, schema),
    item.parameters ?? {},
    counted.map((event) => ({
      value: item.input && read(item.input, event),
      by: item.by ? read(item.by, event) : null,
    })),
  );
}
