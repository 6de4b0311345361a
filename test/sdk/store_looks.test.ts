/** Lists that a store gives show themselves, and are still lists. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, entity, fromRows, ManualClock, type Store, view } from "varve";

const trips = fromRows([{ driver: "ann", at: new Date("2001-01-01T08:00Z"), amount: 5 }], { eventTimestamp: "at" });
const amounts = view("amounts", trips.by(entity("driver", { driver: "string" })), {
  schedule: "1d",
  start: "2001-01-01",
  online: true,
});

let folder: string;
let store: Store;
const clock = new ManualClock("2001-01-03");
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "varve-looks-"));
  store = await connect({ path: folder, clock, author: "tester", workspace: "looks" });
});
afterAll(async () => {
  await store?.close();
  await rm(folder, { recursive: true, force: true });
});

describe("a store", () => {
  it("shows where it is, and how its views stand", async () => {
    expect(String(store)).toBe(`store of workspace looks in folder ${join(folder, "objects")}`);
    expect((await store.toMimeBundle())["text/html"]).toContain("workspace looks: nothing is published yet");
    const closed = await connect({ path: folder, clock, workspace: "closed" });
    await closed.close();
    expect((await closed.toMimeBundle())["text/plain"]).toMatch(/, closed$/);
  });
});

describe("lists that a store gives", () => {
  it("show the history as a table, and keep their elements", async () => {
    expect(String(await store.history())).toBe("no changes yet");
    await (await store.publish(amounts, { reason: "first <b>" })).apply();
    const history = await store.history();
    expect(Array.isArray(history)).toBe(true);
    expect(history.map(({ revision }) => revision)).toEqual([2, 1]);
    expect(Object.keys(history)).toEqual(["0", "1"]);
    expect(JSON.parse(JSON.stringify(history))).toMatchObject([{ author: "tester" }, { reason: "first <b>" }]);
    expect(inspect(history)).toMatch(/serves version 1 of view "amounts"/);
    expect((await history.toMimeBundle())["text/html"]).toContain("first &#60;b&#62;");
  });

  it("show what was due, or that nothing was", async () => {
    const done = await store.catchUp();
    expect(done).toHaveLength(1);
    expect(String(done)).toContain("nothing was due");
    clock.advance("1d");
    expect(String(await store.catchUp())).toMatch(/amounts +1 +1 /);
  });
});
