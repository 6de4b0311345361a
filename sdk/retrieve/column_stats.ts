/** What columns of a temporary table hold. A few columns at a time, so that many need no more memory than a few. */
import { type EngineSession, quoteName } from "../engine/engine.ts";
import type { ColumnProfile, ProfileBin, ProfileQuantiles, ProfileValue } from "../frame/column_profile.ts";
import {
  type DataType,
  type Field,
  formatType,
  isFloatType,
  isListType,
  isNumericType,
  isStructType,
} from "../schema.ts";
import { temporaryName } from "./positions.ts";

/** A column of the table, and the feature that it holds. */
export interface ProfiledColumn extends Field {
  /** The column. */
  readonly column: string;
}

/** Columns of one statement: exact quantiles and distinct values hold what they count. */
export const columnsAtOnce = 16;
const binCount = 16;
const valueCount = 10;

/** The columns in groups that are looked at together. */
export function inGroups<T>(columns: readonly T[], size = columnsAtOnce): T[][] {
  const groups: T[][] = [];
  for (let i = 0; i < columns.length; i += size) groups.push(columns.slice(i, i + size));
  return groups;
}

/** A column as a number that means something as a number; undefined where none does. */
export function numberSql({ column, type }: ProfiledColumn): string | undefined {
  const name = quoteName(column);
  if (type === "boolean") return `${name}::INTEGER::DOUBLE`;
  if (isFloatType(type)) return `CASE WHEN isfinite(${name}) THEN ${name}::DOUBLE END`;
  return isNumericType(type) ? `${name}::DOUBLE` : undefined;
}

/** A number as SQL reads it back to the last bit. */
export function doubleSql(value: number): string {
  return `'${value}'::DOUBLE`;
}

/** Profiles of columns, in their order. */
export async function columnProfiles(
  session: EngineSession,
  table: string,
  columns: readonly ProfiledColumn[],
  signal?: AbortSignal,
): Promise<ColumnProfile[]> {
  const profiles: ColumnProfile[] = [];
  for (const group of inGroups(columns)) profiles.push(...await groupProfiles(session, table, group, signal));
  return profiles;
}

type Basics = Omit<ColumnProfile, "bins" | "values"> & { readonly ends: readonly [lo: number, hi: number] | undefined };

async function groupProfiles(
  session: EngineSession,
  table: string,
  columns: readonly ProfiledColumn[],
  signal: AbortSignal | undefined,
): Promise<ColumnProfile[]> {
  const selected = columns.flatMap(statsSql);
  const [row] = await session.rows(`SELECT count(*)::DOUBLE AS n, ${selected.join(", ")} FROM ${table}`, signal);
  const basics = columns.map((column, i) => basicsOf(column, i, row!));
  const bins = await binsOf(session, table, columns, basics, signal);
  const values = await valuesOf(session, table, columns, basics, signal);
  return basics.map(({ ends: _, ...rest }, i) => ({ ...rest, bins: bins.get(i) ?? [], values: values.get(i) ?? [] }));
}

function isComparable(type: DataType): boolean {
  return !isListType(type) && !isStructType(type) && type !== "binary";
}

function statsSql(column: ProfiledColumn, i: number): string[] {
  const name = quoteName(column.column);
  const number = numberSql(column);
  // NaN would be the greatest of all.
  const compared = isFloatType(column.type) ? number! : name;
  return [
    `count(${name})::DOUBLE AS count${i}`,
    ...(isComparable(column.type)
      ? [
        `count(DISTINCT ${name})::DOUBLE AS distinct${i}`,
        `min(${compared}) AS min${i}`,
        `max(${compared}) AS max${i}`,
      ]
      : []),
    ...(number === undefined ? [] : [
      `count(${number})::DOUBLE AS finite${i}`,
      `avg(${number}) AS mean${i}`,
      ...(column.type === "boolean" ? [] : [
        `quantile_cont(${number}, [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]) AS quantiles${i}`,
      ]),
    ]),
  ];
}

function basicsOf({ name, type }: ProfiledColumn, i: number, row: Record<string, unknown>): Basics {
  const rows = Number(row["n"]);
  const count = Number(row[`count${i}`]);
  const found = (row[`quantiles${i}`] ?? undefined) as number[] | undefined;
  const [lo, p05, p25, p50, p75, p95, hi] = found ?? [];
  const [min, max] = [row[`min${i}`] ?? null, row[`max${i}`] ?? null];
  return {
    feature: name,
    type: formatType(type),
    rows,
    nulls: rows - count,
    nullShare: rows === 0 ? 0 : (rows - count) / rows,
    notFinite: row[`finite${i}`] === undefined ? 0 : count - Number(row[`finite${i}`]),
    distinct: isComparable(type) ? Number(row[`distinct${i}`]) : null,
    min,
    max,
    mean: (row[`mean${i}`] ?? null) as number | null,
    quantiles: found ? { p05, p25, p50, p75, p95 } as ProfileQuantiles : null,
    // Of a number that is nearly always the same, what is not is all there is to see.
    ends: found ? (hi! > lo! ? [lo!, hi!] : [Number(min), Number(max)]) : undefined,
  };
}

