/** How columns of a table go with its label. */
import { type EngineSession, quoteName } from "../engine/engine.ts";
import type { ColumnProfile } from "../frame/column_profile.ts";
import { doubleSql, numberSql, type ProfiledColumn } from "./column_stats.ts";
import type { LabelFeature, LabelPart } from "./label_profile.ts";

const maxTexts = 50;
const shownParts = 20;

/** The column of the label, as a number. */
export const label = "__varve_label";

/** The rows, in a table with a column {@link label}. */
export interface LabelContext {
  readonly session: EngineSession;
  /** The rows that have a label. */
  readonly table: string;
  readonly rows: number;
  readonly isBoolean: boolean;
  /** The least and the greatest label. */
  readonly lo: number;
  readonly hi: number;
  readonly signal?: AbortSignal | undefined;
}

interface LabelColumn {
  readonly column: ProfiledColumn;
  readonly profile: ColumnProfile;
}

/** Texts of few values are as high as the mean label of each. */
function isText({ column, profile }: LabelColumn): boolean {
  return column.type === "string" && profile.distinct! > 0 && profile.distinct! <= maxTexts;
}

const nothing = { strength: null, direction: undefined } as const;

/** Area under the ROC curve: of all pairs of a row that is true and one that is not, how many the feature puts in order. */
export async function areas(
  { session, table, signal }: LabelContext,
  group: readonly LabelColumn[],
): Promise<Pick<LabelFeature, "strength" | "direction">[]> {
  const parts = group.flatMap((each, i) => {
    const text = isText(each);
    const value = text ? quoteName(each.column.column) : numberSql(each.column);
    if (value === undefined) return [];
    const counted = `SELECT ${text ? "avg(y)" : "v"} AS x, count(*)::DOUBLE AS n, sum(y) AS p ` +
      `FROM (SELECT ${value} AS v, ${label} AS y FROM ${table}) WHERE v IS NOT NULL GROUP BY v`;
    const ranked =
      `SELECT n, p, sum(n - p) OVER (ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS below FROM (${counted})`;
    return [
      `SELECT ${i} AS c, sum(p * (coalesce(below, 0) + (n - p) / 2)) AS above, sum(p) AS p, sum(n - p) AS q FROM (${ranked})`,
    ];
  });
  const found = group.map((): Pick<LabelFeature, "strength" | "direction"> => nothing);
  if (parts.length === 0) return found;
  for (const { c, above, p, q } of await session.rows(parts.join(" UNION ALL "), signal)) {
    if (!(p > 0 && q > 0)) continue;
    const area = above / (p * q);
    found[Number(c)] = {
      strength: Math.max(area, 1 - area),
      direction: isText(group[Number(c)]!) ? undefined : area >= 0.5 ? "up" : "down",
    };
  }
  return found;
}

/** Pearson's correlation; of texts, how much of the label the mean of each value tells. */
export async function correlations(
  { session, table, lo, hi, signal }: LabelContext,
  group: readonly LabelColumn[],
): Promise<Pick<LabelFeature, "strength" | "direction">[]> {
  const found = group.map((): Pick<LabelFeature, "strength" | "direction"> => nothing);
  if (!(hi > lo)) return found;
  const y = scaled(label, lo, hi);
  const parts = group.flatMap((each, i) => {
    if (isText(each)) {
      // The share of the label's variance that lies between the values.
      const text = quoteName(each.column.column);
      const grouped =
        `SELECT count(*)::DOUBLE AS n, avg(${y}) AS m, sum(${y}) AS s, sum(${y} * ${y}) AS q FROM ${table} WHERE ${text} IS NOT NULL GROUP BY ${text}`;
      const all = "sum(s) * sum(s) / sum(n)";
      return [
        `SELECT ${i} AS c, CASE WHEN sum(q) > ${all} THEN sqrt(greatest(0, (sum(n * m * m) - ${all}) / (sum(q) - ${all}))) END AS r FROM (${grouped})`,
      ];
    }
    const number = numberSql(each.column);
    const { min, max } = each.profile;
    const [from, to] = [Number(min), Number(max)];
    if (number === undefined || !(to > from)) return [];
    return [`SELECT ${i} AS c, corr(${scaled(number, from, to)}, ${y}) AS r FROM ${table}`];
  });
  if (parts.length === 0) return found;
  for (const { c, r } of await session.rows(parts.join(" UNION ALL "), signal)) {
    if (r === null || Number.isNaN(r)) continue;
    found[Number(c)] = {
      strength: Math.min(1, Math.abs(r)),
      direction: isText(group[Number(c)]!) ? undefined : r >= 0 ? "up" : "down",
    };
  }
  return found;
}

