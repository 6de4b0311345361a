/** A published store over awkward values, and a server's routes over it: what server tests stand on. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConfig } from "../../../cluster/config.ts";
import type { ServerConfig } from "../../../cluster/config.ts";
import { newState } from "../../../cluster/server/guard.ts";
import { createApp, type ServerOptions, type ServerState } from "../../../cluster/server/server.ts";
import { connect, type ConnectOptions } from "../../../sdk/connect.ts";
import { entity } from "../../../sdk/define/entity.ts";
import { realtimeView } from "../../../sdk/define/realtime_view.ts";
import { service } from "../../../sdk/define/service.ts";
import { view } from "../../../sdk/define/view.ts";
import { count, last, mean, valueCounts } from "../../../sdk/frame/aggregates.ts";
import { col } from "../../../sdk/frame/expr.ts";
import { requestTimestamp } from "../../../sdk/frame/request_time.ts";
import { fromRows } from "../../../sdk/frame/sources.ts";
import { StoreParts } from "../../../sdk/store_parts.ts";
import { openServing, type Serving, type ServingOptions } from "../../../sdk/serving.ts";
import { ManualClock, toMicros } from "../../../sdk/time.ts";
import { LogRecorder } from "../../support/log_recorder.ts";

export const url = "/api/v1/feature-service/get-features";

export const serverConfig: ServerConfig = {
  ...readConfig({ env: {}, folder: tmpdir() }).server,
  port: 0,
  // A computer that runs tests is busy.
  maxLoopLagMs: 600_000,
  requestTimeoutMs: 20_000,
  bodyLimitBytes: 64 * 1024,
  accessLog: "off",
};

export const clock = new ManualClock("2001-01-06T00:00Z");

const user = entity("user", { user: "int64", active: "boolean" });
const at = (text: string) => toMicros(text);

const profile = view(
  "profile",
  fromRows([
    {
      user: 9_007_199_254_740_993n,
      active: true,
      at: at("2001-01-02T06:00Z"),
      visits: 9_007_199_254_740_995n,
      score: NaN,
      peak: Infinity,
      low: -Infinity,
      name: "Zoë",
      level: 7,
      seen: at("2001-01-02T05:00:00.000001Z"),
      likes: [1n, null],
    },
    {
      user: -1n,
      active: false,
      at: at("2001-01-03T06:00Z"),
      visits: null,
      score: 0.5,
      peak: null,
      low: -0,
      name: null,
      level: null,
      seen: null,
      likes: [],
    },
  ], {
    schema: {
      user: "int64",
      active: "boolean",
      at: "timestamp",
      visits: "int64",
      score: "float64",
      peak: "float64",
      low: "float64",
      name: "string",
      level: "int32",
      seen: "timestamp",
      likes: { list: "int64" },
    },
    eventTimestamp: "at",
  }).by(user),
  {
    schedule: "1d",
    start: "2001-01-01",
    online: true,
    features: {
      visits: { default: 0n },
      score: { description: "how good" },
      peak: true,
      low: true,
      name: true,
      level: true,
      seen: true,
      likes: true,
    },
    tags: { team: "growth" },
  },
);

const shop = entity("shop", { shop: "string", region: "int32" });

const shops = view(
  "shop_stats",
  fromRows([
    {
      shop: "Zoë's",
      region: 7,
      at: at("2001-01-04T06:00Z"),
      sales: 9_007_199_254_740_995n,
      share: 0.25,
      ratio: 0.5,
      open: true,
      label: "a.b",
      level: -3,
      recent: [9_007_199_254_740_993n, 2n],
      names: ["x", ""],
      vector: [0.5, -1],
    },
    { ...emptyShop("nulls"), at: at("2001-01-04T06:00:00.000001Z") },
    { ...emptyShop("old"), at: at("2001-01-02T06:00Z"), sales: 5n },
  ], {
    schema: {
      shop: "string",
      region: "int32",
      at: "timestamp",
      sales: "int64",
      share: "float64",
      ratio: "float32",
      open: "boolean",
      label: "string",
      level: "int32",
      recent: { list: "int64" },
      names: { list: "string" },
      vector: { list: "float32" },
    },
    eventTimestamp: "at",
  }).by(shop),
  { schedule: "1d", start: "2001-01-01", ttl: "3d", online: true, description: "What shops sell" },
);

function emptyShop(name: string) {
  const none = { sales: null, share: null, ratio: null, open: null, label: null, level: null };
  return { shop: name, region: 7, ...none, recent: null, names: null, vector: null };
}

const sales = fromRows(
  ([["01-04T06:00Z", "a", 1.5], ["01-04T07:00Z", "b", 2], ["01-05T08:00Z", "a", null]] as const).map(
    ([time, label, price]) => ({ shop: "Zoë's", region: 7, at: at(`2001-${time}`), label, price }),
  ),
  {
    schema: { shop: "string", region: "int32", at: "timestamp", label: "string", price: "float64" },
    eventTimestamp: "at",
  },
);

const traffic = view(
  "traffic",
  sales.by(shop).aggregate(
    { sold: count(), mean: mean("price"), lastLabels: last("label", 2), labels: valueCounts("label") },
    { windows: ["1d", "2d"], every: "1d" },
  ),
  { schedule: "1d", start: "2001-01-01", online: true },
);

const score = realtimeView("score", {
  request: {
    amount: "float64",
    n: "int64",
    since: "timestamp",
    day: "date",
    labels: { list: "string" },
    bytes: "binary",
  },
  from: [profile.select("level", "seen")],
  features: {
    z_ratio: col("amount").divide(col("level")),
    more: col("n").plus(1n),
    age: requestTimestamp().minus(col("since")),
    firstLabel: col("labels").list.first(),
    seen: "seen",
    a_day: "day",
    sameBytes: "bytes",
  },
  descriptions: { more: "one more" },
  tags: { team: "growth" },
});

/** What a request to {@link scored} gives beside keys, as JSON. */
export const scoredContext = {
  amount: "Infinity",
  n: "9007199254740993",
  since: "2001-01-05T23:59:59.999999Z",
  day: "2001-01-01",
  labels: ["x", null],
  bytes: "AQI=",
};

