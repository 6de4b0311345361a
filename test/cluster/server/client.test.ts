import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from "vitest";
import { startServer } from "../../../cluster/server/server.ts";
import { type FeatureClient, featureClient } from "../../../sdk/client.ts";
import { Timestamp } from "../../../sdk/time.ts";
import { checkout, clock, model, ServedStore, serverConfig, type small } from "./served_store.ts";

let store: ServedStore;
let server: Awaited<ReturnType<typeof startServer>>;
let client: FeatureClient;
const zoe = { user: 9_007_199_254_740_993n, active: true };
const nobody = { user: 5n, active: true };

beforeAll(async () => {
  store = await ServedStore.open();
  await store.publish();
  server = await startServer({
    serving: await store.serving(),
    workspace: "default",
    clock,
    config: serverConfig,
    logger: store.logger,
  });
  client = featureClient({ url: server.url });
});
afterAll(async () => {
  await server.close();
  await store.close();
});

describe("a feature client", () => {
  it("gives features in the types of their definition", async () => {
    const features = await client.features(model, zoe);
    expectTypeOf(features.visits).toEqualTypeOf<bigint>();
    expectTypeOf(features.seen).toEqualTypeOf<Timestamp | null>();
    expect(features).toEqual({
      visits: 9_007_199_254_740_995n,
      score: NaN,
      peak: Infinity,
      low: -Infinity,
      name: "Zoë",
      level: 7,
      seen: new Timestamp(978_411_600_000_001n),
      likes: [1n, null],
    });
  });

  it("reads a service by its name, typed by its definition's type", async () => {
    const features = await client.features<typeof small>("small", zoe);
    expectTypeOf(features).toEqualTypeOf<{ p_visits: bigint; p_name: string | null }>();
    expect(features).toEqual({ p_visits: 9_007_199_254_740_995n, p_name: "Zoë" });
    // @ts-expect-error a join key is missing
    await expect(client.features<typeof small>("small", { user: 1n })).rejects.toThrow(/"active" is missing/);
  });

  it("tells what became of each look-up", async () => {
    const details = await client.details("small", { user: null, active: true });
    expect(details[0]).toMatchObject({ name: "p_name", view: "profile", value: null, status: "NULL_KEY" });
    const [name] = await client.details("small", zoe);
    expect(name).toMatchObject({ status: "PRESENT", effective: new Timestamp(978_480_000_000_000n) });
  });

  it("reads many keys in their order", async () => {
    const keys = Array.from({ length: 1_500 }, (_, i) => i % 2 === 0 ? zoe : nobody);
    const found = await client.featuresOf<typeof small>("small", keys);
    expect(found.map(({ p_name }) => p_name)).toEqual(keys.map((key) => key === zoe ? "Zoë" : null));
    const shops = await client.featuresOf(checkout, [{ shop: "Zoë's", region: 7 }]);
    expect(shops[0]).toMatchObject({ ratio: 0.5, recent: [9_007_199_254_740_993n, 2n], vector: [0.5, -1] });
  });

  it("joins calls of one moment, and keeps one caller's mistake from the others", async () => {
    const paths: string[] = [];
    const batching = featureClient({
      url: server.url,
      batch: {},
      fetch: async (url, init) => {
        paths.push(new URL(url as string).pathname.split("/").at(-1)!);
        return await fetch(url, init);
      },
    });
    const calls = await Promise.all([zoe, nobody, zoe].map((key) => batching.features<typeof small>("small", key)));
    expect(calls.map(({ p_name }) => p_name)).toEqual(["Zoë", null, "Zoë"]);
    expect(paths).toEqual(["get-features-batch"]);
    const mixed = await Promise.allSettled([
      batching.features<typeof small>("small", zoe),
      batching.features("small", { user: "no number", active: true }),
    ]);
    expect(mixed.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
  });

  it("refuses options that there are not, with those there are", async () => {
    const signal = AbortSignal.abort();
    const calls = [
      client.features("small", zoe, { sginal: signal } as never),
      client.featuresOf("small", [zoe], { requests: [{}] } as never),
      client.details("small", zoe, { timeoutMs: 5 } as never),
    ];
    const said = (await Promise.allSettled(calls)).map((each) => each.status === "rejected" && each.reason);
    expect(said).toMatchObject(["sginal", "requests", "timeoutMs"].map((name) => ({
      code: "INVALID_REQUEST",
      message: `Cannot read "small": ${name}: there is no such option; there are request, signal`,
    })));
    const made = (options: object) => () => featureClient({ url: server.url, ...options });
    expect(made({ timeout: 5 })).toThrow(
      "Cannot make a client: timeout: there is no such option; there are url, key, workspace, timeoutMs, retries, hedgeAfterMs, batch, fetch",
    );
    expect(made({ batch: { rows: 5 } })).toThrow("batch.rows: there is no such option; there are maxRows, waitMs");
    expect(made({ batch: { maxRows: 5, waitMs: 0 }, hedgeAfterMs: 9, retries: 1, workspace: "w" })).not.toThrow();
  });

  it("says what the server says", async () => {
    await expect(client.features("none", zoe)).rejects.toMatchObject({ code: "NOT_FOUND" });
    const elsewhere = featureClient({ url: server.url, workspace: "elsewhere" });
    await expect(elsewhere.features("small", zoe)).rejects.toThrow(/this server serves "default"/);
  });

  it("runs in Deno as it is, with no permission but for the network", async () => {
    const source = JSON.stringify(new URL("../../../sdk/client.ts", import.meta.url).href);
    const program = `
      import { featureClient } from ${source};
      const client = featureClient({ url: ${JSON.stringify(server.url)}, batch: {}, hedgeAfterMs: 1_000 });
      const [one, two] = await Promise.all([9007199254740993n, 5n].map((user) =>
        client.features("small", { user, active: true })));
      console.log(one.p_name, one.p_visits === 9007199254740995n, two.p_name);
    `;
    const deno = createRequire(import.meta.url).resolve("deno/bin.cjs");
    const args = [deno, "run", "--no-config", "--no-check", `--allow-net=${new URL(server.url).host}`, "-"];
    const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "pipe"] });
    child.stdin.end(program);
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
    expect([out, err]).toEqual(["Zo\u00eb true null\n", ""]);
  });

  it("asks for nothing that only Node has, so that browsers load it", async () => {
    const seen = new Set<string>();
    const visit = async (file: URL): Promise<void> => {
      if (seen.has(file.href)) return;
      seen.add(file.href);
      const code = await readFile(file, "utf8");
      expect(code).not.toMatch(/\b(process|Buffer|require|__dirname)\b[.(]/);
      for (const [, target] of code.matchAll(/^(?:import|export)\s[^"';]*?from\s+"([^"]+)"|\bimport\(\s*"([^"]+)"/gm)) {
        expect(target).toMatch(/^\.\.?\//);
        await visit(new URL(target!, file));
      }
    };
    await visit(new URL("../../../sdk/dist/client.js", import.meta.url));
    expect(seen.size).toBeGreaterThan(4);
  });
});