async function binsOf(
  session: EngineSession,
  table: string,
  columns: readonly ProfiledColumn[],
  basics: readonly Basics[],
  signal: AbortSignal | undefined,
): Promise<Map<number, ProfileBin[]>> {
  const found = new Map<number, ProfileBin[]>();
  const parts = columns.flatMap((column, i) => {
    const { ends, min, max } = basics[i]!;
    if (!ends) return [];
    const [lo, hi] = ends;
    // A few whole numbers have a bin each. Half of each end, as the difference of the two may be beyond any number.
    const isFew = !isFloatType(column.type) && hi - lo < binCount;
    const last = isFew ? Math.max(0, Math.round(hi - lo)) : binCount - 1;
    const width = isFew ? 1 : 2 * (hi / 2 / binCount - lo / 2 / binCount);
    if (!(width > 0) || !Number.isFinite(width)) {
      found.set(i, [{ from: Number(min), to: Number(max), rows: basics[i]!.rows - basics[i]!.nulls }]);
      return [];
    }
    found.set(i, binEdges(lo, width, last, Number(min), Number(max)));
    const place = `floor((x - ${doubleSql(lo)}) / ${doubleSql(width)})`;
    return [
      `SELECT ${i} AS c, greatest(0, least(${last}, ${place}))::INTEGER AS bin, count(*)::DOUBLE AS n ` +
      `FROM (SELECT ${numberSql(column)} AS x FROM ${table}) WHERE x IS NOT NULL GROUP BY bin`,
    ];
  });
  if (parts.length === 0) return found;
  for (const { c, bin, n } of await session.rows(parts.join(" UNION ALL "), signal)) {
    const bins = found.get(Number(c))!;
    bins[Number(bin)] = { ...bins[Number(bin)]!, rows: Number(n) };
  }
  return found;
}

function binEdges(lo: number, width: number, last: number, min: number, max: number): ProfileBin[] {
  return Array.from({ length: last + 1 }, (_, i) => ({
    from: i === 0 ? min : lo + i * width,
    to: i === last ? Math.max(max, lo + i * width) : lo + (i + 1) * width,
    rows: 0,
  }));
}

async function valuesOf(
  session: EngineSession,
  table: string,
  columns: readonly ProfiledColumn[],
  basics: readonly Basics[],
  signal: AbortSignal | undefined,
): Promise<Map<number, ProfileValue[]>> {
  const found = new Map<number, ProfileValue[]>();
  const parts = columns.flatMap(({ column, type }, i) => {
    const isWhole = type === "int32" || type === "int64";
    if (!(type === "string" || type === "boolean" || (isWhole && basics[i]!.distinct! <= binCount))) return [];
    const name = quoteName(column);
    return [
      `(SELECT ${i} AS c, ${name}::VARCHAR AS v, count(*)::DOUBLE AS n FROM ${table} WHERE ${name} IS NOT NULL ` +
      `GROUP BY ${name} ORDER BY n DESC, v LIMIT ${valueCount})`,
    ];
  });
  if (parts.length === 0) return found;
  const rows = await session.rows(`SELECT * FROM (${parts.join(" UNION ALL ")}) ORDER BY c, n DESC, v`, signal);
  for (const { c, v, n } of rows) {
    const list = found.get(Number(c)) ?? [];
    found.set(Number(c), list);
    list.push({ value: String(v), rows: Number(n) });
  }
  return found;
}

/** Some rows of a relation as a temporary table; of more than `maxRows`, a share that is the same in every run. */
export async function sampleTable(
  session: EngineSession,
  { select, from, by, rows, maxRows }: {
    /** Columns, as SQL. */
    readonly select: readonly string[];
    /** What follows FROM. */
    readonly from: string;
    /** What tells rows apart, as SQL. */
    readonly by: readonly string[];
    /** How many there are. */
    readonly rows: number;
    readonly maxRows: number;
  },
  signal?: AbortSignal,
): Promise<string> {
  const table = temporaryName("profile");
  const where = rows > maxRows ? ` WHERE hash(${by.join(", ")}) % ${rows}::UBIGINT < ${maxRows}` : "";
  await session.run(`CREATE TEMP TABLE ${table} AS SELECT ${select.join(", ")} FROM ${from}${where}`, signal);
  return table;
}
