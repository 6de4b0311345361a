/** Rows of Parquet files by position: how a row is found again without its key. */
import { quoteText } from "./engine.ts";

/** A position is file × 2^32 + row: exact in a double. */
export const fileFactor: number = 2 ** 32;

/** The rows of files, with `file_index` (the file's place in the list) and `file_row_number`: no stored column has these names. */
export function fileRowsSql(paths: readonly string[]): string {
  return `read_parquet([${paths.map(quoteText).join(", ")}], file_row_number = true, hive_partitioning = false)`;
}

/**
 * The position of a row of {@link fileRowsSql}. `firstFile` is the number of the first file in the list. An addition would ask
 * of every row whether it overflows, which costs more than all the rest.
 */
export function positionSql(firstFile: number): string {
  return `(((file_index::BIGINT + ${firstFile}) << 32) | file_row_number)`;
}
