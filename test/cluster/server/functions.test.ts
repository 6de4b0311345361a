/** Realtime views of a function over HTTP: what is answered, what fails alone, and what becomes of their processes. */
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openServer } from "../../../cluster/server/open_server.ts";
import { readConfig } from "../../../cluster/config.ts";
import { featureClient } from "../../../sdk/client.ts";
import { connect } from "../../../sdk/connect.ts";
import { entity } from "../../../sdk/define/entity.ts";
import { realtimeView } from "../../../sdk/define/realtime_view.ts";
import { service } from "../../../sdk/define/service.ts";
import { view } from "../../../sdk/define/view.ts";
import { fromRows } from "../../../sdk/frame/sources.ts";
import { findDeno } from "../../../sdk/sandbox/find_deno.ts";
import { systemClock, toMicros } from "../../../sdk/time.ts";
import { LogRecorder } from "../../support/log_recorder.ts";
import { clock, ServedStore } from "./served_store.ts";
import { sandboxes } from "../../support/sandboxes.ts";

const user = entity("user", { user: "string" });
const spend = view(
  "spend",
  fromRows([{ user: "ann", at: toMicros("2001-01-03T06:00Z"), usual: 4 }], {
    schema: { user: "string", at: "timestamp", usual: "float64" },
    eventTimestamp: "at",
  }).by(user),
  { schedule: "1d", start: "2001-01-01", online: true },
);

/** A view that does what it is asked to: fail, loop, take all memory. */
function risk(factor: 1 | 2) {
  const options = {
    request: { amount: "float64", order: "string" },
    from: [spend],
    output: { score: "float64", n: "int64", seen: "timestamp" },
  } as const;
  return factor === 1
    ? realtimeView("risk", {
      ...options,
      compute: ({ amount, order, usual, requestTimestamp }) => {
        if (order === "throw") throw new Error("as ordered");
        while (order === "loop") { /* forever */ }
        const kept: Uint8Array[] = [];
        while (order === "hog") kept.push(new Uint8Array(50_000_000).fill(1));
        if (order === "text") return { score: "much" as unknown as number, n: 1, seen: null };
        return { score: (amount ?? 0) / (usual ?? 1), n: 9_007_199_254_740_993n, seen: requestTimestamp };
      },
    })
    : realtimeView("risk", {
      ...options,
      compute: ({ amount, usual }) => ({ score: 2 * (amount ?? 0) / (usual ?? 1), n: 1, seen: null }),
    });
}

const plain = service("plain", [spend]);
const model = service("model", [risk(1), spend]);

const store = await ServedStore.open();
let server: Awaited<ReturnType<typeof open>>;
beforeAll(async () => {
  await publish(1);
  server = await open();
});
afterAll(async () => {
  await server.close();
  await server.release();
  expect(sandboxes()).toEqual([]);
  await store.close();
});

async function publish(factor: 1 | 2): Promise<void> {
  const writer = await connect(store.options);
  try {
    await (await writer.plan([plain, service("model", [risk(factor), spend])])).apply();
  } finally {
    await writer.close();
  }
}

async function open(env: Record<string, string> = {}, logger = new LogRecorder()) {
  return await openServer({
    config: {
      ...readConfig({
        env: { VARVE_PORT: "0", VARVE_REQUEST_TIMEOUT_MS: "4000", VARVE_MAX_LOOP_LAG_MS: "600000", ...env },
        folder: store.folder,
      }),
      storage: join(store.folder, "store"),
      clock,
    },
    auth: false,
    keysClock: systemClock,
    version: "1.0.0",
    logger,
  });
}

/** A request for each order. */
async function ask(orders: readonly string[], { url } = server, more = {}) {
  const response = await fetch(`${url}/api/v1/feature-service/get-features-batch`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      params: {
        ...more,
        featureServiceName: "model",
        requestData: orders.map((order) => ({
          joinKeyMap: { user: "ann" },
          requestContextMap: { amount: 14, order },
        })),
      },
    }),
  });
  const body = await response.json() as {
    code?: string;
    message?: string;
    details?: object;
    result?: { features: unknown[] }[];
  };
  return { status: response.status, ...body, vectors: body.result?.map(({ features }) => features) };
}

