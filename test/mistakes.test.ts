import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..");
const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

/** What the compiler says of each line, by the line's text. */
async function complaints(setting: string, lines: readonly string[]): Promise<Map<string, string>> {
  const folder = await mkdtemp(join(tmpdir(), "varve-mistakes-"));
  folders.push(folder);
  const head =
    `import { col, connect, entity, fromRows, mean, series, service, type Store, type TrainingRecord, view } from "${
      join(root, "sdk/mod.ts")
    }";\n${setting}\n`;
  const file = join(folder, "mistakes.ts");
  await writeFile(file, head + lines.join("\n"));
  const options = "--noEmit --strict --module nodenext --target es2022 --skipLibCheck --allowImportingTsExtensions " +
    "--pretty false --types node";
  const compiler = [join(root, "node_modules/typescript/bin/tsc"), ...options.split(" "), "--ignoreConfig", file];
  const { stdout } = await promisify(execFile)(process.execPath, compiler, { cwd: root })
    .catch((error: { stdout: string }) => error);
  const said = new Map<string, string>();
  const before = head.split("\n").length - 1;
  for (const [, line, text] of stdout.matchAll(/mistakes\.ts\((\d+),\d+\): (.*(?:\n .*)*)/g)) {
    said.set(lines[Number(line) - before - 1] ?? `line ${line}`, text!);
  }
  return said;
}

describe("compile errors of overloaded methods", () => {
  it("say which name is wrong, in the words of the call that was meant", async () => {
    const setting = `declare const store: Store;
declare const record: TrainingRecord;
const rows = fromRows([{ k: "a", t: new Date(0), x: 1.5 }], { eventTimestamp: "t" });
const v = view("v", rows.by(entity("e", { k: "string" })), { schedule: "1d", start: "2001-01-01" });
const s = service("s", [v]);`;
    const said = await complaints(setting, [
      `rows.select("k", "xx");`,
      `store.online(s, { kk: "a" });`,
      `store.online(v, { kk: "a" });`,
      `store.online(s, { k: 5 });`,
      `store.online(v, { k: "a" }).then(({ xx }) => xx);`,
      `rows.select("k", { y: col("x") });`,
      `store.online(s, { k: "a" }).then(({ x }): number | null => x);`,
      `store.online(v, [{ k: "a" }]).then(([first]): number | null => first!.x);`,
      `store.online("s", { any: "a" }).then(({ any }): unknown => any);`,
      `store.train(s, rows).then((set) => set.rows()).then(([row]) => row!.xx);`,
      `store.train(s, rows).then((set) => set.profile({ label: "xx" }));`,
      `store.train(s, rows).then((set) => set.profile({ label: "k", features: ["xx"] }));`,
      `store.train(s, rows, { asof: "event" });`,
      `connect({ clok: 1 });`,
      `store.retrain(record, rows, { features: s }).then((set) => set.rows()).then(([row]) => row!.xx);`,
      `store.train(s, [{ k: "a", at: new Date() }]).then((set) => set.head()).then(([row]): Date => row!.at);`,
      `store.train(v, rows).then((set) => set.rows()).then(([row]): number | null => row!.x);`,
      `store.train(s, rows).then((set) => set.profile({ label: "k", features: ["x"] })).then((found) => found.plot("x"));`,
      `store.train(s, rows, { statuses: true }).then((set) => set.rows()).then(([row]): unknown => row!["v__status"]);`,
      `store.retrain(record, rows, { features: s }).then((set) => set.rows()).then(([row]): number | null => row!.x);`,
      `store.train("s", "spine.parquet").then((set) => set.rows()).then(([row]): unknown => row!["any"]);`,
    ]);
    expect([...said.keys()]).toHaveLength(11);
    expect(said.get(`connect({ clok: 1 });`)).toMatch(/'clok' does not exist in type/);
    expect(
      said.get(`store.retrain(record, rows, { features: s }).then((set) => set.rows()).then(([row]) => row!.xx);`),
    ).toMatch(/'xx' does not exist on type/);
    expect(said.get(`rows.select("k", "xx");`)).toMatch(/'"xx"' is not assignable to parameter of type/);
    expect(said.get(`store.online(s, { kk: "a" });`)).toMatch(/'kk' does not exist in type/);
    expect(said.get(`store.online(v, { kk: "a" });`)).toMatch(/'kk' does not exist in type/);
    expect(said.get(`store.online(s, { k: 5 });`)).toMatch(/'number' is not assignable to type 'string'/);
    expect(said.get(`store.online(v, { k: "a" }).then(({ xx }) => xx);`)).toMatch(/'xx' does not exist on type/);
    expect(said.get(`store.train(s, rows).then((set) => set.rows()).then(([row]) => row!.xx);`)).toMatch(
      /'xx' does not exist on type/,
    );
    expect(said.get(`store.train(s, rows).then((set) => set.profile({ label: "xx" }));`)).toMatch(
      /'"xx"' is not assign/,
    );
    expect(said.get(`store.train(s, rows, { asof: "event" });`)).toMatch(/'asof' does not exist in type/);
  });
});

