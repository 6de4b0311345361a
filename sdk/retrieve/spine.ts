/** Spines: the keys and times that are asked for, in any form a user has them, checked and loaded into the engine. */
import { resolve } from "node:path";
import { type EngineSession, quoteName, quoteText, type Relation } from "../engine/engine.ts";
import { type Issue, throwIssues, VarveError } from "../errors.ts";
import type { Query } from "../frame/query.ts";
import { frameRuntime } from "../frame/runtime.ts";
import {
  columnNames,
  type DataType,
  type Field,
  findField,
  formatType,
  isNumericType,
  type Row,
  sameType,
  type Schema,
} from "../schema.ts";
import { type AnyRead, lookupColumns } from "./feature_read.ts";
import { addedColumns, type PointInTimeOptions } from "./point_in_time.ts";
import { temporaryName } from "./positions.ts";
import { requestFieldsOfReads } from "./request_fields.ts";
import { rowColumn, type SpineTable } from "./spine_table.ts";

/**
 * Rows of keys and times: a frame, a nodejs-polars DataFrame, an Arrow table, plain rows, or the path of a Parquet file.
 * Other columns are kept.
 */
export type SpineInput = { readonly query: Query } | readonly Row[] | string | object;

/** How a spine is read. */
export interface SpineOptions {
  /** The column with the time that each row asks for. @default the only timestamp column */
  readonly eventTimestamp?: string | undefined;
  /** Types of plain rows that cannot tell them themselves, such as a column of nulls. */
  readonly schema?: Schema | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Loads a spine into a temporary table and checks that it fits the reads; every problem is told at once. */
export async function loadSpine(
  session: EngineSession,
  input: SpineInput,
  reads: readonly AnyRead[],
  options: SpineOptions & Pick<PointInTimeOptions, "statuses" | "effectiveTimestamps">,
): Promise<SpineTable> {
  const relation = await spineRelation(session, input, options);
  const issues: Issue[] = [];
  const eventTimestamp = timestampColumn(relation.schema, options.eventTimestamp, issues);
  issues.push(
    ...keyIssues(relation.schema, reads),
    ...requestFieldIssues(relation.schema, reads),
    ...nameIssues(relation.schema, reads, options),
  );
  throwIssues("Cannot use the spine", issues, "INVALID_REQUEST");
  const table = temporaryName("spine");
  const columns = relation.schema.map((field) => quoteName(field.name)).join(", ");
  await session.run(
    `CREATE TEMP TABLE ${table} AS SELECT (row_number() OVER () - 1)::INTEGER AS ${rowColumn}, ${columns} FROM (${relation.sql})`,
    options.signal,
  );
  const rows = await countRows(session, table, eventTimestamp!, options.signal);
  return { table, schema: relation.schema, rows, eventTimestamp: eventTimestamp! };
}

async function spineRelation(session: EngineSession, input: SpineInput, options: SpineOptions): Promise<Relation> {
  if (typeof input === "string") {
    const source = {
      kind: "file",
      format: "parquet",
      paths: [/^\w+:\/\//.test(input) ? input : resolve(input)],
    } as const;
    return await session.compile(
      { kind: "scan", source, schema: frameRuntime().fileSchema(source) },
      {},
      options.signal,
    );
  }
  if (Array.isArray(input) && input.length === 0) throw noRows();
  const query = (input as { readonly query?: Query }).query;
  if (typeof query === "object" && typeof query.kind === "string") {
    return await session.compile(query, {}, options.signal);
  }
  return await session.table(temporaryName("rows"), input, options.schema);
}

function timestampColumn(schema: Schema, wanted: string | undefined, issues: Issue[]): string | undefined {
  const candidates = schema.filter((field) => field.type === "timestamp").map((field) => field.name);
  if (wanted !== undefined) {
    const field = findField(schema, wanted);
    if (field?.type === "timestamp") return wanted;
    const state = field
      ? `column "${wanted}" is ${formatType(field.type)}, not timestamp`
      : `there is no column "${wanted}"`;
    issues.push({
      path: "eventTimestamp",
      message: `${state}; timestamp columns are ${candidates.join(", ") || "none"}`,
    });
    return undefined;
  }
  if (candidates.length === 1) return candidates[0];
  issues.push({
    path: "eventTimestamp",
    message: candidates.length === 0
      ? `no column is a timestamp; columns are ${
        schema.map((field) => `${field.name} ${formatType(field.type)}`).join(", ") || "none"
      }; give Dates or Timestamps, or cast one, as in derive({ time: col("time").cast("timestamp") })`
      : `several columns are timestamps: say which of ${candidates.join(", ")} by eventTimestamp`,
  });
  return undefined;
}

function keyIssues(schema: Schema, reads: readonly AnyRead[]): Issue[] {
  const issues = new Map<string, Issue>();
  for (const read of reads) {
    for (const key of lookupColumns(read)) {
      const field = findField(schema, key.name);
      const path = `join key "${key.name}"`;
      if (!field) {
        const rename = `columns are ${columnNames(schema).join(", ")}; rename one, or map the key`;
        issues.set(key.name, {
          path,
          message: `view "${read.alias}" needs it and the spine has no such column; ${rename}`,
        });
      } else if (!isKeyOf(field.type, key.type)) {
        issues.set(key.name, {
          path,
          message: `it is ${formatType(field.type)} and view "${read.alias}" has ${formatType(key.type)}; cast it`,
        });
      }
    }
  }
  return [...issues.values()];
}

/** The spine's columns give the fields of a request, in any type whose values a request could give. */
function requestFieldIssues(schema: Schema, reads: readonly AnyRead[]): Issue[] {
  return requestFieldsOfReads(reads).flatMap(({ name, type }) => {
    const field = findField(schema, name);
    if (field && isFieldOf(field.type, type)) return [];
    const path = `request field "${name}"`;
    const columns = columnNames(schema).join(", ");
    return [{
      path,
      message: field
        ? `the spine has it as ${formatType(field.type)}, requests give ${formatType(type)}; cast it`
        : `the spine has no such column of type ${formatType(type)}; columns are ${columns}; rename one`,
    }];
  });
}

/** Whole numbers are given for numbers with a fraction, and for whole numbers of any width. */
function isFieldOf(type: DataType, field: DataType): boolean {
  if (isKeyOf(type, field)) return true;
  return field === "float64" && isNumericType(type);
}

/** Integers of both widths hold equal values; nothing else does. */
function isKeyOf(type: DataType, key: DataType): boolean {
  const isInteger = (t: DataType) => t === "int32" || t === "int64";
  return sameType(type, key) || (isInteger(type) && isInteger(key));
}

/** Every column of the result needs a name of its own. The engine compares names without regard to case. */
function nameIssues(
  schema: Schema,
  reads: readonly AnyRead[],
  options: Pick<PointInTimeOptions, "statuses" | "effectiveTimestamps">,
): Issue[] {
  const issues: Issue[] = [];
  const owners = new Map<string, string>([[rowColumn, "varve itself"]]);
  const claim = (field: Field, owner: string, wayOut: string) => {
    const name = field.name.toLowerCase();
    const other = owners.get(name);
    if (other === undefined) owners.set(name, owner);
    else issues.push({ path: `column "${field.name}"`, message: `${owner} and ${other} both have it; ${wayOut}` });
  };
  for (const field of schema) claim(field, "the spine", "rename it in the spine");
  for (const read of reads) {
    for (const field of addedColumns(read, options)) {
      claim(field, `view "${read.alias}"`, "rename the feature, or drop the spine's column");
    }
  }
  return issues;
}

async function countRows(
  session: EngineSession,
  table: string,
  eventTimestamp: string,
  signal?: AbortSignal,
): Promise<number> {
  const time = quoteName(eventTimestamp);
  const [row] = await session.rows(
    `SELECT count(*)::DOUBLE AS n, (count(*) - count(${time}))::DOUBLE AS nulls, ` +
      `min(CASE WHEN ${time} IS NULL THEN ${rowColumn} END)::DOUBLE AS first, ` +
      `(count(*) FILTER (NOT isfinite(${time})))::DOUBLE AS endless FROM ${table}`,
    signal,
  );
  const rows = Number(row!["n"]);
  if (rows === 0) throw noRows();
  const issues: Issue[] = [];
  const path = `column ${quoteText(eventTimestamp)}`;
  if (Number(row!["nulls"]) > 0) {
    issues.push({
      path,
      message: `${row!["nulls"]} of ${rows} rows have no time, the first is row ${row!["first"]}; filter them out`,
    });
  }
  if (Number(row!["endless"]) > 0) {
    issues.push({ path, message: `${row!["endless"]} of ${rows} rows have an infinite time; filter them out` });
  }
  throwIssues("Cannot use the spine", issues, "INVALID_REQUEST");
  return rows;
}

function noRows(): VarveError {
  return new VarveError(
    "INVALID_REQUEST",
    "Cannot use the spine: it has no rows; give at least one row of keys and a time",
  );
}
