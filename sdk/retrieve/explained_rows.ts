/**
 * The rows of one key of a view, each with the rule that lets it count or leaves it out at an instant. Written apart from the joins
 * and sweeps that compute values: it says in a few conditions what they do in bulk, and tests hold both together.
 */
import type { ViewDefinition } from "../define/definitions.ts";
import { type EngineSession, quoteName, type Relation } from "../engine/engine.ts";
import { sliceColumn, sliceRelations } from "../engine/slice_rows.ts";
import { exprText } from "../frame/expr_text.ts";
import type { Query } from "../frame/query.ts";
import type { Row } from "../schema.ts";
import { alignUp, type Micros, type TimeRange, toMicros } from "../time.ts";
import { windowEdges } from "../window/edges.ts";
import { windowInputs } from "../window/inputs.ts";
import { timing } from "./feature_read.ts";
import { temporaryName } from "./positions.ts";
import { sliceRange } from "./source_rows.ts";

/** Why rows are left out; `used` are those that are not. */
export type RowRule =
  | "used"
  | "before start"
  | "after end"
  | "not yet"
  | "not effective"
  | "not materialized"
  | "late"
  | "older"
  | "written before"
  | "expired"
  | "before window"
  | "end of window"
  | "after window"
  | "null secondary key"
  | "where"
  | "null input";

/** Rows that one rule is about. */
export interface RuledRows {
  readonly rule: RowRule;
  /** How many there are. */
  readonly count: number;
  /** When the first of them can be served (S4). */
  readonly effectiveFrom: Micros;
  /** The newest of them. */
  readonly rows: readonly KeyRow[];
}

/** One row of a key. */
export interface KeyRow {
  readonly time: Micros;
  readonly written: Micros | undefined;
  readonly effective: Micros;
  /** Features, or inputs of aggregations by their text. */
  readonly values: Row;
}

/** What is stored of a view: when the attempt behind each committed slice began to read. */
export type StoredSlices = ReadonlyMap<Micros, Micros | undefined>;

/** The rows of one key, in a temporary table. */
export class KeyRows {
  readonly #session: EngineSession;
  readonly #view: ViewDefinition;
  readonly #table: string;
  readonly #at: Micros;
  readonly #stored: string | undefined;
  /** The columns of values, and what people call them. */
  readonly #columns: ReadonlyMap<string, string>;

  private constructor(
    session: EngineSession,
    view: ViewDefinition,
    table: string,
    at: Micros,
    stored: string | undefined,
    columns: ReadonlyMap<string, string>,
  ) {
    this.#session = session;
    this.#view = view;
    this.#table = table;
    this.#at = at;
    this.#stored = stored;
    this.#columns = columns;
  }

