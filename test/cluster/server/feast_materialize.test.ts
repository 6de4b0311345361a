import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ServerOptions, startServer } from "../../../cluster/server/server.ts";
import { jobHandler } from "../../../sdk/materialize/run.ts";
import type { Queue } from "../../../sdk/queue/queue.ts";
import type { RegisteredView, ViewVersion } from "../../../sdk/registry/state.ts";
import type { Serving } from "../../../sdk/serving.ts";
import { clock, ServedStore, serverConfig } from "./served_store.ts";

const store = await ServedStore.open();
let url: string;
let queue: Queue;
let work: () => { close(): Promise<void> };

beforeAll(async () => {
  await store.publish();
  const parts = store.parts();
  queue = parts.queue;
  work = () => queue.work(jobHandler(parts.runContext()));
  url = await listening({ queue: async () => await Promise.resolve(queue) });
});
afterAll(() => store.close());

async function listening(options: Partial<ServerOptions>): Promise<string> {
  return await (await store.app({}, options)).listen({ host: "127.0.0.1", port: 0 });
}

async function ask(path: string, payload: object, at = url) {
  const response = await fetch(at + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(payload),
  });
  // deno-lint-ignore no-explicit-any
  return { status: response.status, body: await response.json() as any };
}

const days = { start_ts: "2001-01-02T00:00:00", end_ts: "2001-01-04 12:00:00+00:00" };
const job = (view: string, start: string, end: string, overwrite: boolean) => ({
  name: "materialize",
  workspace: "default",
  view,
  version: 1,
  start: `${start}T00:00:00Z`,
  end: `${end}T00:00:00Z`,
  overwrite,
  reason: "manual",
});

describe("/materialize", () => {
  it("puts jobs in line, and refuses while they wait or run, unless forced", async () => {
    const accepted = await ask("/materialize?async=true", { ...days, feature_views: ["shop_stats"] });
    expect(accepted).toEqual({
      status: 202,
      body: { status: "accepted", feature_views: ["shop_stats"], jobs: [expect.any(String)] },
    });
    const [record] = await queue.list();
    // Slices are cut from days that the range touches, and computed again.
    expect(record).toMatchObject({
      id: accepted.body.jobs[0],
      state: "waiting",
      job: job("shop_stats", "2001-01-02", "2001-01-05", true),
    });
    expect(await ask("/materialize?async=True", days)).toMatchObject({
      status: 409,
      body: { code: "CONFLICT", details: { feature_views: ["shop_stats"] } },
    });
    expect(await ask("/materialize-incremental?async=1&force=0", { end_ts: "2001-01-04" })).toMatchObject({
      status: 409,
    });
    const other = await ask("/materialize?async=true", { ...days, feature_views: ["profile"] });
    expect(other.body.feature_views).toEqual(["profile"]);
    expect(await ask("/materialize?async=true&force=true", { ...days, feature_views: ["shop_stats"] })).toEqual(
      accepted,
    );
    expect(await queue.list()).toHaveLength(2);
  });

  it("waits until it is done, and online", async () => {
    const running = work();
    const answer = await ask("/materialize", days);
    expect(answer).toEqual({
      status: 200,
      body: {
        status: "done",
        feature_views: ["profile", "shop_stats", "traffic"],
        versions: [
          { name: "profile", version: 1, slices: 3, rows: 2, online_rows: expect.any(Number) },
          { name: "shop_stats", version: 1, slices: 3, rows: 3, online_rows: expect.any(Number) },
          { name: "traffic", version: 1, slices: 3, rows: expect.any(Number), online_rows: expect.any(Number) },
        ],
      },
    });
    const all = { disable_event_timestamp: true, feature_views: ["profile"], version: "v1", full_feature_names: true };
    expect((await ask("/materialize", all)).body.versions).toMatchObject([{ name: "profile", slices: 5, rows: 2 }]);
    // Nothing is missing, and nothing is computed again.
    const { body } = await ask("/materialize-incremental", { end_ts: "2001-01-04T00:00:00" });
    expect(body.versions).toMatchObject(
      ["profile", "shop_stats", "traffic"].map((name) => ({ name, slices: 0 })),
    );
    const early = { start_ts: "1990-01-01", end_ts: "1990-02-01", feature_views: ["profile"] };
    expect((await ask("/materialize", early)).body.versions).toMatchObject([{ name: "profile", slices: 0, rows: 0 }]);
    await running.close();
  });

  it("tells why a job failed", async () => {
    const running = queue.work(async () => await Promise.reject(new TypeError("no such file")));
    const submitted = ask("/materialize", { ...days, feature_views: ["profile"] });
    const delayed = () => queue.list({ states: ["delayed"] });
    await expect.poll(async () => (await delayed()).length).toBe(1);
    await queue.cancel((await delayed())[0]!.id, "by hand");
    const message = expect.stringMatching(/it was cancelled: by hand/);
    expect(await submitted).toMatchObject({ status: 499, body: { code: "CANCELLED", message } });
    await running.close();
  });

  it("waits for nobody: neither for a client that has gone, nor while the server ends", async () => {
    const signals: AbortSignal[] = [];
    const watched = new Proxy(queue, {
      get: (target, name) => {
        const member = target[name as keyof Queue] as unknown;
        if (name !== "finished") return typeof member === "function" ? member.bind(target) as unknown : member;
        return async (id: string, options: { signal: AbortSignal }) => {
          signals.push(options.signal);
          return await target.finished(id, options);
        };
      },
    });
    const ending = await startServer({
      serving: await store.serving(),
      workspace: "default",
      clock,
      config: serverConfig,
      logger: store.logger,
      queue: async () => await Promise.resolve(watched),
    });
    const headers = { "content-type": "application/json" };
    const gone = request(`${ending.url}/materialize`, { method: "POST", headers });
    gone.on("error", () => {});
    gone.end(JSON.stringify({ ...days, feature_views: ["profile"] }));
    await expect.poll(() => signals.length).toBe(1);
    expect(signals[0]!.aborted).toBe(false);
    gone.destroy();
    await expect.poll(() => signals[0]!.aborted).toBe(true);
    const waiting = ask("/materialize", { ...days, feature_views: ["profile"] }, ending.url);
    await expect.poll(() => signals.length).toBe(2);
    const closed = ending.close();
    expect(await waiting).toMatchObject({
      status: 503,
      body: { code: "UNAVAILABLE", message: "Cannot wait for the jobs any longer: the server ends; they go on" },
    });
    await closed;
    expect(await queue.list({ states: ["waiting"] })).toHaveLength(1);
  });

  it("says where it could be done, where there is no queue", async () => {
    const lone = await listening({});
    for (const path of ["/materialize", "/materialize-incremental"]) {
      expect(await ask(path, days, lone)).toMatchObject({
        status: path === "/materialize" ? 501 : 400,
      });
    }
    expect((await ask("/materialize", days, lone)).body.message).toMatch(/has no queue.*varve materialize VIEW/);
  });
});