async function askPlain({ url } = server) {
  return await featureClient({ url }).features("plain", { user: "ann" });
}

const right = [3.5, "9007199254740993", "2001-01-06T00:00:00Z", 4];

describe("get-features, of functions", () => {
  it("answers what they give, as training has it", async () => {
    expect(await ask(["", ""])).toMatchObject({ status: 200, vectors: [right, right] });
    const client = featureClient({ url: server.url });
    expect(
      await client.features<typeof model>("model", { user: "ann" }, {
        request: { amount: 2, order: null },
      }),
    ).toEqual({
      score: 0.5,
      n: 9_007_199_254_740_993n,
      seen: expect.anything(),
      usual: 4,
    });
  });

  it("is ready before anybody asks: the process runs already", async () => {
    const other = await open();
    try {
      expect(await metric("varve_function_starts_total", other)).toBe(1);
      await ask([""], other);
      expect(await metric("varve_function_starts_total", other)).toBe(1);
      expect(await metric("varve_function_duration_seconds_count", other)).toBe(1);
    } finally {
      await other.close();
      await other.release();
    }
  });

  it("says which row has no answer and why", async () => {
    expect(await ask(["", "throw"])).toMatchObject({
      status: 422,
      code: "FUNCTION_FAILED",
      message: 'Cannot compute realtime view "risk" for row 1 of 2, from 0: it threw as ordered',
      details: { view: "risk", row: 1 },
    });
    expect(await ask(["text"])).toMatchObject({
      status: 422,
      message: expect.stringContaining('for the request: its answer, field "score", is a string of 4 characters'),
    });
    expect(await metric('varve_function_failures_total{view="risk",code="FUNCTION_FAILED"}')).toBe(2);
  });

  it("fails for the caller alone whose row it is, where a client joins calls", async () => {
    const paths: string[] = [];
    const client = featureClient({
      url: server.url,
      batch: {},
      fetch: async (url, init) => {
        paths.push(new URL(url as string).pathname.split("/").at(-1)!);
        return await fetch(url, init);
      },
    });
    const call = (order: string) =>
      client.features<typeof model>("model", { user: "ann" }, { request: { amount: 14, order } });
    const [first, wrong, last] = await Promise.allSettled([call(""), call("throw"), call("")]);
    expect(paths[0]).toBe("get-features-batch");
    expect([first, last]).toEqual(
      Array.from({ length: 2 }, () => ({ status: "fulfilled", value: expect.objectContaining({ score: 3.5 }) })),
    );
    expect(wrong).toMatchObject({
      status: "rejected",
      reason: {
        code: "FUNCTION_FAILED",
        message: 'Cannot compute realtime view "risk" for the request: it threw as ordered',
      },
    });
  });

  it("ends what takes too long or too much memory; other services answer meanwhile, and it answers again", async () => {
    const loop = ask(["loop"]);
    expect(await askPlain()).toEqual({ usual: 4 });
    expect(await loop).toMatchObject({ status: 504, code: "TIMEOUT" });
    expect(await eventually()).toEqual([right]);
    const hog = await ask(["hog"]);
    expect([422, 504, 507]).toContain(hog.status);
    expect(await askPlain()).toEqual({ usual: 4 });
    expect(await eventually()).toEqual([right]);
  });

  it("answers those who ask together with one whose function never ends", async () => {
    const [loop, ...others] = await Promise.all(["loop", ...Array(12).fill("")].map((order) => ask([order])));
    expect(loop).toMatchObject({ status: 504, code: "TIMEOUT" });
    expect(others.map(({ status, vectors }) => [status, vectors])).toEqual(Array(12).fill([200, [right]]));
  });

  it("answers what is stored when a function is late, to whoever wants that", async () => {
    const late = {
      status: 200,
      vectors: [[null, null, null, 4], [null, null, null, 4]],
      metadata: {
        features: [
          ...Array(3).fill({ status: ["TIME_OUT", "TIME_OUT"], reason: ["TIME_OUT", "TIME_OUT"] }),
          { status: ["PRESENT", "PRESENT"], reason: ["PRESENT", "PRESENT"] },
        ],
      },
    };
    const metadataOptions = { includeServingStatus: true };
    expect(await ask(["", "loop"], server, { allowPartialResults: true, metadataOptions })).toMatchObject(late);
    expect(await eventually()).toEqual([right]);
    const budget = { requestOptions: { latencyBudgetMs: 300 }, metadataOptions };
    expect(await ask(["", "loop"], server, budget)).toMatchObject(late);
    expect(await eventually()).toEqual([right]);
  });

  it("survives the death of its process under load", async () => {
    for (let round = 0; round < 3; round += 1) {
      const asked = Array.from({ length: 30 }, () => ask([""]));
      for (const pid of sandboxes()) process.kill(pid, "SIGKILL");
      for (const answer of await Promise.all(asked)) {
        if (answer.status === 200) expect(answer.vectors).toEqual([right]);
        else expect(answer).toMatchObject({ status: 503, code: "UNAVAILABLE" });
      }
      expect(await ask([""])).toMatchObject({ status: 200, vectors: [right] });
    }
    expect(await metric("varve_function_starts_total")).toBeGreaterThan(2);
  });

  it("changes with what is published, and ends what serves no more", async () => {
    await publish(2);
    await server.refresh();
    expect(await ask([""])).toMatchObject({ vectors: [[7, "1", null, 4]] });
    await expect.poll(() => metric("varve_function_processes")).toBe(1);
    await publish(1);
    await server.refresh();
    expect(await ask([""])).toMatchObject({ vectors: [right] });
  });
});

