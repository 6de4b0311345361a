/** Finds the sources of a query before it is compiled: local files, their physical columns, tables of memory data. */
import { statSync } from "node:fs";
import { VarveError } from "../errors.ts";
import { schemaOf } from "../frame/query_schema.ts";
import type { Schema } from "../schema.ts";
import type { FileSource, MemorySource, Query, ScanStep, SourceSpec, SqlStep } from "../frame/query.ts";
import type { DuckClient } from "./client.ts";
import { duckTypeOf, parseDuckType } from "./duck_type.ts";
import type { DuckType } from "./duck_type.ts";
import type { SharedDatabase } from "./duckdb_engine.ts";
import { quoteName, quoteText } from "./engine.ts";
import { expandPaths, isRemote } from "./files.ts";
import { checkGzip } from "./gzip.ts";
import { checkJsonArrays } from "./json_whole.ts";
import { statement } from "./query_sql.ts";
import { memoryTable } from "./memory.ts";
import { readerSql } from "./source_sql.ts";
import type { ResolvedSource } from "./source_sql.ts";

/** The sources of a query, and what its SQL gives. */
export interface FoundSources {
  readonly source: (spec: SourceSpec) => ResolvedSource;
  readonly result: (step: SqlStep) => ResolvedSource;
}

/** Resolves every source of a query. */
export async function findSources(
  query: Query,
  client: DuckClient,
  shared: SharedDatabase,
  signal?: AbortSignal,
): Promise<FoundSources> {
  const found = new Map<SourceSpec, ResolvedSource>();
  for (const step of scansOf(query)) {
    if (found.has(step.source)) continue;
    found.set(
      step.source,
      step.source.kind === "file"
        ? await fileSource(step.source, step, client, shared, signal)
        : await memorySource(step.source, step, client, shared),
    );
  }
  const results = new Map<SqlStep, ResolvedSource>();
  for (const step of stepsOf(query)) if (step.kind === "sql") results.set(step, await sqlResult(step, client, signal));
  return { source: (spec) => found.get(spec)!, result: (step) => results.get(step)! };
}

/** The scans of a query, inputs first. */
export function scansOf(query: Query): ScanStep[] {
  return stepsOf(query).filter((step) => step.kind === "scan");
}

/** Every step of a query, inputs first. */
function stepsOf(query: Query): Query[] {
  switch (query.kind) {
    case "scan":
      return [query];
    case "sql":
      return [...Object.values(query.inputs).flatMap(stepsOf), query];
    case "union":
      return [...query.inputs.flatMap(stepsOf), query];
    case "join":
    case "asOfJoin":
      return [...stepsOf(query.input), ...stepsOf(query.right), query];
    default:
      return [...stepsOf(query.input), query];
  }
}

async function sqlResult(step: SqlStep, client: DuckClient, signal?: AbortSignal): Promise<ResolvedSource> {
  const inputs = Object.entries(step.inputs).map(([name, input]) => emptyInput(name, schemaOf(input)));
  const label = "the result of SQL";
  const columns = await describe(`(${statement(inputs, step.sql)})`, client, label, signal);
  return { from: "", columns, label };
}

/** A common table expression that has the columns of a schema. */
export function emptyInput(name: string, schema: Schema): string {
  const columns = schema.map((field) => `CAST(NULL AS ${duckTypeOf(field.type)}) AS ${quoteName(field.name)}`);
  return `${quoteName(name)} AS (SELECT ${columns.join(", ")})`;
}

async function fileSource(
  source: FileSource,
  step: ScanStep,
  client: DuckClient,
  shared: SharedDatabase,
  signal?: AbortSignal,
): Promise<ResolvedSource> {
  const files: string[] = [];
  for (const path of source.paths) {
    files.push(...(isRemote(path) ? await remoteFiles(path, shared, signal) : expandPaths([path])));
  }
  const label = source.paths.map((path) => `"${path}"`).join(", ");
  const described = await describeFiles(source, files, label, step, client, signal);
  if (described.parquet && files.length > 1) {
    await shared.fileTypes.check(files, step.schema.map(({ name }) => name), client, signal).catch((error: unknown) => {
      throw namedError(error, label);
    });
  }
  // Options may make the columns depend on all files.
  if (!described.parquet || Object.keys(source.options ?? {}).length > 0) return described;
  return {
    ...described,
    fromWithin: (column, range) => {
      const some = shared.fileFacts.within(files, column, range);
      return some.length === files.length ? described.from : reader(source, some, step.schema, label);
    },
  };
}

