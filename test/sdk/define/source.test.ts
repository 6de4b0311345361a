/** Definitions written as modules: whoever runs the module has the same definition again. */
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import "../../../sdk/engine/install.ts";
import { parseDefinition } from "../../../sdk/define/parse.ts";
import { service } from "../../../sdk/define/service.ts";
import type { DefinitionSource } from "../../../sdk/define/source/definition_source.ts";
import { moduleSource } from "../../../sdk/define/source/module_source.ts";
import { FeatureView, view } from "../../../sdk/define/view.ts";
import {
  approxPercentile,
  count,
  first,
  last,
  list,
  max,
  mean,
  median,
  minBy,
  quantile,
  sum,
  topK,
  valueCounts,
} from "../../../sdk/frame/aggregates.ts";
import { entity } from "../../../sdk/define/entity.ts";
import { col, lit } from "../../../sdk/frame/expr.ts";
import { allOf, coalesce, struct, when } from "../../../sdk/frame/expr_functions.ts";
import { Frame } from "../../../sdk/frame/frame.ts";
import { fromRows, sql } from "../../../sdk/frame/sources.ts";
import { descending } from "../../../sdk/frame/steps.ts";
import { series } from "../../../sdk/frame/windows.ts";
import { Timestamp } from "../../../sdk/time.ts";
import { allProducers, Generator } from "../../conformance/expr_generator.ts";
import { Random, sampleSchema, sampleTypes } from "../../conformance/expr_values.ts";
import { airport, delays, fileFrame, flights, flightTypes, route } from "../../support/flight_views.ts";
import { randomView } from "../windows_random_view.ts";

