import { expect, it } from "vitest";
import { coverTiles, type TileLevels, tileRatio } from "../../../sdk/window/tile_cover.ts";
import { Random } from "../../conformance/expr_values.ts";

const seed = Number(process.env["VARVE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

it(`covers every tile of a span once, in order, with as coarse ones as fit (seed ${seed})`, () => {
  const random = new Random(seed);
  for (let round = 0; round < 500; round++) {
    const start = random.below(1000) - 500;
    const finest = Array.from({ length: 600 }, (_, i) => start + i).filter(() => random.chance(random.pick([0.1, 1])));
    const levels = [finest];
    for (let i = random.below(4); i > 0; i--) {
      levels.push([...new Set(levels.at(-1)!.map((place) => Math.floor(place / tileRatio)))]);
    }
    const tiles: TileLevels = {
      levelCount: levels.length,
      find(level, place) {
        const row = levels[level]!.findIndex((each) => each >= place);
        return row < 0 ? levels[level]!.length : row;
      },
    };
    const from = start + random.below(700) - 50;
    const to = from + random.below(650);
    const covered: number[] = [];
    let visited = 0;
    coverTiles(tiles, from, to, (level, first, end) => {
      const length = tileRatio ** level;
      visited += end - first;
      for (const place of levels[level]!.slice(first, end)) {
        covered.push(...finest.filter((each) => Math.floor(each / length) === place));
      }
    });
    expect(covered).toEqual(finest.filter((place) => place >= from && place < to));
    const most = 2 * (tileRatio - 1) * (levels.length - 1) + Math.ceil((to - from) / tileRatio ** (levels.length - 1));
    expect(visited).toBeLessThanOrEqual(most + 1);
  }
});