  /** Computes the rows from the view's source. `isKey` is a condition of SQL; with `stored`, rows that it lacks are left out. */
  static async read(
    session: EngineSession,
    view: ViewDefinition,
    { isKey, at, now, stored, signal }: {
      readonly isKey: string;
      readonly at: Micros;
      /** What says that it was written later than this says nothing. */
      readonly now: Micros;
      readonly stored?: StoredSlices | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<KeyRows> {
    const inputs = view.mode === "aggregates" ? windowInputs(view) : undefined;
    const query = inputs?.query ?? view.query;
    const columns = new Map<string, string>(
      inputs
        ? [
          ...(view.mode === "aggregates" && view.secondaryKey
            ? [[view.secondaryKey.name, view.secondaryKey.name] as const]
            : []),
          ...inputs.columns.map(({ name }, i): [string, string] => [name, inputText(inputs.query, name) ?? String(i)]),
        ]
        : view.features.map(({ name }): [string, string] => [name, name]),
    );
    const table = temporaryName("explained");
    const range = sliceRange(view, at + 1n);
    let made = false;
    const add = async (sql: string) => {
      await session.run(made ? `INSERT INTO ${table} ${sql}` : `CREATE TEMP TABLE ${table} AS ${sql}`, signal);
      made = true;
    };
    for await (const relation of sliceRelations(session, { query, schedule: view.schedule }, range, signal)) {
      await add(rowsSql(view, relation, [...columns.keys()], isKey));
    }
    // Rows of no slice that is read: of times before the view's start, after its end, or after the instant.
    const { sql, schema, position } = await session.compile(query, { position: true }, signal);
    const { schedule } = timing(view);
    const event = `epoch_us(${quoteName(view.eventTimestamp)}::TIMESTAMPTZ)`;
    const slice = `make_timestamptz(${event} - ((${event} % ${schedule}) + ${schedule}) % ${schedule})`;
    const outside = range ? `NOT (${event} >= ${range.start} AND ${event} < ${range.end})` : "true";
    const whole: Relation = {
      sql: `SELECT ${slice} AS ${sliceColumn}, * FROM (${sql}) WHERE ${outside}`,
      schema: [{ name: sliceColumn, type: "timestamp" }, ...schema],
      ...(position && { position }),
    };
    await add(rowsSql(view, whole, [...columns.keys()], isKey));
    const known = stored && await storedCondition(session, table, { stored, now }, signal);
    return new KeyRows(session, view, table, at, known, columns);
  }

  /** The rows of a view of attributes: which one counts (S3), and why no other does. */
  async attributes(limit: number, signal?: AbortSignal): Promise<RuledRows[]> {
    const { ttl } = timing(this.#view);
    const at = this.#at;
    const out = this.#outside([
      [`__event > ${at}`, "not yet"],
      [`__effective > ${at}`, "not effective"],
    ]);
    const expired = ttl === undefined ? "false" : `__event + ${ttl} <= ${at}`;
    const ruled = `SELECT *, CASE WHEN __out IS NOT NULL THEN __out ` +
      `WHEN row_number() OVER (PARTITION BY __out ORDER BY __event DESC, __tie) = 1 ` +
      `THEN CASE WHEN ${expired} THEN 'expired' ELSE 'used' END ` +
      `WHEN __event = max(__event) OVER (PARTITION BY __out) THEN 'written before' ELSE 'older' END AS __rule ` +
      `FROM (SELECT *, ${out} AS __out FROM ${this.#table})`;
    return await this.#ruled(ruled, limit, signal);
  }

  /** The rows of one feature of a view of aggregates: which lie in its windows and count (S5, S7). */
  async windows(feature: string, limit: number, signal?: AbortSignal): Promise<RuledRows[]> {
    const view = this.#view;
    if (view.mode !== "aggregates") return [];
    const spans = windowsAt(view, feature, this.#at);
    const inputs = windowInputs(view);
    const place = view.aggregations.findIndex(({ name }) =>
      name === view.features.find((each) => each.name === feature)!.aggregation
    );
    const { input, by, where } = place < 0
      ? {} as { input?: string; by?: string; where?: string }
      : inputs.aggregations[place]!;
    const inSpan = spans.map(({ start, end }) => `__event >= ${start} AND __event < ${end}`).join(" OR ");
    const last = spans.at(-1)!.end;
    const nulls = [input, by].filter((column) => column !== undefined).map((column) => `${quoteName(column)} IS NULL`);
    const out = this.#outside([
      [`__event > ${this.#at}`, "not yet"],
      [`__effective > ${this.#at}`, "not effective"],
      ...(view.secondaryKey ? [[`${quoteName(view.secondaryKey.name)} IS NULL`, "null secondary key"] as const] : []),
      [`__event = ${last}`, "end of window"],
      [`__event > ${last}`, "after window"],
      [`NOT (${inSpan})`, "before window"],
    ], [
      ...(where === undefined ? [] : [[`${quoteName(where)} IS NOT TRUE`, "where"] as const]),
      ...(nulls.length === 0 ? [] : [[nulls.join(" OR "), "null input"] as const]),
    ]);
    return await this.#ruled(`SELECT *, coalesce(${out}, 'used') AS __rule FROM ${this.#table}`, limit, signal);
  }

  /** The first of these rules that leaves a row out; rows that are not stored come between `time` and `value`. */
  #outside(
    time: readonly (readonly [condition: string, rule: RowRule])[],
    value: readonly (readonly [condition: string, rule: RowRule])[] = [],
  ): string {
    const { schedule } = timing(this.#view);
    const start = sliceRange(this.#view, toMicros(this.#view.start) + 1n)?.start ?? toMicros(this.#view.start);
    const { end } = this.#view;
    const rules: (readonly [condition: string, rule: RowRule])[] = [
      [`__event < ${start}`, "before start"],
      ...(end === undefined ? [] : [[`__event >= ${alignUp(toMicros(end), schedule)}`, "after end"] as const]),
      ...time,
      ...(this.#stored === undefined ? [] : [
        [`${this.#stored} = 'not materialized'`, "not materialized"] as const,
        [`${this.#stored} = 'late'`, "late"] as const,
      ]),
      ...value,
    ];
    return `CASE ${rules.map(([condition, rule]) => `WHEN ${condition} THEN '${rule}'`).join(" ")} END`;
  }

  async #ruled(sql: string, limit: number, signal: AbortSignal | undefined): Promise<RuledRows[]> {
    const rows = await this.#session.rows(
      `SELECT *, count(*) OVER (PARTITION BY __rule) AS __count, min(__effective) OVER (PARTITION BY __rule) AS __first, ` +
        `row_number() OVER (PARTITION BY __rule ORDER BY __event DESC, __tie) AS __place ` +
        `FROM (${sql}) QUALIFY __place <= greatest(${limit}, 1) ORDER BY __event DESC, __tie`,
      signal,
    );
    const byRule = new Map<RowRule, Row[]>();
    for (const row of rows) {
      const rule = row["__rule"] as RowRule;
      byRule.set(rule, [...byRule.get(rule) ?? [], row]);
    }
    return [...byRule].map(([rule, found]) => ({
      rule,
      count: Number(found[0]!["__count"]),
      effectiveFrom: BigInt(found[0]!["__first"]),
      rows: found.slice(0, limit).map((row) => ({
        time: BigInt(row["__event"]),
        written: row["__written"] === null ? undefined : BigInt(row["__written"]),
        effective: BigInt(row["__effective"]),
        values: Object.fromEntries([...this.#columns].map(([column, text]) => [text, row[column]])),
      })),
    }));
  }
}

