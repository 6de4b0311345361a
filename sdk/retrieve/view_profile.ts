/** The profile of a view: what each feature holds, over time and by entity. */
import { checkOptions, type OptionNames, VarveError } from "../errors.ts";
import type { ViewDefinition } from "../define/definitions.ts";
import {
  type FeatureProfile,
  type ProfileEntity,
  type ProfileInterval,
  type ProfileOptions,
  ViewProfile,
} from "../define/view_profile.ts";
import { type Engine, type EngineSession, quoteName } from "../engine/engine.ts";
import type { Row } from "../schema.ts";
import type { DeltaTable } from "../storage/delta_format.ts";
import { durationToMicros, formatDuration, type Micros, Timestamp, toMicros } from "../time.ts";
import { columnProfiles, inGroups, numberSql, type ProfiledColumn } from "./column_stats.ts";
import type { DefinedView } from "./feature_read.ts";
import { atColumn, keyColumn, type ProfiledRows, profiledRows } from "./profile_rows.ts";

const profileOptions: OptionNames<ProfileOptions> = {
  features: true,
  start: true,
  end: true,
  every: true,
  entities: true,
  maxRows: true,
  signal: true,
};

/** Looks at the table of a view version, or at its source when there is none. */
export async function viewProfile(
  engine: Engine,
  view: DefinedView,
  table: DeltaTable | undefined,
  { now, ...options }: ProfileOptions & { readonly now: Micros },
): Promise<ViewProfile> {
  const { definition } = view;
  checkOptions(`Cannot profile view "${definition.name}"`, options, profileOptions);
  const { signal } = options;
  const features = checkedFeatures(definition, options.features);
  const entities = wholeNumber("entities", options.entities ?? 10, 0);
  const maxRows = wholeNumber("maxRows", options.maxRows ?? 200_000, 1);
  const session = await engine.session();
  try {
    const found = await profiledRows(session, view, table, {
      features,
      start: options.start === undefined ? undefined : toMicros(options.start),
      end: options.end === undefined ? now : toMicros(options.end),
      every: options.every === undefined ? undefined : durationToMicros(options.every, "every"),
      entities,
      maxRows,
      signal,
    });
    const sampled = `(SELECT * FROM ${found.table} WHERE ${found.sampled})`;
    const columns = await columnProfiles(session, sampled, found.columns, signal);
    const [range] = await session.rows(
      `SELECT count(*)::DOUBLE AS n, min(${atColumn})::VARCHAR AS first, max(${atColumn})::VARCHAR AS last FROM ${sampled}`,
      signal,
    );
    const times = await overTime(session, sampled, found, signal);
    const keys = await byEntity(session, found, definition, signal);
    const { first, last } = range as { first: string | null; last: string | null };
    return new ViewProfile({
      view: definition.name,
      version: table ? view.version : undefined,
      of: definition.mode === "attributes" ? "rows" : "windows",
      entity: definition.entity.name,
      range: first === null || last === null
        ? undefined
        : Object.freeze({ start: new Timestamp(BigInt(first)), end: new Timestamp(BigInt(last)) }),
      every: formatDuration(found.every),
      rowCount: found.rowCount,
      rowsRead: Number(range!["n"]),
      keys: found.keys,
      features: columns.map((column, i): FeatureProfile => ({ ...column, overTime: times[i]!, byEntity: keys[i]! })),
    });
  } finally {
    session.close();
  }
}

function checkedFeatures(definition: ViewDefinition, wanted: readonly string[] | undefined): string[] {
  const names = definition.features.map(({ name }) => name);
  const unknown = wanted?.find((name) => !names.includes(name));
  if (unknown === undefined) return [...new Set(wanted ?? names)];
  throw new VarveError(
    "INVALID_REQUEST",
    `Cannot profile feature ${JSON.stringify(unknown)} of view "${definition.name}": features are ${names.join(", ")}`,
  );
}

function wholeNumber(what: string, value: number, least: number): number {
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new VarveError(
    "INVALID_REQUEST",
    `Cannot profile with ${what} ${value}: it is a whole number from ${least} on`,
  );
}

/** By column, then by interval. */
export async function overTime(
  session: EngineSession,
  from: string,
  { columns, every }: Pick<ProfiledRows, "columns" | "every">,
  signal: AbortSignal | undefined,
): Promise<ProfileInterval[][]> {
  const at = `${atColumn} - ((${atColumn} % ${every}) + ${every}) % ${every}`;
  const found: ProfileInterval[][] = [];
  for (const group of inGroups(columns)) {
    const selected = group.flatMap((column, i) => {
      const number = numberSql(column);
      return [
        ...meanSql(column, i),
        ...(number === undefined || column.type === "boolean"
          ? []
          : [`quantile_cont(${number}, [0.1, 0.5, 0.9]) AS quantiles${i}`]),
      ];
    });
    const rows = await session.rows(
      `SELECT (${at})::VARCHAR AS at, count(*)::DOUBLE AS n, ${
        selected.join(", ")
      } FROM ${from} GROUP BY 1 ORDER BY min(${atColumn})`,
      signal,
    );
    for (const i of group.keys()) {
      found.push(rows.map((row): ProfileInterval => {
        const [p10 = null, p50 = null, p90 = null] = (row[`quantiles${i}`] ?? []) as number[];
        return { at: new Timestamp(BigInt(row["at"])), rows: Number(row["n"]), ...meanOf(row, i), p10, p50, p90 };
      }));
    }
  }
  return found;
}

function meanSql(column: ProfiledColumn, i: number): string[] {
  const number = numberSql(column);
  return [
    `count(${quoteName(column.column)})::DOUBLE AS count${i}`,
    ...(number === undefined ? [] : [`avg(${number}) AS mean${i}`]),
  ];
}

function meanOf(row: Row, i: number): { nullShare: number; mean: number | null } {
  const rows = Number(row["seen"] ?? row["n"]);
  return {
    nullShare: rows === 0 ? 0 : 1 - Number(row[`count${i}`]) / rows,
    mean: (row[`mean${i}`] ?? null) as number | null,
  };
}

/** By column, then by entity. */
async function byEntity(
  session: EngineSession,
  { table, topKeys, columns }: ProfiledRows,
  { entity }: ViewDefinition,
  signal: AbortSignal | undefined,
): Promise<ProfileEntity[][]> {
  const keys = entity.joinKeys.map((_, i) => keyColumn(i));
  const names = entity.joinKeys.map(({ name }) => name);
  const found: ProfileEntity[][] = [];
  for (const group of inGroups(columns, 200)) {
    const rows = await session.rows(
      `SELECT ${keys.map((key) => `t.${key}`).join(", ")}, t.n, count(r.${atColumn})::DOUBLE AS seen, ${
        group.flatMap(meanSql).join(", ")
      } FROM ${topKeys} t LEFT JOIN ${table} r ON ${keys.map((key) => `t.${key} = r.${key}`).join(" AND ")} ` +
        `GROUP BY ALL ORDER BY t.n DESC, ${keys.map((key) => `t.${key}`).join(", ")}`,
      signal,
    );
    for (const i of group.keys()) {
      found.push(rows.map((row): ProfileEntity => ({
        key: Object.fromEntries(names.map((name, k) => [name, row[keys[k]!]])),
        rows: Number(row["n"]),
        ...meanOf(row, i),
      })));
    }
  }
  return found;
}
