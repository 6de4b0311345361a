import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..");

/** The rooms from top to bottom: a file imports its own room and rooms on a smaller level. */
const levels: readonly (readonly [prefix: string, level: number])[] = [
  ["sdk/errors.ts", 0],
  ["sdk/text.ts", 1],
  ["sdk/display.ts", 1],
  ["sdk/time.ts", 1],
  ["sdk/interrupt.ts", 2],
  ["sdk/schema.ts", 2],
  ["sdk/sandbox/", 5],
  ["sdk/frame/", 10],
  ["sdk/define/", 20],
  ["sdk/engine/", 30],
  ["sdk/window/", 33],
  ["sdk/storage/", 35],
  ["sdk/queue/", 36],
  ["sdk/registry/", 40],
  ["sdk/retrieve/", 50],
  ["sdk/materialize/", 50],
  ["sdk/audit/", 55],
  ["sdk/notebook/", 60],
  ["sdk/", 70], // entry points: mod.ts, connect.ts, store.ts, serving.ts, cluster.ts
  ["cluster/", 80],
];

/** Rooms on one level do not import each other; retrieve/ and materialize/ see engine/ and storage/ through contracts. */
const contracts = new Set([
  "sdk/engine/engine.ts",
  "sdk/engine/file_rows.ts",
  "sdk/engine/row.ts",
  "sdk/engine/slice_rows.ts",
  "sdk/engine/value_form.ts",
  "sdk/storage/object_store.ts",
  "sdk/storage/delta_format.ts",
  "sdk/storage/online_store.ts",
  "sdk/storage/encoding.ts",
  "sdk/storage/online_write.ts",
]);

/** Each third-party library has one door. */
const doors: Readonly<Record<string, readonly string[]>> = {
  "@duckdb/node-api": ["sdk/engine/duckdb.ts"],
  "@duckdb/node-bindings": ["sdk/engine/duckdb.ts"],
  "nodejs-polars": ["sdk/engine/polars.ts"],
  "apache-arrow": ["sdk/engine/arrow.ts"],
  // Two rooms that may not import each other read Parquet without an engine: footers of sources, checkpoints of tables.
  "hyparquet": ["sdk/engine/parquet_footer.ts", "sdk/storage/delta_checkpoint.ts"],
  "hyparquet-writer": ["sdk/storage/parquet_file.ts"],
  "acorn": ["sdk/sandbox/javascript.ts"],
  "eslint-scope": ["sdk/sandbox/javascript.ts"],
  "re2js": ["sdk/frame/regex.ts"],
  "@aws-sdk/client-s3": ["sdk/storage/object_s3_client.ts"],
  "lmdb": ["sdk/storage/online_lmdb.ts"],
  "ioredis": ["sdk/storage/redis_client.ts"],
  "zod": ["cluster/config.ts"],
  "cli-table3": ["sdk/notebook/table_text.ts"],
  "string-width": ["sdk/notebook/table_text.ts"],
  "cli-progress": ["sdk/notebook/progress_bar.ts"],
  "vega": ["sdk/notebook/plot_bundle.ts"],
  "vega-lite": ["sdk/notebook/plot_bundle.ts"],
  "bullmq": ["cluster/queue/bullmq.ts"],
  "tsx": ["cluster/cli/import_file.ts"],
  "fastify": ["cluster/server/fastify.ts"],
  "commander": ["cluster/cli/main.ts"],
  "pino": ["cluster/log.ts"],
  "prom-client": ["cluster/server/metrics.ts"],
  "@fastify/swagger": ["cluster/server/openapi.ts"],
  "@fastify/swagger-ui": ["cluster/server/openapi.ts"],
};

interface Import {
  readonly file: string;
  readonly target: string;
  readonly typeOnly: boolean;
}