describe("/materialize, asked wrongly,", () => {
  let other: string;
  beforeAll(async () => {
    other = await listening({ queue: async () => await Promise.resolve(queue) });
  });
  it.each([
    ["no times", {}, 400, /start_ts and end_ts are missing/],
    ["no start", { end_ts: "2001-01-02" }, 400, /start_ts and end_ts are missing/],
    ["null times", { start_ts: null, end_ts: null }, 400, /start_ts and end_ts are missing/],
    ["times that are none", { ...days, end_ts: "yesterday" }, 400, /end_ts is wrong: Cannot read "yesterday"/],
    ["numbers as times", { ...days, end_ts: 5 }, 400, /end_ts must be string/],
    [
      "a range that ends before it starts",
      { start_ts: "2001-01-03", end_ts: "2001-01-03" },
      400,
      /must be before end_ts/,
    ],
    [
      "an unknown view",
      { ...days, feature_views: ["a", "profile", "constructor"] },
      404,
      /"a", "constructor": views are/,
    ],
    ["no view", { ...days, feature_views: [] }, 400, /feature_views must NOT have fewer/],
    ["a version of all views", { ...days, version: "v1" }, 400, /name the one view/],
    ["an unknown version", { ...days, version: "v9", feature_views: ["profile"] }, 404, /its versions are 1/],
    ["a version that is none", { ...days, version: "latest", feature_views: ["profile"] }, 400, /version must match/],
    ["an unknown field", { ...days, views: [] }, 400, /additional properties: "views"/],
  ])("refuses %s", async (_, payload, status, message) => {
    const answer = await ask("/materialize?async=true", payload, other);
    expect([answer.status, Object.keys(answer.body)]).toEqual([status, ["error", "code", "message", "details"]]);
    expect(answer.body.message).toMatch(message);
  });

  it("refuses switches that are none", async () => {
    for (const query of ["async=maybe", "async", "force=2", "wait=1"]) {
      expect(await ask(`/materialize?${query}`, days, other)).toMatchObject({
        status: 400,
        body: { code: "INVALID_REQUEST" },
      });
    }
  });

  it("refuses more than a queue should get at once", async () => {
    const serving = await store.serving();
    const { views } = await serving.definitions();
    const [version] = views["profile"]!.versions;
    const definition = { ...version!.definition, schedule: "1h", start: "1990-01-01" } as ViewVersion["definition"];
    const many = Array.from({ length: 100 }, (_, i): [string, RegisteredView] => {
      const name = `v${i}`;
      return [name, { name, serving: 1, versions: [{ ...version!, definition: { ...definition, name } }] }];
    });
    const crowded: Serving = Object.create(serving, {
      definitions: { value: async () => await Promise.resolve({ views: Object.fromEntries(many) }) },
    });
    const at = await listening({ serving: crowded, queue: async () => await Promise.resolve(queue) });
    const all = { disable_event_timestamp: true };
    expect(await ask("/materialize?async=true", all, at)).toMatchObject({
      status: 400,
      body: { message: expect.stringMatching(/it takes \d+ jobs, and the limit is 10000/) },
    });
    expect((await ask("/materialize?async=true", { ...all, feature_views: ["v0"] }, at)).status).toBe(202);
  });

  it("is told when the queue is down", async () => {
    const { VarveError } = await import("../../../sdk/errors.ts");
    const down = await listening({
      queue: async () => await Promise.reject(new VarveError("UNAVAILABLE", "Cannot use the queue: Redis is away")),
    });
    expect(await ask("/materialize", days, down)).toMatchObject({ status: 503, body: { code: "UNAVAILABLE" } });
  });
});