/** Between 0 and 1: squares of great numbers would be beyond any. */
function scaled(sql: string, lo: number, hi: number): string {
  return `((${sql}) / 2 - ${doubleSql(lo / 2)}) / ${doubleSql(hi / 2 - lo / 2)}`;
}

/** The feature where the label is false, and where it is true. */
export async function means(
  { session, table, signal }: LabelContext,
  group: readonly LabelColumn[],
): Promise<LabelFeature["byLabel"][]> {
  const selected = group.flatMap(({ column }, i) => {
    const number = numberSql(column);
    return [
      `count(${quoteName(column.column)})::DOUBLE AS count${i}`,
      ...(number === undefined ? [] : [`avg(${number}) AS mean${i}`]),
    ];
  });
  const rows = await session.rows(
    `SELECT ${label} > 0 AS label, count(*)::DOUBLE AS n, ${selected.join(", ")} FROM ${table} GROUP BY 1 ORDER BY 1`,
    signal,
  );
  return group.map((_, i) =>
    rows.map((row) => ({
      label: Boolean(row["label"]),
      mean: (row[`mean${i}`] ?? null) as number | null,
      nullShare: 1 - Number(row[`count${i}`]) / Number(row["n"]),
    }))
  );
}

/** Tenths of the values of a number, or single values where they are few; then the rows without one. */
export async function partsOf(
  { session, table, signal }: LabelContext,
  group: readonly LabelColumn[],
): Promise<LabelPart[][]> {
  const number = group.map(({ column, profile }) =>
    profile.distinct !== null && profile.distinct > shownParts && column.type !== "string"
      ? numberSql(column)
      : undefined
  );
  const edges = await tenths(session, table, number, signal);
  const parts = group.flatMap(({ column, profile }, i) => {
    const name = quoteName(column.column);
    const nulls =
      `SELECT ${i} AS c, 1000 AS place, NULL AS lo, NULL AS hi, count(*)::DOUBLE AS n, avg(${label}) AS mean FROM ${table} WHERE ${name} IS NULL HAVING count(*) > 0`;
    if (edges[i]) {
      const place = edges[i]!.map((edge) => `(x >= ${doubleSql(edge)})::INTEGER`).join(" + ") || "0";
      return [
        `SELECT ${i} AS c, place, min(x)::VARCHAR AS lo, max(x)::VARCHAR AS hi, count(*)::DOUBLE AS n, avg(y) AS mean FROM ` +
        `(SELECT x, y, ${place} AS place FROM (SELECT ${
          number[i]
        } AS x, ${label} AS y FROM ${table}) WHERE x IS NOT NULL) GROUP BY place`,
        nulls,
      ];
    }
    if (profile.distinct === null) return [nulls];
    const byCount = profile.distinct > shownParts;
    return [
      `(SELECT ${i} AS c, row_number() OVER (ORDER BY ${
        byCount ? "n DESC, lo" : "v"
      }) AS place, lo, lo AS hi, n, mean FROM ` +
      `(SELECT ${name} AS v, ${name}::VARCHAR AS lo, count(*)::DOUBLE AS n, avg(${label}) AS mean FROM ${table} WHERE ${name} IS NOT NULL ` +
      `GROUP BY ${name}) ORDER BY place LIMIT ${shownParts})`,
      nulls,
    ];
  });
  const found = group.map((): LabelPart[] => []);
  for (
    const { c, lo, hi, n, mean } of await session.rows(
      `SELECT * FROM (${parts.join(" UNION ALL ")}) ORDER BY c, place`,
      signal,
    )
  ) {
    const value = lo === null ? "null" : lo === hi ? shortText(lo) : `${shortText(lo)} – ${shortText(hi)}`;
    found[Number(c)]!.push({ value, rows: Number(n), labelMean: (mean ?? null) as number | null });
  }
  return found;
}

/** Numbers with the digits that matter. */
function shortText(text: string): string {
  const value = Number(text);
  return text.trim() === "" || !Number.isFinite(value) ? text : String(Number(value.toPrecision(4)));
}

/** Inner edges of ten parts with about as many rows each, without those that are the same. */
async function tenths(
  session: EngineSession,
  table: string,
  numbers: readonly (string | undefined)[],
  signal: AbortSignal | undefined,
): Promise<(number[] | undefined)[]> {
  const selected = numbers.flatMap((number, i) =>
    number === undefined ? [] : [`quantile_disc(${number}, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]) AS q${i}`]
  );
  if (selected.length === 0) return numbers.map(() => undefined);
  const [row] = await session.rows(`SELECT ${selected.join(", ")} FROM ${table}`, signal);
  return numbers.map((number, i) =>
    number === undefined || row![`q${i}`] === null ? undefined : [...new Set(row![`q${i}`] as number[])]
  );
}