const root = new URL("../../../", import.meta.url).pathname;
const seed = Number(process.env["VARVE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "varve-source-"));
  await mkdir(join(folder, "typed"));
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let modules = 0;

/** All definitions that a module exports, by kind and name. */
async function read(source: DefinitionSource | string, into = ""): Promise<Record<string, unknown>> {
  const path = join(folder, into, `m${modules++}.ts`);
  await writeFile(path, String(source));
  const exported = Object.values(await import(path)) as { definition: { kind: string; name: string } }[];
  return Object.fromEntries(
    exported.map(({ definition }) => [`${definition.kind} ${definition.name}`, plain(definition)]),
  );
}

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

/** Writes a view and reads it again. */
async function comesBack(each: FeatureView, into?: string): Promise<void> {
  const found = await read(each.source({ paths: "absolute" }), into);
  expect(found[`view ${each.name}`], `seed ${seed}\n${each.source()}`).toEqual(plain(each.definition));
  expect(found[`entity ${each.definition.entity.name}`]).toEqual(plain(each.definition.entity));
}

const departures = flights().filter(col("delay").isNotNull());
const settings = { schedule: "1h", start: "2001-01-01" } as const;

describe("a definition as a module", () => {
  it("reads as a person would write it", () => {
    const windows = departures
      .derive({ late: col("delay").gt(15).and(col("origin").ne("ATL")), hours: col("delay").divide(60) })
      .by(airport)
      .aggregate(
        { delayMean: mean("delay"), late: count().where(col("late")), lastDelays: last("delay", 10) },
        {
          windows: ["1h", "24h", { window: "24h", offset: "-7d" }, series({ window: "1d", from: "-7d" })],
          every: "5m",
          defaults: { delayMean: 0 },
          descriptions: { late: 'How many were "late"' },
        },
      );
    const defined = view("origin_delays", windows, { ...settings, online: true, tags: { team: "ops" } });
    const days = view("days", departures.select("origin", "date", { delay: col("delay").abs() }).by(airport), {
      schedule: "1d",
      start: "2001-01-01T12:00Z",
      ttl: "7d",
      features: { delay: { default: 0, description: "As it was" } },
    });
    const model = service("delay_model", [
      defined.select("delayMean_1h", "late_24h"),
      days.mapKeys({ origin: "destination" }).as("destination").prefix("destination_"),
    ], { owner: "ops@example.com" });
    expect(String(model.source())).toBe(
      `import { col, count, entity, last, mean, parquet, series, service, view } from "varve";

const flights = parquet("/data/flights.parquet", {
  eventTimestamp: "date",
  schema: {
    date: "timestamp",
    loaded: "timestamp",
    origin: "string",
    destination: "string",
    delay: "int32",
    distance: "int64",
  },
});

const flightsFiltered = flights.filter(col("delay").isNotNull());

export const airport = entity("airport", { origin: "string" });

export const originDelays = view(
  "origin_delays",
  flightsFiltered
    .derive({ late: col("delay").gt(15).and(col("origin").ne("ATL")), hours: col("delay").divide(60) })
    .by(airport)
    .aggregate({ delayMean: mean("delay"), late: count().where(col("late")), lastDelays: last("delay", 10) }, {
      windows: ["1h", "24h", { window: "24h", offset: "-7d" }, series({ window: "1d", from: "-7d" })],
      every: "5m",
      defaults: { delayMean: 0 },
      descriptions: { late: 'How many were "late"' },
    }),
  { schedule: "1h", start: "2001-01-01", online: true, tags: { team: "ops" } },
);

export const days = view(
  "days",
  flightsFiltered
    .select("origin", "date", { delay: col("delay").abs() })
    .by(airport),
  {
    schedule: "1d",
    start: "2001-01-01",
    ttl: "7d",
    features: { delay: { description: "As it was" } },
    defaults: { delay: 0 },
  },
);

export const delayModel = service(
  "delay_model",
  [
    originDelays.select("delayMean_1h", "late_24h"),
    days.prefix("destination_").mapKeys({ origin: "destination" }).as("destination"),
  ],
  { owner: "ops@example.com" },
);
`,
    );
  });

  it("gives every step, setting and kind of constant again", async () => {
    const other = fileFrame({ origin: "string", seen: "timestamp", rain: "float64", tags: { list: "string" } }, {
      paths: ["s3://weather/a.parquet", "/data/weather/*.parquet"],
      eventTimestamp: "seen",
    });
    const typed: FeatureView[] = [
      view(
        "steps",
        departures.rename({ delay: "minutes" }).drop("loaded").sort(descending("minutes"), {
          by: "origin",
          nulls: "first",
        })
          .distinct("origin", "date").by(airport),
        settings,
      ),
      view(
        "joins",
        departures.join(other.select("origin", "rain"), "origin", { how: "left" })
          .join(other, { destination: "origin" }, { how: "anti" }).by(airport),
        settings,
      ),
      view(
        "as_of",
        departures.asOfJoin(other, "origin", { tolerance: "90m", suffix: "_w" }).unnest("tags", { keepEmpty: true }).by(
          route,
        ),
        settings,
      ),
      view("unions", departures.union(flights(), departures.filter(col("distance").gt(5n))).by(airport), settings),
      view(
        "groups",
        departures.groupBy("origin", "date").aggregate({
          a: first("delay"),
          b: last("delay", { by: "distance" }),
          c: list("delay", { by: col("distance").negate() }),
          d: median("delay"),
          e: quantile("delay", 0.9),
          f: minBy("delay", "distance"),
          g: count().where(col("delay").gt(3)),
          h: sum("distance"),
        }).by(airport),
        settings,
      ),
      view(
        "constants",
        departures.derive({
          a: lit(new Date("2001-01-01")),
          b: lit(Timestamp.from("2001-01-01T00:00:00.000001Z")),
          c: lit("2001-01-01", "date"),
          d: lit(-5n, "duration"),
          e: lit(null, "float64"),
          f: lit(1, "float64"),
          g: lit(-0),
          h: lit(NaN),
          i: lit(new Uint8Array([1, 255])),
          j: lit([1, 2]),
          k: struct({ x: "delay", y: lit(1n) }),
          l: coalesce(col("delay"), col("distance")),
          m: col("date").dt.add("36h"),
          n: when(col("delay").gt(1)).then("it's").otherwise('"quoted"'),
          o: allOf(col("delay").gt(1), true, lit(null, "boolean")),
          p: lit([], { list: "int64" }),
          q: lit({ a: 1 }, { struct: [{ name: "a", type: "int64" }] }),
          r: lit(""),
        }).by(airport),
        {
          ...settings,
          dataDelay: "2h",
          end: "2002-01-01",
          lookback: 2,
          offline: false,
          preventDestroy: true,
          description: "Line\nbreak",
        },
      ),
      view("wide_keys", flights().rename({ delay: "id" }).by(entity("wide", { id: "int64" })), settings),
      view(
        "times",
        fileFrame({ origin: "string", a: "timestamp", b: "date", w: "timestamp" }, { eventTimestamp: "a" }).by(airport),
        { ...settings, schedule: "1d", eventTimestamp: "b", writtenTimestamp: "w" } as never,
      ),
      view("loaded", flights({ writtenTimestamp: "loaded" }).by(airport), { ...settings, features: ["delay"] }),
      view(
        "lists",
        flights().by(airport).aggregate({
          top: topK("destination", 3),
          p: approxPercentile("delay", 0.5, { accuracy: 0.05 }),
          v: valueCounts("destination"),
        }, { windows: ["30d"], edge: "exact", boundary: "exclusive", maxRows: 50 }),
        settings,
      ),
      view(
        "by_destination",
        flights().by(airport).aggregate([count(), mean("delay")], { windows: ["2h"], secondaryKey: "destination" }),
        { ...settings, features: ["delay_mean_2h"] },
      ),
      view(
        "twins",
        flights().by(airport).aggregate({ b: mean("delay"), a: mean("delay"), c: max("delay") }, {
          windows: ["24h", "1d", { window: "24h", name: "day" }, "lifetime"],
        })
          .rename({ a_24h: "renamed", c_lifetime: "highest" }),
        settings,
      ),
      view(
        "query",
        sql('select *,\n  delay * 2 as twice -- `${x}` \\ "y"\nfrom late', { late: departures }).by(airport),
        settings,
      ),
    ];
    for (const each of typed) await comesBack(each, "typed");
    await comesBack(delays({ defaults: { delay: 3 } } as never));
    const csv = fileFrame(flightTypes, {
      format: "csv",
      eventTimestamp: "date",
      options: { delim: ";", nullstr: "-", header: true },
    });
    await comesBack(view("csv", csv.by(airport), settings), "typed");

    const out = spawnSync(process.execPath, [
      join(root, "node_modules/typescript/bin/tsc"),
      "-p",
      await configOf("typed"),
    ], { encoding: "utf8" });
    expect(out.stdout + out.stderr).toBe("");
    const fmt = spawnSync(join(root, "node_modules/deno/deno"), [
      "fmt",
      "--check",
      "--line-width",
      "120",
      join(folder, "typed"),
    ], { encoding: "utf8" });
    expect(fmt.stderr).toMatch(/^Checked \d+ files?\n$/);
  });

  it("gives random expressions again", async () => {
    const random = new Random(seed);
    const generator = new Generator(random, allProducers(random), () => true);
    const scan = {
      kind: "scan",
      source: { kind: "file", format: "parquet", paths: ["/x.parquet"], eventTimestamp: "t" },
      schema: [
        { name: "key", type: "string" },
        { name: "t", type: "timestamp" },
        ...sampleSchema.filter(({ name }) => name !== "key" && name !== "t"),
      ],
    } as const;
    const user = entity("user", { key: "string" });
    for (let i = 0; i < 12; i++) {
      const columns = Array.from(
        { length: 30 },
        (_, c) => ({ name: `c${c}`, expr: generator.expr(random.pick(sampleTypes), 4) }),
      );
      const frame = new Frame({ kind: "derive", input: new Frame(scan).query, columns });
      await comesBack(view("random", frame.by(user) as never, { ...settings, features: ["c0", "c1"] } as never));
    }
  });

  it("gives random windows again", async () => {
    const random = new Random(seed);
    for (let i = 0; i < 80; i++) {
      await comesBack(randomView(random, ["/a.parquet", "/b.parquet"].slice(random.below(2))).view);
    }
  });

  it("names no two constants alike", async () => {
    const twice = fileFrame({ view: "string", at: "timestamp", x: "int32" }, {
      eventTimestamp: "at",
      paths: ["/a/view.parquet"],
    });
    const again = fileFrame({ view: "string", at: "timestamp", y: "int32" }, {
      eventTimestamp: "at",
      paths: ["/b/view.parquet"],
    });
    const each = view("view", twice.asOfJoin(again, "view").by(entity("view", { view: "string" })), settings);
    const model = service("view", [each.as("new")]);
    const found = await read(model.source());
    expect(Object.keys(found).sort()).toEqual(["entity view", "service view", "view view"]);
    expect(found["service view"]).toEqual(plain(model.definition));
  });

  it("refuses what no chain of calls gives", () => {
    const definition = plain(delays().definition) as { query: { source: object } };
    const written = parseDefinition({
      ...definition,
      query: { ...definition.query, source: { ...definition.query.source, writtenTimestamp: "loaded" } },
    });
    expect(() => moduleSource([written as never], [])).toThrow(
      /view "delays" has no written timestamp, and its source has one/,
    );
  });

  it("reads rows of this process from where publishing stored them", async () => {
    const rows = fromRows([{ origin: "ATL", at: new Date("2001-01-01"), delay: 5 }], { eventTimestamp: "at" });
    const each = view("rows", rows.by(airport), settings);
    expect(String(each.source())).toMatch(/storedRows\("[0-9a-f]+", \{/);
    await comesBack(each, "");
  });
});

async function configOf(name: string): Promise<string> {
  const path = join(folder, `${name}.json`);
  const compilerOptions = {
    target: "ES2022",
    lib: ["ES2023"],
    module: "nodenext",
    types: ["node"],
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
    noEmit: true,
  };
  await writeFile(path, JSON.stringify({ compilerOptions, include: [`${name}/*.ts`] }));
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  return path;
}
