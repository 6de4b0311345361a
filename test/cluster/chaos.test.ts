/**
 * Random faults against a real cluster (the fault table), then the same question every time: once everything has settled, are the
 * tables, the values online and the served answers what plain loops over the source say? VARVE_SEED repeats a run, VARVE_DEEP=1
 * makes it long.
 */
import { expect, onTestFinished, test } from "vitest";
import type { MaterializeJob } from "../../sdk/queue/jobs.ts";
import { pause, systemTimers } from "../../sdk/queue/timers.ts";
import { formatTimestamp } from "../../sdk/time.ts";
import { storedView } from "../support/chaos_views.ts";
import { ChaosCluster } from "../support/chaos_cluster.ts";
import { checkServed, checkStored, type Expected } from "../support/chaos_checks.ts";
import { Chance, ChaosSource, day, hour, origin, stable } from "../support/chaos_source.ts";
import { type Factors, lookbacks, model, type ViewName, viewNames } from "../support/chaos_views.ts";
import type { Fault, FaultRule } from "../support/s3_faults.ts";

const isDeep = process.env["VARVE_DEEP"] === "1";
// The normal run repeats one schedule of faults (how processes interleave still differs); deep runs draw their own.
const drawn = isDeep ? Math.floor(Math.random() * 2 ** 31) : 11;
const seed = Number(process.env["VARVE_SEED"] ?? drawn);
const rounds = isDeep ? 40 : 2;
/** Drawn in addition to those of which every round has one. */
const moreFaults = isDeep ? 7 : 3;

const s3Faults: readonly (readonly [Fault, FaultRule])[] = [
  [{ kind: "error", status: 500, code: "InternalError" }, {}],
  [{ kind: "error", status: 503, code: "SlowDown" }, {}],
  [{ kind: "error", status: 409, code: "ConditionalRequestConflict" }, { method: "PUT" }],
  [{ kind: "dropReply" }, { method: "PUT" }],
  [{ kind: "dropReply" }, {}],
  [{ kind: "truncate" }, { method: "GET" }],
  [{ kind: "corrupt" }, { method: "GET", key: /\.parquet$/ }],
  [{ kind: "slowBody", pauseMs: 30 }, { method: "GET" }],
];

type FaultName =
  | "kill a worker"
  | "pause a worker"
  | "empty Redis"
  | "restart Redis"
  | "lose the queue"
  | "forget scripts"
  | "S3 trouble"
  | "change rows"
  | "overwrite slices"
  | "publish another version"
  | "roll back";

/** A cluster, its source, and what is known of both. */
class Chaos {
  readonly cluster: ChaosCluster;
  readonly source: ChaosSource;
  readonly chance: Chance;
  /** The factor of each version, by view. */
  readonly versions: Record<ViewName, number[]> = { daily: [], hourly: [] };
  readonly serving: Record<ViewName, number> = { daily: 1, hourly: 1 };
  /** Slices of versions that were computed, or may have been, before the source changed. */
  readonly #dirty = new Map<string, Set<bigint>>();
  /** Slices of this round that the lookback of whoever goes on serving repairs. */
  readonly #recent: Record<ViewName, Set<bigint>> = { daily: new Set(), hourly: new Set() };
  readonly #background: Promise<unknown>[] = [];
  readonly told: string[] = [];

  constructor(cluster: ChaosCluster, chance: Chance) {
    this.cluster = cluster;
    this.chance = chance;
    this.source = new ChaosSource(cluster.project.folder, chance, 120);
  }

  get factors(): Factors {
    const of = (name: ViewName) => this.versions[name][this.serving[name] - 1]!;
    return { daily: of("daily"), hourly: of("hourly") };
  }

