/** Mistakes in cells are told before they run, and an editor tells what a frame holds: with the compiler of tslab. */
import { describe, expect, it } from "vitest";
import { Cell, compilerVersion } from "./cell_checker.ts";

const setting = `
import { col, connect, count, entity, fromRows, last, mean, parquet, realtimeView, requestTimestamp } from "varve";
import { series, service, view } from "varve";
const store = await connect();
const rows = fromRows([{ k: "a", t: new Date(0), x: 1.5 }], { eventTimestamp: "t" });
const file = parquet("a.parquet", { schema: { k: "string", n: "int64" } });
const unknown = parquet("b.parquet");
const e = entity("e", { k: "string" });
const options = { schedule: "1d", start: "2001-01-01" } as const;
const v = view("v", rows.by(e), options);
const some = view("some", rows.by(e), { ...options, features: ["x"], defaults: { x: 0 } });
const delays = rows.by(e).aggregate({ n: count(), m: mean("x"), l: last("x", 3) }, {
  windows: ["1d", { window: "1d", offset: "-7d" }, series({ window: "1d", from: "-3d" })],
});
const w = view("w", delays, options);
const s = service("s", [v.select("x"), w.select("n_1d")]);
const ratio = realtimeView("ratio", {
  request: { amount: "float64" },
  from: [v.select("x")],
  features: { r: col("amount").divide(col("x")), hour: requestTimestamp().dt.hour() },
});
const live = service("live", [v.select("x"), ratio]);
export {};`;

const cell = new Cell();

/** What is said of a line that follows the setting; undefined when it is right. */
function said(line: string): string | undefined {
  const found = cell.check(`${setting}\n${line}`);
  const last = setting.split("\n").length + 1;
  expect([...found].filter(([number]) => number !== last)).toEqual([]);
  return found.get(last);
}

