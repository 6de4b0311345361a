/** The encoding of online keys and values; light enough for the serving process. */
export { encodeKey, encodeKeys, maxKeyBytes } from "./encoding_key.ts";
export type { PackedKeys } from "./encoding_key.ts";
export { EventTime, headerBytes, isNewer, readHeader, rowLayout } from "./encoding_row.ts";
export type { RowHeader, RowLayout, RowReader } from "./encoding_row.ts";
export { packBatch, packed } from "./encoding_batch.ts";
export type { PackColumns, PackPlan } from "./encoding_batch.ts";
export type { CellRun, ValueForm } from "./encoding_cells.ts";
export { TileBatch } from "./encoding_tile_batch.ts";
export { noTiles, tileLayout, TileReader, tilesBehind, tilesKey } from "./encoding_tiles.ts";
export type { TileLayout, TileLevel, TileTotals, TileValue } from "./encoding_tiles.ts";
