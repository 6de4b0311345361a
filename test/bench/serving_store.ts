/** What the benchmark of serving serves: three views of ten features, windows of the same number, and a thousand services. */
import { join } from "node:path";
import { connect } from "../../sdk/connect.ts";
import { entity } from "../../sdk/define/entity.ts";
import { realtimeView } from "../../sdk/define/realtime_view.ts";
import { service } from "../../sdk/define/service.ts";
import { view } from "../../sdk/define/view.ts";
import { count, max, mean, min, sum } from "../../sdk/frame/aggregates.ts";
import { col } from "../../sdk/frame/expr.ts";
import { requestTimestamp } from "../../sdk/frame/request_time.ts";
import { fromRows } from "../../sdk/frame/sources.ts";
import { openKeys } from "../../sdk/serving.ts";
import { formatTimestamp, systemClock } from "../../sdk/time.ts";

/** Keys that have values of all views, and are asked for again and again. */
export const users = 1_000;
/** Keys that have attributes: more than a server remembers anything of. */
export const allUsers = 21_000;

const services = 1_000;
const eventsEach = 60;
const days = 30;
const dayMicros = 86_400_000_000n;

const user = entity("user", { user: "int64" });
const today = systemClock.now() / dayMicros * dayMicros;
const start = formatTimestamp(today - BigInt(days) * dayMicros);
const settings = { schedule: "1d", start, online: true } as const;

/** A number in [0, 1) with all its digits, the same every time. */
function noise(...parts: readonly number[]): number {
  let hash = 0x811c9dc5;
  for (const part of parts) {
    for (let i = 0; i < 4; i++) hash = Math.imul(hash ^ ((part >>> (8 * i)) & 255), 0x01000193);
  }
  return ((hash ^ (hash >>> 15)) >>> 0) / 4_294_967_296;
}

/** Six numbers, two integers, a text and a flag; the first letter of a name says which. */
const kinds = ["d", "d", "d", "d", "d", "d", "i", "i", "s", "b"];
const types = { d: "float64", i: "int64", s: "string", b: "boolean" } as const;

function valueOf(kind: string, at: number): unknown {
  if (kind === "d") return at * 1_000 / 7;
  if (kind === "i") return BigInt(Math.floor(at * 100_000));
  return kind === "s" ? `segment ${Math.floor(at * 50)}` : at < 0.5;
}

const attributes = [0, 1, 2].map((v) => {
  const names = kinds.map((kind, i) => ({ name: `${kind}${v}${i}`, kind: kind as keyof typeof types }));
  // The compiler need know but the one that an expression reads.
  const schema = Object.fromEntries(names.map(({ name, kind }) => [name, types[kind]])) as { readonly d00: "float64" };
  const rows = Array.from({ length: allUsers }, (_, u) => ({
    user: BigInt(u),
    at: today - dayMicros / 2n,
    ...Object.fromEntries(names.map(({ name, kind }, i) => [name, valueOf(kind, noise(u, v, i))])),
  }));
  const frame = fromRows(rows, { schema: { user: "int64", at: "timestamp", ...schema }, eventTimestamp: "at" });
  return view(`view${v}`, frame.by(user), { ...settings, start: formatTimestamp(today - dayMicros) });
});

const windows = [0, 1, 2].map((v) => {
  const rows = Array.from({ length: users * eventsEach }, (_, e) => ({
    user: BigInt(e % users),
    at: today - 1n - BigInt(Math.floor(noise(e, v) * days * 86_400)) * 1_000_000n,
    amount: noise(e, v, 1) * 1_000 / 7,
  }));
  const frame = fromRows(rows, {
    schema: { user: "int64", at: "timestamp", amount: "float64" },
    eventTimestamp: "at",
  });
  return view(
    `windows${v}`,
    frame.by(user).aggregate(
      { count: count(), max: max("amount"), mean: mean("amount"), min: min("amount"), sum: sum("amount") },
      { windows: ["1d", "7d"], every: "1h" },
    ),
    settings,
  );
});

/** What an expression makes of the request and of a stored feature. */
const ratio = realtimeView("ratio", {
  request: { amount: "float64" },
  from: [attributes[0]!],
  features: { ratio: col("amount").divide(col("d00")), hour: requestTimestamp().dt.hour() },
});

/** A function of the same. */
const scored = realtimeView("scored", {
  request: { amount: "float64" },
  from: [attributes[0]!],
  output: { ratio: "float64", isLarge: "boolean" },
  compute: ({ amount, d00 }) => {
    const share = amount === null || d00 === null ? null : amount / d00;
    return { ratio: share, isLarge: (share ?? 0) > 1 };
  },
});

/** Publishes into a folder, and loads what is served; gives the text of a key that may read. */
export async function publish(folder: string, redis?: string): Promise<string> {
  const storage = join(folder, redis === undefined ? "lmdb" : "redis");
  const store = await connect({ storage, threads: 1, ...(redis !== undefined && { redis }) });
  const many = Array.from({ length: services }, (_, i) => service(`service${i}`, attributes));
  await (await store.plan([
    service("model", attributes),
    service("realtime", [...attributes, ratio]),
    service("function", [...attributes, scored]),
    service("windows", windows.map((each, v) => each.prefix(`w${v}_`))),
    ...many,
  ])).apply();
  await store.close();
  const keys = openKeys({ storage, author: "bench" });
  const { text } = await keys.ring.create({ name: "bench", workspaces: "all" });
  await keys.close();
  return text;
}
