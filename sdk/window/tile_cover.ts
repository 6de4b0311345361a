/** Covers spans of time with as few tiles as their levels allow: the finest at the ends, the coarsest in the middle. */

/** How many tiles of a level make one of the next. */
export const tileRatio = 8;

/** Tiles in levels; rows of a level are in order of their places, which count its tiles since 1970. */
export interface TileLevels {
  readonly levelCount: number;
  /** The first row of a level that is at or after a place; the number of rows when there is none. */
  find(level: number, place: number): number;
}

/** Told of rows `from … to` of a level. */
export type VisitTiles = (level: number, from: number, to: number) => void;

/** Visits tiles that make up the span between two places of the finest level, in order of time. */
export function coverTiles(tiles: TileLevels, from: number, to: number, visit: VisitTiles): void {
  coverFrom(tiles, 0, from, to, visit);
}

function coverFrom(tiles: TileLevels, level: number, from: number, to: number, visit: VisitTiles): void {
  const up = Math.ceil(from / tileRatio);
  const down = Math.floor(to / tileRatio);
  if (level + 1 >= tiles.levelCount || up >= down) return visitSpan(tiles, level, from, to, visit);
  visitSpan(tiles, level, from, up * tileRatio, visit);
  coverFrom(tiles, level + 1, up, down, visit);
  visitSpan(tiles, level, down * tileRatio, to, visit);
}

function visitSpan(tiles: TileLevels, level: number, from: number, to: number, visit: VisitTiles): void {
  if (from >= to) return;
  const first = tiles.find(level, from);
  const end = tiles.find(level, to);
  if (end > first) visit(level, first, end);
}
