/** Fuzzes a server over a real store by real sockets. */
import { Agent, request as httpRequest } from "node:http";
import fc from "fast-check";
import { startServer } from "../../cluster/server/server.ts";
import { clock, scoredContext, ServedStore, serverConfig } from "../cluster/server/served_store.ts";
import { startRedis } from "../support/redis.ts";
import { AnswerJudge, type FuzzAnswer } from "./answers.ts";
import { type FuzzRequest, type OpenApi, requestsFor } from "./requests.ts";
import type { Meanings } from "./schema_data.ts";

/** What is run. */
export interface FuzzOptions {
  readonly store: "lmdb" | "redis";
  /** How many requests. */
  readonly runs: number;
  readonly seed: number;
}

/** How many answers had which status, by operation. */
export type FuzzReport = Readonly<Record<string, Readonly<Record<string, number>>>>;

const keys = {
  checkout: { shop: "Zoë's", region: 7 },
  small: { user: "9007199254740993", active: true },
} as const;

/** Names that there are, and data that finds something. */
const common: Meanings = {
  workspaceName: ["default"],
  workspace: ["default"],
  requestContextMap: [{}],
  start_ts: ["2001-01-01T00:00:00", "1990-01-01"],
  end_ts: ["2001-01-04 00:00:00+02:00", "9999-12-31"],
  version: [null],
  async: ["true", "false"],
  force: ["true", "false"],
};
const scenarios: readonly Meanings[] = [
  {
    ...common,
    featureServiceName: ["checkout", "sold"],
    featureServiceId: ["checkout"],
    featureService: ["checkout", "sold"],
    joinKeyMap: [keys.checkout, { shop: null, region: "7" }, { shop: "none", region: -1 }],
    feature_service: [null],
    features: [["shop_stats:share", "shop_stats:vector"], ["shop_stats:recent", "traffic:labels_2d"]],
    entities: [{ shop: ["Zoë's", "old", null], region: [7, "7", 7] }],
    feature_views: [["shop_stats"], ["profile", "shop_stats"]],
  },
  {
    ...common,
    featureServiceName: ["small", "model"],
    featureServiceId: ["model"],
    featureService: ["small", "model"],
    joinKeyMap: [keys.small, { user: -1, active: false }],
    feature_service: ["small", "model"],
    features: [null, []],
    entities: [{ user: [9007199254740991, null], active: [true, false] }],
    feature_views: [null],
    workspace: ["default", "prod"],
    version: [null, "v1"],
  },
  {
    ...common,
    featureServiceName: ["scored"],
    featureServiceId: ["scored"],
    featureService: ["scored"],
    joinKeyMap: [keys.small],
    requestContextMap: [scoredContext, { ...scoredContext, amount: null, n: "9223372036854775807" }],
    feature_service: ["scored", null],
    features: [null, ["score:z_ratio", "profile:visits"]],
    entities: [{
      user: [-1],
      active: [false],
      ...Object.fromEntries(Object.entries(scoredContext).map(([name, value]) => [name, [value]])),
    }],
    feature_views: [["profile"]],
  },
];

/** Throws with the smallest request whose answer is wrong; gives what was answered. */
export async function fuzz({ store: kind, runs, seed }: FuzzOptions): Promise<FuzzReport> {
  const redis = kind === "redis" ? await startRedis() : undefined;
  const store = await ServedStore.open(redis ? { redis: redis.url } : {});
  const agent = new Agent({ keepAlive: true });
  try {
    await store.publish();
    const { queue } = store.parts();
    // What jobs do is not what is tried here.
    queue.work(async () => await Promise.resolve({ slices: 0, rows: 0 }));
    const server = await startServer({
      serving: await store.serving(),
      workspace: "default",
      clock,
      // Whoever asks shares the event loop.
      config: serverConfig,
      logger: store.logger,
      queue: async () => await Promise.resolve(queue),
    });
    try {
      return await attack(server.url, agent, { runs, seed }, () => store.logger.lines.filter(isFailure));
    } finally {
      agent.destroy();
      await server.close();
    }
  } finally {
    await store.close();
    await redis?.stop();
  }
}

/** The log has all answers from 500 on; those that may be were looked at when they came. */
function isFailure(line: object): boolean {
  const text = JSON.stringify(line);
  return text.includes('"request failed"') && !text.includes('"UNSUPPORTED"') && !text.includes('"TIMEOUT"');
}

async function attack(
  url: string,
  agent: Agent,
  { runs, seed }: { readonly runs: number; readonly seed: number },
  failures: () => readonly object[],
): Promise<FuzzReport> {
  const ask = (asked: FuzzRequest) => send(url, agent, asked);
  const api = JSON.parse(
    (await ask({ operation: "", method: "GET", path: "/openapi.json", headers: {} })).text,
  ) as OpenApi;
  const judge = new AnswerJudge(api);
  const report: Record<string, Record<string, number>> = {};
  const vector = async () => (await ask(known)).text;
  const before = await vector();
  await fc.assert(
    fc.asyncProperty(requestsFor(api, scenarios), async (asked) => {
      const answer = await ask(asked);
      const counts = report[asked.operation] ??= {};
      counts[answer.status] = (counts[answer.status] ?? 0) + 1;
      const problem = judge.problem(asked, answer);
      if (problem === undefined) return;
      throw new Error(`${problem}\n${describe(asked)}\n-> ${answer.status} ${answer.text.slice(0, 500)}`);
    }),
    { numRuns: runs, seed, interruptAfterTimeLimit: 3_600_000, markInterruptAsFailure: true },
  );
  if (await vector() !== before) throw new Error(`The server answers otherwise than before: ${await vector()}`);
  if (failures().length > 0) {
    throw new Error(`The server's log has failures: ${JSON.stringify(failures().slice(0, 3))}`);
  }
  return report;
}

const known: FuzzRequest = {
  operation: "",
  method: "POST",
  path: "/api/v1/feature-service/get-features",
  headers: { "content-type": "application/json" },
  body: new TextEncoder().encode(
    JSON.stringify({ params: { featureServiceName: "checkout", joinKeyMap: keys.checkout } }),
  ),
};

function describe({ method, path, headers, body }: FuzzRequest): string {
  const sent = body === undefined ? "" : ` ${new TextDecoder().decode(body).slice(0, 2_000)}`;
  return `${method} ${path} ${JSON.stringify(headers)}${sent}`;
}

/** One request; a connection that the server ends without an answer is a failure. */
function send(url: string, agent: Agent, { method, path, headers, body }: FuzzRequest): Promise<FuzzAnswer> {
  return new Promise((resolve, reject) => {
    const asked = httpRequest(url, {
      agent,
      method,
      path: path.replace(/[^\x21-\x7e]/g, (character) => encodeURIComponent(character)),
      headers: { ...latin(headers), ...(body && { "content-length": body.length }) },
      timeout: 10_000,
    }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk)).once("error", reject).once("end", () =>
        resolve({
          status: response.statusCode!,
          type: response.headers["content-type"] ?? "",
          text: Buffer.concat(chunks).toString(),
        }));
    });
    asked.once("timeout", () => asked.destroy(new Error("no answer within 10 s")));
    asked.once("error", reject);
    asked.end(body);
  });
}

/** Headers are bytes: other characters cannot be sent. */
function latin(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, value.replace(/[^\x20-\xff]/g, "?")]),
  );
}
