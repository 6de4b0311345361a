/** What Parquet files say of a column of times, where they do, as that does not grow with their rows: nulls, and bounds. */
import { statSync } from "node:fs";
import type { Micros, TimeRange } from "../time.ts";
import type { EngineSession } from "./engine.ts";
import { quoteText } from "./engine.ts";
import { metadataSql, type ResolvedSource } from "./source_sql.ts";

interface ColumnFacts {
  readonly nulls: number;
  /** Of all values; absent unless every group of rows tells them. */
  readonly bounds?: { readonly min: Micros; readonly max: Micros };
}

/** Facts by file and column; a file is known by its path, size and time. Of a long history only the new files are read. */
export class FileFacts {
  readonly #told = new Map<string, ColumnFacts>();

  /** The nulls that the files say they have; undefined unless all of them do, and of values that are what a reader will see. */
  async nulls(
    { parquet, columns }: ResolvedSource,
    column: string,
    session: Pick<EngineSession, "rows">,
    signal?: AbortSignal,
  ): Promise<number | undefined> {
    const type = columns.get(column);
    if (!parquet || type?.kind !== "scalar" || !/^(TIMESTAMP|DATE)/.test(type.name)) return undefined;
    const keys = parquet.map((path) => keyOf(path, column));
    const fresh = parquet.filter((_, i) => !this.#told.has(keys[i]!));
    if (fresh.length > 0) await this.#read(fresh, column, session, signal);
    let sum = 0;
    for (const key of keys) {
      const facts = this.#told.get(key);
      if (facts === undefined) return undefined;
      sum += facts.nulls;
    }
    return sum;
  }

  /**
   * The files but those of which it is known that no time of theirs lies in the range: a slice of a long history need not open
   * all of it. The first one stays, by which a reader knows the columns. Reads nothing: facts are known once nulls were counted.
   */
  within(files: readonly string[], column: string, { start, end }: TimeRange): readonly string[] {
    if (this.#told.size === 0) return files;
    return files.filter((path, i) => {
      const bounds = i === 0 ? undefined : this.#told.get(keyOf(path, column))?.bounds;
      return bounds === undefined || (bounds.max >= start && bounds.min < end);
    });
  }

  async #read(
    files: readonly string[],
    column: string,
    session: Pick<EngineSession, "rows">,
    signal?: AbortSignal,
  ): Promise<void> {
    // Whoever has so many files has other worries.
    if (this.#told.size > mostFiles) this.#told.clear();
    const keys = new Map(files.map((path) => [path, keyOf(path, column)]));
    const isColumn = `path_in_schema = ${quoteText(column)}`;
    const rows = await session.rows(
      `SELECT file_name AS path, coalesce(told, 0) = num_row_groups AS told, coalesce(nulls, 0)::DOUBLE AS nulls, ` +
        "CASE WHEN bounds = num_row_groups THEN least::VARCHAR END AS least, " +
        "CASE WHEN bounds = num_row_groups THEN most::VARCHAR END AS most " +
        `FROM ${metadataSql("file_metadata", files)} LEFT JOIN (SELECT file_name, count(stats_null_count) AS told, ` +
        `sum(stats_null_count) AS nulls, ` +
        `count(*) FILTER (${boundSql("min")} IS NOT NULL AND ${boundSql("max")} IS NOT NULL) AS bounds, ` +
        `min(${boundSql("min")}) AS least, max(${boundSql("max")}) AS most ` +
        `FROM ${metadataSql("metadata", files)} WHERE ${isColumn} GROUP BY 1) USING (file_name)`,
      signal,
    );
    for (const row of rows) {
      const key = keys.get(String(row["path"]));
      if (key === undefined || row["told"] !== true) continue;
      const { nulls, least, most } = row;
      const bounds = { min: BigInt(least ?? 0), max: BigInt(most ?? 0) };
      this.#told.set(key, { nulls: Number(nulls), ...(least !== null && most !== null && { bounds }) });
    }
  }
}

const mostFiles = 100_000;

/**
 * A bound of a group of rows in micros. It is text, as the engine writes times; what is finer than micros is cut off, as it is of
 * the times themselves. Where a file holds times as text, bounds are in the order of text, and mean nothing here.
 */
function boundSql(which: "min" | "max"): string {
  return `CASE WHEN type IN ('INT32', 'INT64') THEN epoch_us(TRY_CAST(stats_${which}_value AS TIMESTAMPTZ)) END`;
}

function keyOf(path: string, column: string): string {
  const { size, mtimeMs, ino } = statSync(path);
  return JSON.stringify([path, column, size, mtimeMs, ino]);
}