it("serves what was published before until the function of what is new has started", async () => {
  // Starts late, and says so.
  const starts = join(store.folder, "starts");
  const late = join(store.folder, "late.sh");
  await writeFile(late, `#!/bin/sh\n/bin/sleep 0.3\necho started >> ${starts}\nexec ${findDeno()} "$@"\n`);
  await chmod(late, 0o700);
  const other = await open({ VARVE_DENO: late });
  try {
    const started = async () => (await readFile(starts, "utf8")).split("\n").length - 1;
    expect([await started(), (await ask([""], other)).vectors]).toEqual([1, [right]]);
    await publish(2);
    await other.refresh();
    expect([await started(), (await ask([""], other)).vectors]).toEqual([2, [[7, "1", null, 4]]]);
  } finally {
    await other.close();
    await other.release();
    await publish(1);
    await server.refresh();
  }
});

describe("a server without Deno", () => {
  it("refuses what needs a function, and serves the rest", async () => {
    const logger = new LogRecorder();
    const poor = await open({ VARVE_DENO: join(store.folder, "none") }, logger);
    try {
      expect(await askPlain(poor)).toEqual({ usual: 4 });
      expect(await ask([""], poor)).toMatchObject({
        status: 503,
        code: "UNAVAILABLE",
        message: expect.stringMatching(/^Cannot read service "model": Cannot run published functions: .*no executable/),
      });
      const reason = expect.stringMatching(
        /^realtime view "risk" cannot be computed: Cannot run published functions: .*no executable/,
      );
      await expect.poll(() => readiness(poor)).toEqual({ status: 200, ready: true, problems: [], degraded: [reason] });
      await expect.poll(() => readiness()).toEqual({ status: 200, ready: true, problems: [], degraded: [] });
      expect(await metric("varve_function_unable", poor)).toBe(1);
      expect(await metric("varve_function_unable")).toBe(0);
      expect(JSON.stringify(logger.lines)).toContain("cannot run the function of a realtime view");
    } finally {
      await poor.close();
      await poor.release();
    }
  });
});

/** The answer to an ordinary request, once what was ended has been replaced. */
async function eventually() {
  await expect.poll(async () => (await ask([""])).status).toBe(200);
  return (await ask([""])).vectors;
}

async function readiness({ url } = server) {
  const response = await fetch(`${url}/ready`);
  return { status: response.status, ...await response.json() as object };
}

async function metric(name: string, { url } = server): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text.split("\n").find((each) => each.startsWith(`${name} `));
  if (line === undefined) {
    throw new Error(`no ${name} in ${text.split("\n").filter((each) => each.includes("function"))}`);
  }
  return Number(line.split(" ").at(-1));
}
