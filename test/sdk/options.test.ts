/** What is misspelt or of the wrong kind is refused by name where nobody checks types: in plain JavaScript, and in cells of Deno. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  col,
  connect,
  count,
  csv,
  entity,
  fromRows,
  mean,
  parquet,
  service,
  type Store,
  table,
  toMicros,
  view,
} from "varve";

const rows = fromRows([{ driver: "ann", at: new Date("2001-01-01T08:00Z"), amount: 5 }], { eventTimestamp: "at" });
const driver = entity("driver", { driver: "string" });
const daily = { schedule: "1d", start: "2001-01-01" } as const;
const amounts = view("amounts", rows.by(driver), daily);
const model = service("model", [amounts]);

let folder: string;
let store: Store;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "varve-options-"));
  store = await connect({ path: folder });
});
afterAll(async () => {
  await store?.close();
  await rm(folder, { recursive: true, force: true });
});

// deno-lint-ignore no-explicit-any
type Any = any;

describe("an option that does not exist is refused by", () => {
  const calls: Readonly<Record<string, [call: () => unknown, said: string]>> = {
    "view()": [() => view("v", rows.by(driver), { ...daily, onlin: true } as Any), "onlin"],
    "view() of a feature": [
      () => view("v", rows.by(driver), { ...daily, features: { amount: { defualt: 0 } } } as Any),
      "features.amount.defualt",
    ],
    "aggregate()": [() => rows.by(driver).aggregate({ n: count() }, { windows: ["1d"], evry: "1h" } as Any), "evry"],
    "parquet()": [() => parquet("x.parquet", { eventTime: "at" } as Any), "eventTime"],
    "csv()": [() => csv("x.csv", { delimeter: ";" } as Any), "delimeter"],
    "fromRows()": [() => fromRows([{ a: 1 }], { eventTime: "a" } as Any), "eventTime"],
    "publish()": [() => store.publish(model, { raison: "why" } as Any), "raison"],
    "train()": [() => store.train(model, rows, { asof: "event" } as Any), "asof"],
    "leaks()": [() => store.leaks(model, rows, { form: "source" } as Any), "form"],
    "preview()": [() => store.preview(amounts, { limt: 5 } as Any), "limt"],
    "online()": [() => store.online(model, { driver: "ann" }, { When: "now" } as Any), "When"],
    "connect()": [() => connect({ clok: 1 } as Any), "clok"],
    "connect() of S3": [() => connect({ s3: { endpont: "x" } } as Any), "s3.endpont"],
    "apply()": [async () => (await store.publish(model)).apply({ onProgres: () => {} } as Any), "onProgres"],
    "catchUp()": [() => store.catchUp(undefined, { onprogress: () => {} } as Any), "onprogress"],
    "materialize()": [() => store.materialize("amounts", { from: "2001-01-01" } as Any), "from"],
    "history()": [() => store.history({ last: 5 } as Any), "last"],
    "skew()": [() => store.skew("amounts", { key: 5 } as Any), "key"],
    "audit()": [() => store.audit("model", { since: "2001-01-01" } as Any), "since"],
    "vacuum()": [() => store.vacuum({ aply: true } as Any), "aply"],
    "range()": [() => store.range("amounts", { start: "2001-01-01", stop: "2001-01-02" } as Any), "stop"],
    "view.profile()": [() => amounts.profile({ feature: "amount" } as Any), "feature"],
    "train.profile()": [
      async () =>
        (await store.train(model, rows.drop("amount"), { from: "source" })).profile({ lable: "amount" } as Any),
      "lable",
    ],
    "aggregate().preview()": [
      () => rows.by(driver).aggregate({ n: count() }, { windows: ["1d"] }).preview({ att: "2001-01-02" } as Any),
      "att",
    ],
    "source()": [() => model.source({ path: "absolute" } as Any), "path"],
    "join()": [() => rows.join(rows, "driver", { hwo: "left" } as Any), "hwo"],
    "sort()": [() => rows.sort({ by: "amount", ascending: false } as Any), "ascending"],
    "plot.bars()": [() => rows.plot.bars("driver", "amount", { colour: "driver" } as Any), "colour"],
    "plot.line()": [() => rows.plot.line("at", "amount", { hight: 100 } as Any), "hight"],
    "explain()": [() => store.explain(model, { driver: "ann" }, { feature: "amount" } as Any), "feature"],
  };
  it.each(Object.keys(calls))("%s", async (name) => {
    const [call, said] = calls[name]!;
    const refused = expect((async () => await call())()).rejects;
    await refused.toThrow(`${said}: there is no such option; there are `);
  });
});

describe("parts of definitions", () => {
  it("say what they are", () => {
    expect(String(mean(col("amount").times(2)).where(col("amount").gt(0)))).toBe("mean(amount * 2) where amount > 0");
    expect(String(amounts.select("amount").prefix("sum_").mapKeys({ driver: "other" }))).toBe(
      "selection of view amounts, looked up by driver from other\n  amount as sum_amount",
    );
  });
});

describe("a view that is defined and not published", () => {
  it("is told to be published", async () => {
    await expect(store.online(amounts, { driver: "ann" })).rejects.toThrow(
      'Cannot read view "amounts": it is not published; publish it',
    );
  });
});

describe("what is of the wrong kind is told with the way out", () => {
  const calls: Readonly<Record<string, [call: () => unknown, said: string]>> = {
    "text for a clock": [() => connect({ clock: "2001-01-01" } as Any), "clock: it is no clock; give one that stands"],
    "a promise for rows": [() => fromRows(rows.rows() as Any), "a promise (write await before what gives it)"],
    "a promise for a table": [() => table(rows.rows() as Any), "a promise (write await before what gives it)"],
    "a frame for a table": [() => table(rows as Any), "Cannot make a table of a Frame: give a list of rows"],
    "a promise to publish": [
      () => store.publish(Promise.resolve(model) as Any),
      "Cannot publish a promise (write await",
    ],
    "a frame for a part of a service": [() => service("model", [rows as Any]), "Cannot read features of a Frame: give"],
    "a window for a list": [
      () => rows.by(driver).aggregate({ n: count() }, { windows: "24h" } as Any),
      'windows: "24h" is no list; write { windows: ["24h"] }',
    ],
    "a join without keys": [() => (rows as Any).join(rows), "Cannot join without keys: name them, as in join(other"],
    "options of another library's sort": [() => (rows as Any).sort("amount", { ascending: false }), "descending("],
    "text along a line": [
      () => rows.plot.line("driver", "amount"),
      'along column "driver": it is string, and numbers or',
    ],
    "text as the height of bars": [
      () => rows.plot.bars("at", "driver"),
      'column "driver": it is string, and numbers are',
    ],
    "no keys": [() => (entity as Any)("driver"), 'name its join keys with their types, as in { origin: "string" }'],
    "a list of keys": [() => entity("driver", ["driver"] as Any), "name its join keys with their types"],
    "a type that does not exist": [() => entity("driver", { driver: "text" } as Any), 'Cannot use "text" as type of'],
    "a name for an entity": [() => rows.by("driver" as Any), "give an entity, as in by(entity("],
    "a frame without an entity": [() => view("v", rows as Any, daily as Any), "say what its rows are about"],
    "a view for a list": [() => service("model", amounts as Any), "give its views as a list"],
    "a name for a view": [() => service("model", ["amounts"] as Any), "give a view, or what was selected of it"],
    "a function for a column": [() => rows.filter(((row: Any) => row.amount > 5) as Any), "give a column's name or an"],
    "a constant of no type": [() => col("amount").eq((() => 5) as Any), "Cannot use a function as a constant"],
    "text that is no instant": [() => toMicros("yesterday"), 'Cannot read "yesterday" as an instant'],
    "an invalid date": [() => toMicros(new Date("x")), "Cannot use an invalid Date"],
    "a record for rows": [() => fromRows({ a: 1 } as Any), "give an array of objects"],
    "several to publish": [
      () => (store as Any).publish(amounts, model, driver),
      "give them as one list, as in publish(",
    ],
    "several to plan": [() => (store as Any).plan(amounts, driver), "give them as one list"],
    "a view and a list": [() => (store as Any).publish(amounts, [model]), "give them as one list"],
    "a frame and a view": [() => (store as Any).publish(rows.by(driver), amounts), "give them as one list"],
    "a record for a list of keys": [
      () => store.onlineDetails(model, { driver: "ann" } as Any),
      'Cannot read "model": give the keys of each request in a list',
    ],
    "times as text": [
      () => store.train(model, [{ driver: "ann", time: "2001-01-05" }] as Any, { from: "source" }),
      'cast one, as in derive({ time: col("time").cast("timestamp") })',
    ],
  };
  it.each(Object.keys(calls))("%s", async (name) => {
    const [call, said] = calls[name]!;
    const found: unknown = await (async () => await call())().catch((error: unknown) => error);
    expect(found).toMatchObject({ name: "VarveError", message: expect.stringContaining(said) });
  });
});
