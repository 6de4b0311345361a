/** Counts the nulls of a column: by what Parquet files say of themselves where they do, as that does not grow with their rows. */
import { statSync } from "node:fs";
import type { EngineSession } from "./engine.ts";
import { quoteText } from "./engine.ts";
import { metadataSql, type ResolvedSource } from "./source_sql.ts";

/** Nulls by file and column; a file is known by its path, size and time. Of a long history only the new files are read. */
export class NullCounts {
  readonly #told = new Map<string, number>();

  /** What the files say; undefined unless all of them do, and of values that are what a reader will see. */
  async told(
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
      const count = this.#told.get(key);
      if (count === undefined) return undefined;
      sum += count;
    }
    return sum;
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
      `SELECT file_name AS path, coalesce(told, 0) = num_row_groups AS told, coalesce(nulls, 0)::DOUBLE AS nulls ` +
        `FROM ${metadataSql("file_metadata", files)} LEFT JOIN (SELECT file_name, count(stats_null_count) AS told, ` +
        `sum(stats_null_count) AS nulls FROM ${metadataSql("metadata", files)} WHERE ${isColumn} GROUP BY 1) ` +
        "USING (file_name)",
      signal,
    );
    for (const row of rows) {
      const key = keys.get(String(row["path"]));
      if (key !== undefined && row["told"] === true) this.#told.set(key, Number(row["nulls"]));
    }
  }
}

const mostFiles = 100_000;

function keyOf(path: string, column: string): string {
  const { size, mtimeMs, ino } = statSync(path);
  return JSON.stringify([path, column, size, mtimeMs, ino]);
}
