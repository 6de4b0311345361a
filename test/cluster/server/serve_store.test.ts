/** A server of a store that this process has open: it follows the store's clock, and nobody but this computer may ask. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, count, entity, fromRows, last, ManualClock, service, type Store, view } from "varve";
import { serve, type StoreServer } from "@varve/cluster";
import { featureClient } from "../../../sdk/client.ts";

const user = entity("user", { user: "string" });
const logins = fromRows([
  { user: "ann", at: new Date("2001-01-01T08:00Z"), city: "Oslo" },
  { user: "ann", at: new Date("2001-01-02T08:00Z"), city: "Rome" },
], { eventTimestamp: "at" });
const model = service("logins", [
  view(
    "user_logins",
    logins.by(user).aggregate({ logins: count(), city: last("city") }, { windows: ["7d"], every: "1d" }),
    { schedule: "1d", start: "2001-01-01", online: true },
  ),
]);

const clock = new ManualClock("2001-01-02T00:00Z");
let folder: string;
let store: Store;
let server: StoreServer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "varve-serve-"));
  store = await connect({ path: folder, clock, workspace: "here" });
  await (await store.publish(model)).apply();
  server = await serve(store);
});
afterAll(async () => {
  await server?.close();
  await store?.close();
  await rm(folder, { recursive: true, force: true });
});

describe("a server of an open store", () => {
  it("answers of its workspace, and sees what the store has done once it has looked", async () => {
    const client = featureClient({ url: server.url });
    expect(await client.features(model, { user: "ann" })).toEqual({ logins_7d: 1n, city_7d: "Oslo" });
    clock.advance("1d");
    await store.catchUp();
    await server.refresh();
    expect(await client.features(model, { user: "ann" })).toEqual({ logins_7d: 2n, city_7d: "Rome" });
    // The same clock: a week later nothing of it is in the window any more.
    clock.advance("9d");
    await store.catchUp();
    await server.refresh();
    expect(await client.features(model, { user: "ann" })).toEqual(await store.online(model, { user: "ann" }));
    expect(await store.online(model, { user: "ann" })).toEqual({ logins_7d: 0n, city_7d: null });
  });

  it("listens on this computer alone, has metrics, and says which port is taken", async () => {
    expect(new URL(server.url).hostname).toBe("127.0.0.1");
    expect(await (await fetch(`${server.url}/metrics`)).text()).toMatch(/varve_view_age_seconds\{view="user_logins"\}/);
    const port = Number(new URL(server.url).port);
    await expect(serve(store, { port })).rejects.toMatchObject({ code: "CONFLICT" });
  });

  it("is gone when it is closed, and the store is not", async () => {
    const other = await serve(store);
    await other.close();
    await other.close();
    await expect(fetch(`${other.url}/health`)).rejects.toThrow();
    expect(await store.online(model, { user: "ann" })).toBeDefined();
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
  });
});
