import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ServerMetrics } from "../../../cluster/server/metrics.ts";
import { GatheredMetrics } from "../../../cluster/server/metrics_gathered.ts";
import type { ToMember } from "../../../cluster/server/process_messages.ts";
import { ManualClock } from "../../../sdk/time.ts";
import { ServedStore, url } from "./served_store.ts";

const about = { version: "1.2.3", workspace: "default" };

/** Reads OpenMetrics text by the rules of its grammar; values by `name{labels}`. */
function readOpenMetrics(text: string): Map<string, number> {
  const lines = text.split("\n");
  expect(lines.slice(-2)).toEqual(["# EOF", ""]);
  const types = new Map<string, string>();
  const values = new Map<string, number>();
  let family = "";
  for (const line of lines.slice(0, -2)) {
    const described = /^# (HELP|TYPE) ([a-z_0-9]+) (.+)$/.exec(line);
    if (described) {
      family = described[2]!;
      if (described[1] === "TYPE") {
        expect(types.has(family), `${family} twice`).toBe(false);
        types.set(family, described[3]!);
      }
      continue;
    }
    const sample = /^([a-z_0-9]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? (-?[0-9.e+-]+|NaN|[+-]Inf)$/.exec(line);
    expect(sample, line).not.toBeNull();
    const [, name, labels = "", value] = sample!;
    const suffixes: Readonly<Record<string, readonly string[]>> = {
      counter: ["_total"],
      histogram: ["_bucket", "_sum", "_count"],
      gauge: [""],
    };
    expect(suffixes[types.get(family)!]!.map((suffix) => family + suffix), line).toContain(name);
    expect(values.has(name! + labels), `${line} twice`).toBe(false);
    values.set(name! + labels, Number(value));
  }
  const buckets = new Map<string, number[]>();
  for (const [key, value] of values) {
    const bucket = /^(.*)_bucket\{le="[^"]*",?(.*)\}$/.exec(key);
    if (!bucket) continue;
    const count = `${bucket[1]}_count${bucket[2] && `{${bucket[2]}}`}`;
    buckets.set(count, [...buckets.get(count) ?? [], value]);
  }
  for (const [key, counts] of buckets) {
    expect(counts, key).toEqual(counts.toSorted((x, y) => x - y));
    expect(counts.at(-1), key).toBe(values.get(key));
  }
  return values;
}

let store: ServedStore;
beforeAll(async () => {
  store = await ServedStore.open();
  await store.publish();
});
afterAll(() => store.close());

describe("/metrics", () => {
  it("tells, as OpenMetrics, what was asked and how it went", async () => {
    const metrics = new ServerMetrics(about);
    const serving = await store.serving({ observer: metrics });
    const clock = new ManualClock("2001-01-06T00:00Z");
    metrics.follow({ serving, clock, load: () => ({ inFlight: 3, connections: 9 }), keys: () => 2 });
    const app = await store.app({}, { metrics, serving });
    const ask = async (featureServiceName: string, user: number | null) => {
      const params = { featureServiceName, joinKeyMap: { user, active: false } };
      return await app.inject({ method: "POST", url, payload: { params } });
    };
    for (const user of [-1, -1, 5, null]) expect((await ask("small", user)).statusCode).toBe(200);
    for (const name of ["none", "other", "__proto__"]) expect((await ask(name, 1)).statusCode).toBe(404);
    await app.inject("/nothing");
    const answer = await app.inject("/metrics");
    expect(answer.headers["content-type"]).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
    const values = readOpenMetrics(answer.body);
    const told = (start: string) => Object.fromEntries([...values].filter(([name]) => name.startsWith(start)));
    expect(told("varve_request_duration_seconds_count")).toEqual({
      [`varve_request_duration_seconds_count{service="small",route="${url}",status="2xx"}`]: 4,
      // What clients make up is no label.
      [`varve_request_duration_seconds_count{service="",route="${url}",status="4xx"}`]: 3,
      'varve_request_duration_seconds_count{service="",route="(none)",status="4xx"}': 1,
    });
    expect(told("varve_lookups")).toEqual({
      'varve_lookups_total{view="profile",status="PRESENT"}': 2,
      'varve_lookups_total{view="profile",status="MISSING"}': 1,
      'varve_lookups_total{view="profile",status="NULL_KEY"}': 1,
    });
    expect(values.get("varve_store_read_duration_seconds_count")).toBe(3);
    expect(values.get('varve_errors_total{code="NOT_FOUND"}')).toBe(4);
    expect(values.get('varve_info{version="1.2.3",workspace="default"}')).toBe(1);
    expect([values.get("varve_requests_in_flight"), values.get("varve_connections")]).toEqual([3, 9]);
    expect(values.get("varve_api_keys")).toBe(2);
    for (const name of ["process_cpu_seconds_total", "process_resident_memory_bytes", "nodejs_eventloop_lag_seconds"]) {
      expect([name, values.get(name)]).toEqual([name, expect.any(Number)]);
    }
    // The watermark is the end of the last slice, 6 January.
    expect(values.get('varve_view_age_seconds{view="profile"}')).toBe(0);
    clock.advance("36h");
    expect(readOpenMetrics((await app.inject("/metrics")).body).get('varve_view_age_seconds{view="profile"}'))
      .toBe(129_600);
    // Asking does not count anything twice.
    expect(
      readOpenMetrics((await app.inject("/metrics")).body).get('varve_lookups_total{view="profile",status="PRESENT"}'),
    )
      .toBe(2);
  });

  it("is not there when metrics are off", async () => {
    expect((await (await store.app()).inject("/metrics")).statusCode).toBe(404);
  });
});

describe("ServerMetrics", () => {
  it("has no more labels than a few hundred of a kind, whatever comes", async () => {
    const metrics = new ServerMetrics(about);
    for (let i = 0; i < 3_000; i++) {
      metrics.answered("/r", `s${i}`, 200, 0.001);
      metrics.rateLimited(`k${i}`);
      metrics.countsOf(`v${i}`).PRESENT = 1;
    }
    const values = readOpenMetrics((await metrics.text()).text);
    const count = (start: string) => [...values.keys()].filter((name) => name.startsWith(start)).length;
    expect(count("varve_request_duration_seconds_count")).toBe(251);
    expect(count("varve_rate_limited_total")).toBe(1_001);
    expect(count("varve_lookups_total")).toBe(1_001);
    expect(values.get('varve_rate_limited_total{key="(others)"}')).toBe(2_000);
  });

  it("puts what takes a fraction of a millisecond into buckets of its own", async () => {
    const metrics = new ServerMetrics(about);
    for (const ms of [0.2, 0.3, 0.6, 0.9, 1.4, 90, 2_000]) metrics.answered("/r", "s", 200, ms / 1_000);
    const values = readOpenMetrics((await metrics.text()).text);
    const upTo = (le: string) =>
      values.get(`varve_request_duration_seconds_bucket{le="${le}",service="s",route="/r",status="2xx"}`);
    expect([0.00025, 0.0005, 0.00075, 0.001, 0.0015, 0.1, 1, "+Inf"].map((le) => upTo(String(le))))
      .toEqual([1, 2, 3, 4, 5, 6, 6, 7]);
  });
});

describe("GatheredMetrics", () => {
  /** A process among others; `silent` ones do not answer. */
  function member(gathered: GatheredMetrics, id: number, silent = { now: false }) {
    const metrics = new ServerMetrics(about);
    gathered.add(id, (message: ToMember) => {
      if (silent.now || message.kind !== "wantValues") return;
      void metrics.values().then((values) => gathered.heard(id, message.id, values));
    });
    return metrics;
  }
  const answers = 'varve_request_duration_seconds_count{service="s",route="/r",status="2xx"}';
  const read = async (gathered: GatheredMetrics) => readOpenMetrics((await gathered.text()).text);

  it("adds what processes counted, and keeps it when one ends: counters never fall", async () => {
    const gathered = new GatheredMetrics();
    const [first, second] = [member(gathered, 1), member(gathered, 2)];
    for (let i = 0; i < 3; i++) first.answered("/r", "s", 200, 0.001);
    second.answered("/r", "s", 200, 0.5);
    second.failed("TIMEOUT");
    const before = await read(gathered);
    expect([before.get(answers), before.get('varve_errors_total{code="TIMEOUT"}')]).toEqual([4, 1]);
    expect([before.get("varve_processes"), before.get('varve_info{version="1.2.3",workspace="default"}')]).toEqual([
      2,
      1,
    ]);
    gathered.remove(2);
    gathered.restarted();
    member(gathered, 3).answered("/r", "s", 200, 0.1);
    const after = await read(gathered);
    expect([after.get(answers), after.get('varve_errors_total{code="TIMEOUT"}')]).toEqual([5, 1]);
    expect([after.get("varve_processes"), after.get("varve_process_restarts_total")]).toEqual([2, 1]);
    for (const [name, value] of before) {
      if (/_(total|count|bucket)\b/.test(name)) expect([name, after.get(name)! >= value]).toEqual([name, true]);
    }
    gathered.remove(3);
    gathered.remove(1);
    expect((await read(gathered)).get(answers)).toBe(5);
  });

  it("counts a process that does not answer with what it told last", async () => {
    const gathered = new GatheredMetrics();
    const silent = { now: false };
    const metrics = member(gathered, 1, silent);
    metrics.answered("/r", "s", 200, 0.001);
    expect((await read(gathered)).get(answers)).toBe(1);
    silent.now = true;
    metrics.answered("/r", "s", 200, 0.001);
    member(gathered, 2).answered("/r", "s", 200, 0.001);
    expect((await read(gathered)).get(answers)).toBe(2);
    // It ends while it is asked: nobody waits for it.
    const asked = read(gathered);
    gathered.remove(1);
    expect((await asked).get(answers)).toBe(2);
  });
});