describe(`cells, with TypeScript ${compilerVersion}`, () => {
  it.each([
    [`rows.select("k", "xx")`, /Argument of type '"xx"' is not assignable/],
    [`rows.filter(col("xx").gt(1))`, /Type '"xx"' is not assignable to type .*k: string; t: Date; x: number/],
    [`rows.derive({ y: col("xx").plus(1) })`, /Type '"xx"' is not assignable/],
    [`rows.groupBy("xx")`, /'"xx"' is not assignable/],
    [`rows.groupBy("k").aggregate({ m: mean("xx") })`, /Type '"xx"' is not assignable/],
    [`rows.plot.histogram("xx")`, /'"xx"' is not assignable/],
    [`file.select("m")`, /'"m"' is not assignable/],
    [`v.select("xx")`, /'"xx"' is not assignable to parameter of type '"t" \| "x"'/],
    [`some.select("t")`, /'"t"' is not assignable to parameter of type '"x"'/],
    [`delays.rename({ n_2d: "a" })`, /'n_2d' does not exist in type/],
    [`w.select("n_2d")`, /'"n_2d"' is not assignable to parameter of type '.*"n_1d_offset_7d".*'/],
    [`view("y", rows.by(e), { ...options, features: ["xx"] })`, /'"xx"' is not assignable to type '"t" \| "x"'/],
    [`v.profile({ features: ["xx"] })`, /'"xx"' is not assignable to type '"t" \| "x"'/],
    [
      `v.profile({ features: ["x"] }).then((p) => p.feature("t"))`,
      /'"t"' is not assignable to parameter of type '"x"'/,
    ],
    [`store.profile(w).then((p) => p.plot.overTime("n_2d"))`, /'"n_2d"' is not assignable/],
    [`store.profile(v, { features: ["xx"] })`, /'"xx"' is not assignable to type '"t" \| "x"'/],
    [`store.online(s, { kk: "a" })`, /'kk' does not exist/],
    [`store.online(s, { k: "a" }).then(({ n_2d }) => n_2d)`, /Property 'n_2d' does not exist/],
    [`connect({ clok: 1 })`, /'clok' does not exist in type 'ConnectOptions'/],
    [`store.train(s, rows).then((t) => t.rows()).then(([r]) => r.n_2d)`, /Property 'n_2d' does not exist on type/],
    [
      `store.train(s, rows).then((t) => t.profile({ label: "xx" }))`,
      /'"xx"' is not assignable to type '"k" \| "t" \| "x"'/,
    ],
    [
      `store.retrain({} as any, rows, { features: s }).then((t) => t.rows()).then(([r]) => r.n_2d)`,
      /Property 'n_2d' does not exist on type/,
    ],
    [
      `realtimeView("y", { request: { amount: "float64" }, from: [v], features: { z: col("amonut").plus(1) } })`,
      /^(?!No overload)[^]*Type '"amonut"' is not assignable to type /,
    ],
    [`realtimeView("y", { request: { a: "float64" }, features: { z: "b" } })`, /^Type '"b"' is not assignable to type/],
    [
      `realtimeView("y", { from: [v], features: { z: "x" }, defaults: { zz: 0 } })`,
      /'zz' does not exist/,
    ],
    [
      `realtimeView("y", { from: [v], output: { z: "float64" }, compute: ({ x }) => ({ zz: x }) })`,
      /^Type '{ zz: number; }' .*\n.*Property 'z' is missing in type '{ zz: number; }' but required in type 'FunctionAnswer/,
    ],
    [
      `realtimeView("y", { from: [v], output: { z: "float64" }, compute: ({ x }) => ({ z: x, more: x }) })`,
      /^Type 'number' is not assignable to type 'never'/,
    ],
    [
      `realtimeView("y", { from: [v], output: { z: "float64" }, compute: () => ({ z: "a" }) })`,
      /^Type 'string' is not assignable to type 'number'\.$/,
    ],
    [
      `realtimeView("y", { from: [v], output: { z: "float64" }, compute: (row) => ({ z: row.xx }) })`,
      /^Property 'xx' does not exist on type '{ t: Date; x: number; readonly requestTimestamp: Timestamp; }'/,
    ],
    [
      `realtimeView("y", { from: [v], compute: ({ x }) => ({ z: x }) })`,
      /Property 'output' is missing in type/,
    ],
    [`ratio.select("rr")`, /'"rr"' is not assignable to parameter of type '"r" \| "hour"'/],
    [`store.online(live, { k: "a" })`, /Expected 3 arguments/],
    [`store.online(live, { k: "a" }, { request: { amonut: 1 } })`, /'amonut' does not exist/],
    [
      `store.online(live, { k: "a" }, { request: { amount: "1" } })`,
      /Type 'string' is not assignable to type 'number'/,
    ],
    [`rows.collect().then((frame) => frame.heigth)`, /Did you mean 'height'/],
  ])("%s is wrong, and is told why", (line, message) => {
    expect(said(line)).toMatch(message);
  });

  it.each([
    `rows.select("k", { y: col("x").plus(1) }).select("y")`,
    `unknown.select("anything")`,
    `w.select("n_1d", "m_1d_offset_7d", "l_1d_series_3d")`,
    `v.profile().then((p) => p.feature("t"))`,
    `store.profile("by name", { features: ["any"] })`,
    `store.online(s, { k: "a" }).then(({ x, n_1d }): [number, bigint] => [x, n_1d])`,
    `store.online(live, { k: "a" }, { request: { amount: 1 } }).then(({ r, hour }): [number, number] => [r, hour])`,
    `store.online(live, [{ k: "a" }, { k: "b" }], { request: [{ amount: 1 }, { amount: 2 }] }).then(([a]) => a.r)`,
    `store.retrain({} as any, rows, { features: s }).then((t) => t.rows()).then(([r]): bigint => r.n_1d)`,
    `store.retrain({} as any, rows).then((t) => t.rows()).then(([r]) => r["anything"])`,
    `store.online("live", { k: "a" }, { request: { amount: 1 } })`,
    `service("m", [ratio.mapKeys({ k: "other" }).prefix("o_")]).featureNames`,
    `rows.collect().then((frame): number => frame.height)`,
  ])("%s is right", (line) => expect(said(line)).toBeUndefined());

  it("show the row of a frame, the columns of a picture, and what a service answers", () => {
    said(`const late = rows.derive({ late: col("x").gt(1) }).drop("t");`);
    expect(cell.hover("late =")).toBe("const late: Frame<{\n    k: string;\n    x: number;\n    late: boolean;\n}>");
    said(`const answer = await store.online(s, { k: "a" });`);
    expect(cell.hover("answer =")).toMatch(/x: number;\s+n_1d: bigint;/);
    said(`const [row] = await (await store.train(s, rows)).rows();`);
    expect(cell.hover("row]")).toBe("const row: {\n    k: string;\n    t: Date;\n    x: number;\n    n_1d: bigint;\n}");
  });
});