/** The physical columns of files; errors name them. */
export async function describeFiles(
  source: FileSource,
  files: readonly string[],
  label: string,
  step: Pick<ScanStep, "schema">,
  client: DuckClient,
  signal?: AbortSignal,
): Promise<ResolvedSource> {
  for (const file of files) {
    if (statSync(file).size === 0) {
      throw new VarveError("CORRUPT", `Cannot read "${file}": the file is empty`, { details: { path: file } });
    }
  }
  if (source.format !== "parquet") await checkGzip(files, signal);
  if (source.format === "json") checkJsonArrays(files);
  const from = reader(source, files, step.schema.length > 0 ? step.schema : undefined, label);
  const columns = await describe(from, client, label, signal);
  const position = source.format === "parquet"
    ? columns.has("file_index") || columns.has("file_row_number")
      ? undefined
      : "(file_index::BIGINT * 1099511627776 + file_row_number)"
    : "row_number() OVER ()";
  return {
    from,
    columns,
    label,
    ...(position === undefined ? {} : { position }),
    ...(source.format === "parquet" ? { parquet: files } : {}),
  };
}

function reader(source: FileSource, files: readonly string[], schema: Schema | undefined, label: string): string {
  try {
    return readerSql(source, files, schema);
  } catch (error) {
    throw namedError(error, label);
  }
}

async function describe(
  from: string,
  client: DuckClient,
  label: string,
  signal?: AbortSignal,
): Promise<Map<string, DuckType>> {
  try {
    const { columns, chunks } = await client.stream(`SELECT * FROM ${from} LIMIT 0`, signal);
    await chunks.return();
    return new Map(columns.map((column) => [column.name, parseDuckType(column.type)]));
  } catch (error) {
    throw namedError(error, label);
  }
}

/** The error of a source, with the source's name if the engine did not say it. */
export function namedError(error: unknown, label: string): unknown {
  if (!(error instanceof VarveError) || error.code === "CANCELLED" || error.code === "TIMEOUT") return error;
  const code = error.code === "INVALID_REQUEST" || error.code === "INVALID_DEFINITION" ? "SCHEMA_MISMATCH" : error.code;
  const message = error.message.includes(label) ? error.message : `Cannot read ${label}: ${error.message}`;
  return new VarveError(code, message, {
    cause: error.cause,
    details: { ...error.details, source: label },
  });
}

async function remoteFiles(path: string, shared: SharedDatabase, signal?: AbortSignal): Promise<readonly string[]> {
  if (!shared.options.resolve) {
    throw new VarveError(
      "UNSUPPORTED",
      `Cannot read "${path}": no object store is configured for it; connect with { storage: "s3://…" } or give a local path`,
    );
  }
  const files = await shared.options.resolve(path, signal);
  if (files.length === 0) throw new VarveError("NOT_FOUND", `Cannot read "${path}": no object matches`);
  return files;
}

async function memorySource(
  source: MemorySource,
  step: ScanStep,
  client: DuckClient,
  shared: SharedDatabase,
): Promise<ResolvedSource> {
  const table = await memoryTable(source, shared);
  const label = `memory source ${source.id.slice(0, 12)}`;
  if (table !== undefined) {
    return {
      from: quoteName(table),
      columns: await describe(quoteName(table), client, label),
      position: "rowid",
      label,
    };
  }
  if (!shared.options.memory) {
    throw new VarveError(
      "NOT_FOUND",
      `Cannot read ${label}: its data is not in this process; make the frame again, or publish it`,
    );
  }
  const path = await shared.options.memory(source.id);
  const file: FileSource = { kind: "file", format: "parquet", paths: [path] };
  return await describeFiles(file, [path], quoteText(path), step, client);
}