export const model = service("model", [profile]);
/** Features that are computed at the request, beside one that is stored. */
export const scored = service("scored", [profile.select("visits"), score.rename({ seen: "last_seen" })]);
/** Aggregates over windows. */
export const sold = service("sold", [traffic.select("sold_1d", "mean_1d", "mean_2d", "lastLabels_2d", "labels_2d")]);
/** Types that every public client knows. */
export const checkout = service("checkout", [shops]);
export const small = service("small", [profile.select("visits", "name").prefix("p_")]);

/** See the file's sentence. */
export class ServedStore {
  readonly folder: string;
  readonly options: ConnectOptions;
  readonly logger = new LogRecorder();
  readonly state: ServerState = newState();
  readonly #closers: (() => Promise<unknown>)[] = [];

  static async open(options: ConnectOptions = {}): Promise<ServedStore> {
    return new ServedStore(await mkdtemp(join(tmpdir(), "varve-server-")), options);
  }

  constructor(folder: string, options: ConnectOptions) {
    this.folder = folder;
    this.options = { storage: join(folder, "store"), clock, threads: 1, memoryLimit: "256MB", ...options };
  }

  async publish(): Promise<void> {
    const store = await connect(this.options);
    try {
      await (await store.plan([model, small, checkout, sold, scored])).apply();
    } finally {
      await store.close();
    }
  }

  async serving(options: Pick<ServingOptions, "observer"> = {}): Promise<Serving> {
    const serving = await openServing({ ...this.options, pollMs: 20, ...options });
    this.#closers.unshift(() => serving.close());
    return serving;
  }

  /** The store as whoever runs jobs has it. */
  parts(): StoreParts {
    const parts = new StoreParts(this.options);
    this.#closers.unshift(() => parts.close());
    return parts;
  }

  async app(
    config: Partial<ServerConfig> = {},
    more: Partial<ServerOptions> = {},
  ): Promise<ReturnType<typeof createApp>> {
    const app = createApp({
      serving: more.serving ?? await this.serving(),
      workspace: "default",
      clock,
      config: { ...serverConfig, ...config },
      logger: this.logger,
      ...more,
    }, this.state);
    this.#closers.unshift(async () => await app.close());
    return app;
  }

  async close(): Promise<void> {
    for (const close of this.#closers) await close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