describe("compile errors of windows", () => {
  it("say which name is wrong", async () => {
    const setting = `const rows = fromRows([{ k: "a", t: new Date(0), x: 1.5 }], { eventTimestamp: "t" });
const by = rows.by(entity("e", { k: "string" }));
const w = by.aggregate({ m: mean("x") }, { windows: ["1h", "24h"] });
const v = view("v", w, { schedule: "1d", start: "2001-01-01" });
const s = service("s", [v.select("m_24h")]);
declare const store: Store;`;
    const wrong: readonly (readonly [line: string, message: RegExp])[] = [
      [`by.aggregate({ m: mean("xx") }, { windows: ["1h"] });`, /'"xx"' is not assignable to type 'ColumnName<{ k: /],
      [`by.aggregate([mean("xx")], { windows: ["1h"] });`, /'"xx"' is not assignable to type 'ColumnName<{ k: /],
      [`by.aggregate([mean("x")], { windows: ["1h"], secondaryKey: "kk" });`, /'"kk"' is not assignable/],
      [`by.aggregate([mean("x")], { windows: ["1h"], evry: "5m" });`, /'evry' does not exist.* mean to write 'every'/],
      [`by.aggregate([mean("x")], { windows: ["1h"], defaults: { q: 1 } });`, /'q' does not exist in type/],
      [`by.aggregate([mean("x")], { windows: [series({ window: "1h", fro: "-7d" })] });`, /'fro' does not exist/],
      [`view("v", w, { schedule: "1d", start: "2001-01-01", lokback: 1 });`, /'lokback' does not exist/],
      [`view("v", w, { schedule: "1d", start: "2001-01-01", features: ["m_2h"] });`, /'"m_2h"' is not assignable/],
      [`v.select("m_2h");`, /'"m_2h"' is not assignable to parameter of type '"m_1h" | "m_24h"'/],
      [`store.online(s, { k: "a" }).then(({ m_1h }) => m_1h);`, /'m_1h' does not exist on type/],
    ];
    const right = [
      `store.online(s, { k: "a" }).then(({ m_24h }): number | null => m_24h);`,
      `store.publish(w, { name: "v", schedule: "1d", start: "2001-01-01", online: true });`,
      `w.publish(store, { name: "v", schedule: "1d", start: "2001-01-01" }).then((plan) => plan.apply());`,
      `w.preview({ at: "2001-01-01" }).then(([row]): [string | null, number | null] => [row!.k, row!.m_1h]);`,
    ];
    const said = await complaints(setting, [...wrong.map(([line]) => line), ...right]);
    for (const [line, message] of wrong) expect(said.get(line)).toMatch(message);
    expect([...said.keys()]).toHaveLength(wrong.length);
  });
});