/** Where the windows of a feature lie at an instant, as whole schedule intervals are known (S4, S5); the oldest first. */
export function windowsAt(view: ViewDefinition, feature: string, at: Micros): TimeRange[] {
  if (view.mode !== "aggregates") return [];
  const edges = windowEdges(view);
  const place = view.features.findIndex(({ name }) => name === feature);
  const { schedule } = timing(view);
  const spans = new Float64Array(2 * edges.spanCount);
  const end = view.end === undefined ? Infinity : Number(alignUp(toMicros(view.end), schedule));
  edges.spansAt(Number(at), Math.min(edges.visibleAt(Number(at)), end), spans);
  // A lifetime begins with the view.
  const start = sliceRange(view, toMicros(view.start) + 1n)?.start ?? toMicros(view.start);
  return edges.featureSpans[place]!.map((span) => {
    const lo = spans[2 * span]!;
    return { start: lo === -Infinity ? start : BigInt(lo), end: BigInt(spans[2 * span + 1]!) };
  });
}

/** The rows of the key with their times as micros; of equal times, `__tie` is 1 for the one that wins (S3). */
function rowsSql(view: ViewDefinition, relation: Relation, columns: readonly string[], isKey: string): string {
  const { schedule, dataDelay } = timing(view);
  const names = columns.map(quoteName);
  const written = view.writtenTimestamp === undefined
    ? "NULL::BIGINT"
    : `epoch_us(${quoteName(view.writtenTimestamp)}::TIMESTAMPTZ)`;
  const order = ["__written", ...(relation.position ? ["__position"] : []), ...names];
  const event = `epoch_us(${quoteName(view.eventTimestamp)}::TIMESTAMPTZ)`;
  return `SELECT *, row_number() OVER (PARTITION BY __event ORDER BY ${
    order.map((column) => `${column} DESC NULLS LAST`).join(", ")
  }) AS __tie FROM (SELECT ${event} AS __event, ${written} AS __written, ` +
    `epoch_us(${sliceColumn}) AS __slice_start, epoch_us(${sliceColumn}) + ${schedule + dataDelay} AS __effective, ` +
    `${relation.position ? "__position::BIGINT" : "NULL::BIGINT"} AS __position${
      names.map((name) => `, ${name}`).join("")
    } ` +
    `FROM (${relation.sql}) WHERE ${isKey} AND ${event} IS NOT NULL)`;
}

/** Whether a row is stored, as SQL: `late` where it was written after its slice was read. */
async function storedCondition(
  session: EngineSession,
  table: string,
  { stored, now }: { readonly stored: StoredSlices; readonly now: Micros },
  signal: AbortSignal | undefined,
): Promise<string> {
  const slices = (await session.rows(`SELECT DISTINCT __slice_start AS slice FROM ${table}`, signal)).map(({ slice }) =>
    BigInt(slice)
  );
  const missing = slices.filter((slice) => !stored.has(slice));
  const read = slices.flatMap((slice) => {
    const at = stored.get(slice);
    return at === undefined ? [] : [`WHEN ${slice} THEN __written > ${at} AND __written <= ${now}`];
  });
  return `CASE ${missing.length > 0 ? `WHEN __slice_start IN (${missing.join(", ")}) THEN 'not materialized' ` : ""}` +
    `WHEN ${read.length > 0 ? `CASE __slice_start ${read.join(" ")} ELSE false END` : "false"} THEN 'late' ELSE '' END`;
}

/** What an input of an aggregation is, in words. */
function inputText(query: Query, name: string): string | undefined {
  if (query.kind !== "select") return undefined;
  const found = query.columns.find((each) => each.name === name);
  return found && exprText(found.expr);
}