function sources(): string[] {
  return ["sdk", "cluster"].flatMap((room) =>
    readdirSync(join(root, room), { recursive: true })
      .map((name) => posix.join(room, String(name).replaceAll("\\", "/")))
      .filter((name) => name.endsWith(".ts") && !name.includes("/dist/") && !name.includes("/node_modules/"))
  );
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), "utf8");
  const found: Import[] = [];
  for (const [, type, target] of text.matchAll(/^(?:import|export)\s+(type\s)?[^"';]*?from\s+"([^"]+)"/gm)) {
    found.push({ file, target: target!, typeOnly: type !== undefined });
  }
  for (const [, target] of text.matchAll(/(?:^import|\bimport\()\s*"([^"]+)"/gm)) {
    found.push({ file, target: target!, typeOnly: false });
  }
  return found;
}

function resolve(item: Import): string {
  return relative(root, join(root, dirname(item.file), item.target)).replaceAll("\\", "/");
}

function roomOf(file: string): readonly [prefix: string, level: number] {
  const room = levels.find(([prefix]) => file.startsWith(prefix));
  if (!room) throw new Error(`no room for ${file}`);
  return room;
}

function packageOf(specifier: string): string {
  const parts = specifier.split("/");
  return specifier.startsWith("@") ? parts.slice(0, 2).join("/") : parts[0]!;
}

const all = sources().flatMap(importsOf);
const local = all.filter((item) => item.target.startsWith("."));
const outside = all.filter((item) => !item.target.startsWith(".") && !item.target.startsWith("node:"));

describe("rooms", () => {
  it("sees the sources", () => {
    expect(sources().length).toBeGreaterThan(20);
    expect(local.length).toBeGreaterThan(20);
  });

  it("import upwards only", () => {
    const wrong = local.filter((item) => {
      const [fromRoom, fromLevel] = roomOf(item.file);
      const [toRoom, toLevel] = roomOf(resolve(item));
      return fromRoom !== toRoom && toLevel >= fromLevel;
    });
    expect(wrong.map((item) => `${item.file} -> ${item.target}`)).toEqual([]);
  });

  it("reach engines and stores through contracts below the entry points", () => {
    const wrong = local.filter((item) => {
      const [fromRoom] = roomOf(item.file);
      const target = resolve(item);
      const behind = target.startsWith("sdk/engine/") || target.startsWith("sdk/storage/");
      return ["sdk/storage/", "sdk/retrieve/", "sdk/materialize/", "sdk/registry/", "sdk/notebook/"].includes(
        fromRoom,
      ) && !target.startsWith(fromRoom) && behind && !contracts.has(target);
    });
    expect(wrong.map((item) => `${item.file} -> ${item.target}`)).toEqual([]);
  });

  it("import .ts files by their name", () => {
    expect(local.filter((item) => !item.target.endsWith(".ts")).map((item) => `${item.file} -> ${item.target}`))
      .toEqual([]);
  });

  it("have no cycles between files", () => {
    const graph = new Map<string, string[]>();
    for (const item of local.filter((item) => !item.typeOnly)) {
      graph.set(item.file, [...(graph.get(item.file) ?? []), resolve(item)]);
    }
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (file: string, trail: readonly string[]): void => {
      if (trail.includes(file)) cycles.push([...trail.slice(trail.indexOf(file)), file].join(" -> "));
      if (done.has(file) || trail.includes(file)) return;
      for (const next of graph.get(file) ?? []) visit(next, [...trail, file]);
      done.add(file);
    };
    for (const file of graph.keys()) visit(file, []);
    expect(cycles).toEqual([]);
  });
});

describe("third-party libraries", () => {
  it("have one door each", () => {
    const wrong = outside.filter((item) => {
      const library = packageOf(item.target);
      if (library === "varve") return !item.file.startsWith("cluster/");
      const allowed = doors[library];
      return allowed === undefined || !allowed.includes(item.file);
    });
    expect(wrong.map((item) => `${item.file} -> ${item.target}`)).toEqual([]);
  });
});