  /** Rows change; slices that had closed have to be computed again, but those that lookback will see to. */
  async change(count: number, from: bigint, to: bigint, nextNow?: bigint): Promise<void> {
    const touched = this.source.change(count, from, to);
    for (const name of viewNames) {
      const { schedule, start } = storedView(name, 1);
      for (const at of touched) {
        const slice = at - at % schedule;
        if (slice < start || slice >= this.#closed(name, this.cluster.clock.now())) continue;
        const isRecent = nextNow !== undefined && this.#looksBack(name, slice, nextNow);
        if (isRecent) this.#recent[name].add(slice);
        for (let version = 1; version <= this.versions[name].length; version++) {
          if (!isRecent || version !== this.serving[name]) this.#dirtyOf(name, version).add(slice);
        }
      }
    }
    await this.source.write();
  }

  /** One more version of a view, which is another multiple of the amounts. */
  async publish(name: ViewName | undefined): Promise<void> {
    const factors = name ? { ...this.factors, [name]: this.versions[name].length + 1 } : { daily: 1, hourly: 1 };
    // Before it is known to have arrived: the server may know it sooner.
    for (const each of viewNames) if (each === name || !name) this.versions[each].push(factors[each]);
    await this.cluster.insist(async () => {
      await (await this.cluster.store.publish(model(this.source.path, factors))).apply({ wait: false });
    });
    for (const each of viewNames) if (each === name || !name) this.#serve(each, this.versions[each].length);
  }

  async rollBack(name: ViewName): Promise<void> {
    const registry = this.cluster.parts.registry;
    const { building, served = [] } = (await this.cluster.insist(() => registry.state())).views[name]!;
    if (building !== undefined || served.length < 2) return;
    await this.cluster.insist(() => this.cluster.store.rollback(name));
    this.#serve(name, (await this.cluster.insist(() => registry.state())).views[name]!.serving!);
  }

  /** Somebody computes a few slices again, right now. */
  async overwrite(name: ViewName): Promise<void> {
    const { schedule, start } = storedView(name, 1);
    const count = (this.#closed(name, this.cluster.clock.now()) - start) / schedule;
    const from = start + BigInt(this.chance.whole(0, Number(count))) * schedule;
    const to = from + BigInt(this.chance.whole(1, 4)) * schedule;
    const end = this.#closed(name, this.cluster.clock.now());
    await this.cluster.insist(() => this.cluster.queue.submit(this.#job(name, from, to < end ? to : end)));
  }

  /** Nothing runs any more: what changed after it was computed is computed again. */
  async repair(): Promise<void> {
    for (const name of viewNames) {
      const { schedule } = storedView(name, 1);
      const dirty = this.#dirtyOf(name, this.serving[name]);
      const slices = [...dirty].sort((a, b) => a < b ? -1 : 1);
      const ranges: { from: bigint; to: bigint }[] = [];
      for (const slice of slices) {
        const last = ranges.at(-1);
        if (last?.to === slice) last.to += schedule;
        else ranges.push({ from: slice, to: slice + schedule });
      }
      const jobs = await this.cluster.queue.submitMany(
        ranges.map(({ from, to }) => ({ job: this.#job(name, from, to), options: { priority: 1 } })),
      );
      await Promise.all(jobs.map(({ id }) => this.cluster.queue.finished(id, { timeoutMs: 60_000 })));
      dirty.clear();
    }
    for (const name of viewNames) this.#recent[name].clear();
  }

  /** The faults of one round, in their order. */
  schedule(): FaultName[] {
    const { chance } = this;
    const redis = ["empty Redis", "restart Redis", "lose the queue"] as const;
    const names: FaultName[] = [
      "kill a worker",
      "S3 trouble",
      "change rows",
      "publish another version",
      chance.pick(redis),
    ];
    for (let i = 0; i < moreFaults; i++) names.push(chance.pick(Object.keys(this.#faults) as FaultName[]));
    return names.map((name) => ({ name, order: chance.next() })).sort((a, b) => a.order - b.order)
      .map(({ name }) => name);
  }

  /** Lets it happen. */
  async fault(name: FaultName): Promise<void> {
    this.told.push(name);
    await this.#faults[name]();
  }

  readonly #faults: Readonly<Record<FaultName, () => Promise<unknown>>> = {
    "kill a worker": () => this.cluster.replaceWorker(this.chance.whole(0, this.cluster.workers.length)),
    "pause a worker": async () => void this.#background.push(this.#pauseWorker()),
    "empty Redis": () => this.cluster.redis.command("FLUSHALL"),
    "restart Redis": async () => {
      await this.cluster.redis.kill();
      await pause(this.chance.whole(0, 1_500), systemTimers);
      await this.cluster.redis.restart();
    },
    "lose the queue": () =>
      this.cluster.redis.command(
        "EVAL",
        "for _, key in ipairs(redis.call('KEYS', '{varve:*')) do redis.call('DEL', key) end return 0",
        "0",
      ),
    "forget scripts": () => this.cluster.redis.command("SCRIPT", "FLUSH"),
    "S3 trouble": async () => {
      for (let i = this.chance.whole(1, 6); i > 0; i--) {
        const [fault, rule] = this.chance.pick(s3Faults);
        this.cluster.s3.faults.add(fault, { ...rule, times: this.chance.whole(1, 5) });
      }
    },
    "change rows": async () => {
      await this.change(this.chance.whole(1, 8), origin, this.cluster.clock.now() + hour);
      await this.overwrite(this.chance.pick(viewNames));
    },
    "overwrite slices": () => this.overwrite(this.chance.pick(viewNames)),
    "publish another version": () => this.publish(this.chance.pick(viewNames)),
    "roll back": () => this.rollBack(this.chance.pick(viewNames)),
  };

  /** Waits for what goes on beside the faults, and lets the object store be well again. */
  async calm(): Promise<void> {
    await Promise.all(this.#background.splice(0));
    this.cluster.s3.faults.clear();
  }

  /** Longer than a lease: its jobs go to others, and it wakes up as a zombie. */
  async #pauseWorker(): Promise<void> {
    const { child } = this.chance.pick(this.cluster.workers);
    child.kill("SIGSTOP");
    await pause(6_500, systemTimers);
    child.kill("SIGCONT");
  }

  #serve(name: ViewName, version: number): void {
    this.serving[name] = version;
    // Whoever served before may not have looked back yet.
    for (let each = 1; each <= this.versions[name].length; each++) {
      for (const slice of this.#recent[name]) this.#dirtyOf(name, each).add(slice);
    }
  }

  #closed(name: ViewName, now: bigint): bigint {
    const { schedule, dataDelay } = storedView(name, 1);
    return (now - dataDelay) - (now - dataDelay) % schedule;
  }

  #looksBack(name: ViewName, slice: bigint, nextNow: bigint): boolean {
    const { schedule } = storedView(name, 1);
    const end = this.#closed(name, nextNow);
    return end > this.#closed(name, this.cluster.clock.now()) && slice >= end - schedule - lookbacks[name] * schedule;
  }

  #dirtyOf(name: ViewName, version: number): Set<bigint> {
    const key = `${name}/${version}`;
    let slices = this.#dirty.get(key);
    if (!slices) this.#dirty.set(key, slices = new Set());
    return slices;
  }

  #job(name: ViewName, from: bigint, to: bigint): MaterializeJob {
    return {
      name: "materialize",
      workspace: "chaos",
      view: name,
      version: this.serving[name],
      start: formatTimestamp(from),
      end: formatTimestamp(to),
      overwrite: true,
      reason: "repair",
    };
  }
}

const stableKey = { driver: stable.driver, zone: String(stable.zone) };

/** Asks the server all the time for what never changes: it is right or refused, never anything else. */
function watchStable(chaos: Chaos): () => Promise<string[]> {
  const wrong: string[] = [];
  let stopped = false;
  const watching = (async () => {
    while (!stopped) {
      try {
        const { status, features } = await chaos.cluster.ask(stableKey);
        const isRight = status === 200 && features![1] === "stable" &&
          chaos.versions.daily.some((factor) => features![0] === factor * stable.amount) &&
          chaos.versions.hourly.some((factor) => features![2] === factor * stable.amount);
        const isRefused = status === 503 || status === 504;
        if (!isRight && !isRefused) {
          wrong.push(`${status} ${JSON.stringify(features)} after ${chaos.told.at(-1)}`);
        }
      } catch (error) {
        wrong.push(String(error));
      }
      await pause(40, systemTimers);
    }
  })();
  return async () => {
    stopped = true;
    await watching;
    return wrong;
  };
}

test(`a cluster under random faults ends with what plain loops say (seed ${seed})`, async () => {
  console.log(`chaos: VARVE_SEED=${seed}`);
  const chance = new Chance(seed);
  let now = origin + 6n * day + 5n * hour;
  let expected: Expected | undefined;
  const cluster = await ChaosCluster.open(now);
  onTestFinished(() => cluster.close());
  const chaos = new Chaos(cluster, chance);
  chaos.source.change(150, origin, now + day);
  await chaos.source.write();
  for (let round = 0;; round++) {
    await cluster.start(now, isDeep ? 3 : 2);
    if (round === 0) {
      await chaos.publish(undefined);
      await cluster.settle(chaos.serving);
    }
    await expect.poll(async () => (await cluster.ask(stableKey)).status).toBe(200);
    const stopWatching = watchStable(chaos);
    for (const name of chaos.schedule()) {
      await chaos.fault(name);
      await pause(chance.whole(0, 1_200), systemTimers);
    }
    await chaos.calm();
    console.log(`chaos: round ${round}, ${formatTimestamp(now)}: ${chaos.told.join(", ")}`);
    await cluster.settle(chaos.serving);
    await chaos.repair();
    await cluster.settle(chaos.serving);
    expect(await stopWatching()).toEqual([]);
    expect(await cluster.strayCollections()).toEqual([]);
    chaos.told.splice(0);
    expected = { rows: [...chaos.source.rows], factors: chaos.factors, serving: { ...chaos.serving } };
    await checkStored(cluster, expected);
    await checkServed(cluster, expected, chance);
    await cluster.stop();
    if (round + 1 === rounds) break;
    // What comes late is found by lookback when the next slices close.
    const next = now + chance.pick([1n, 2n, 26n]) * hour;
    await chaos.change(6, now - 4n * hour, now, next);
    await chaos.change(4, now - 40n * hour, now, next);
    now = next;
  }
  // Nothing that is needed goes, and nothing that is not stays.
  cluster.clock.set("2100-01-01");
  await cluster.store.vacuum({ apply: true, retention: "0s" });
  cluster.clock.set(formatTimestamp(now));
  await checkStored(cluster, expected);
  const states = await (await cluster.parts.online()).states();
  const stored = await cluster.collections();
  const kept = new Set(states.map(({ collection }) => collection));
  expect(stored.filter((each) => !kept.has(each))).toEqual([]);
  // Every version that serves has its values. One that does not may have lost them with Redis: it is loaded before it serves.
  const { views } = await cluster.parts.registry.state();
  const serving = states.filter(({ view, version }) => views[view]?.serving === version);
  expect(serving.filter(({ collection }) => !stored.includes(collection!))).toEqual([]);
  if (cluster.retried.length > 0) console.log(`chaos: dead jobs that were put back:\n${cluster.retried.join("\n")}`);
  expect(await cluster.badLines()).toEqual([]);
  expect((await cluster.leftovers()).length).toBeLessThanOrEqual(2 * cluster.killed.size);
}, isDeep ? 7_200_000 : 240_000);
