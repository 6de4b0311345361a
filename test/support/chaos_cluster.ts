/** A cluster to be tormented: a real Redis with a password, an S3 server, worker processes and a server, all on a standing clock. */
import { randomUUID } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { openQueue } from "../../cluster/connect.ts";
import type { RedisQueue } from "../../cluster/queue/redis_queue.ts";
import { dueSlices } from "../../sdk/materialize/due_slices.ts";
import { reconcile } from "../../sdk/materialize/reconcile.ts";
import { versionData } from "../../sdk/materialize/version_data.ts";
import { messageOf, VarveError } from "../../sdk/errors.ts";
import { describeJob } from "../../sdk/queue/jobs.ts";
import { pause, systemTimers } from "../../sdk/queue/timers.ts";
import { Store } from "../../sdk/store.ts";
import { StoreParts } from "../../sdk/store_parts.ts";
import { formatTimestamp, ManualClock } from "../../sdk/time.ts";
import { Project, type Started, urlIn } from "../cluster/cli/command.ts";
import { type RedisServer, startRedis } from "./redis.ts";
import { type S3Server, startS3 } from "./s3_server.ts";

const password = "chaos-redis-password";
const workspace = "chaos";
const workerIsUp = /^varve worker \S+ is up/;

/** Which version of each view must serve in the end. */
export type Serving = Readonly<Record<string, number>>;

/** See the file's sentence. */
export class ChaosCluster {
  readonly redis: RedisServer;
  readonly s3: S3Server;
  readonly project: Project;
  readonly clock: ManualClock;
  readonly queue: RedisQueue;
  readonly parts: StoreParts;
  readonly store: Store;
  readonly workers: Started[] = [];
  url = "";
  /** Ids of processes that were killed: what they had open stays behind. */
  readonly killed = new Set<number>();
  /** Jobs that had died and were put back in line, as a person would. */
  readonly retried: string[] = [];
  readonly #all: Started[] = [];
  /** Replacements of workers that were killed. */
  readonly #rising: Promise<void>[] = [];
  #server: Started | undefined;

  static async open(now: bigint): Promise<ChaosCluster> {
    const [redis, s3] = await Promise.all([
      startRedis({ appendonly: true, config: { requirepass: password } }),
      startS3(),
    ]);
    const url = `redis://default:${password}@127.0.0.1:${redis.port}`;
    const storage = `s3://${s3.bucket}/${randomUUID()}`;
    const project = await Project.open({
      VARVE_WORKSPACE: workspace,
      VARVE_REDIS: url,
      VARVE_STORAGE: storage,
      VARVE_S3_ENDPOINT: s3.endpoint,
      VARVE_S3_ACCESS_KEY_ID: s3.accessKeyId,
      VARVE_S3_SECRET_ACCESS_KEY: s3.secretAccessKey,
      VARVE_CONCURRENCY: "2",
      VARVE_SHUTDOWN_MS: "10000",
      VARVE_LOG_LEVEL: "debug",
    });
    project.env["VARVE_CACHE_FOLDER"] = join(project.folder, "cache");
    const queue = await openQueue(url, workspace);
    const { endpoint, accessKeyId, secretAccessKey } = s3;
    const clock = new ManualClock(formatTimestamp(now));
    const parts = new StoreParts({
      redis: url,
      storage,
      workspace,
      queue,
      clock,
      s3: { endpoint, accessKeyId, secretAccessKey },
      cacheFolder: join(project.folder, "cache-here"),
      author: "chaos",
      threads: 1,
      memoryLimit: "256MB",
    });
    return new ChaosCluster(redis, s3, project, clock, queue, parts);
  }

  constructor(
    redis: RedisServer,
    s3: S3Server,
    project: Project,
    clock: ManualClock,
    queue: RedisQueue,
    parts: StoreParts,
  ) {
    this.redis = redis;
    this.s3 = s3;
    this.project = project;
    this.clock = clock;
    this.queue = queue;
    this.parts = parts;
    this.store = new Store(parts);
  }

  /** Lets all processes begin at an instant, where their clocks stand. */
  async start(now: bigint, workers: number): Promise<void> {
    this.clock.set(formatTimestamp(now));
    this.project.env["VARVE_CLOCK"] = formatTimestamp(now);
    for (let i = 0; i < workers; i++) this.workers.push(this.#start("worker"));
    await Promise.all(this.workers.map((worker) => worker.line(workerIsUp)));
    this.#server = this.#start("serve");
    this.url = urlIn(await this.#server.line(/^varve serves /));
  }

  /** Ends all processes the way a deployment does; they must agree. */
  async stop(): Promise<void> {
    // One that has just taken another's place may not listen to signals yet.
    await Promise.all(this.#rising.splice(0));
    const processes = [...this.workers.splice(0), ...this.#server ? [this.#server] : []];
    const ended = await Promise.all(processes.map((each) => each.stop()));
    const bad = ended.filter(({ code }) => code !== 0);
    if (bad.length > 0) throw new Error(`a process did not end cleanly (code ${bad[0]!.code}):\n${tail(bad[0]!.err)}`);
  }

  /** SIGKILL, and another one takes its place. */
  async replaceWorker(index: number): Promise<void> {
    const worker = this.workers[index]!;
    this.killed.add(worker.child.pid!);
    await worker.stop("SIGKILL");
    const rising = this.#rise(index);
    // Told when the cluster is stopped.
    rising.catch(() => undefined);
    this.#rising.push(rising);
  }

  /** Starts a worker, again and again as its supervisor does: one that finds no Redis says so and ends. */
  async #rise(index: number): Promise<void> {
    for (;;) {
      const worker = this.workers[index] = this.#start("worker");
      const isUp = await worker.line(workerIsUp).then(() => true, () => false);
      if (isUp || this.workers[index] !== worker || this.killed.has(worker.child.pid!)) return;
      const { code, err } = await worker.ended;
      if (code !== 1 || !/^Cannot /m.test(err)) throw new Error(`a worker did not start (code ${code}):\n${tail(err)}`);
    }
  }

  /** Asks the server for the features of one request; an error when there is no sensible answer. */
  async ask(joinKeyMap: object): Promise<{ status: number; features?: unknown[]; statuses?: string[] }> {
    const response = await fetch(`${this.url}/api/v1/feature-service/get-features`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        params: { featureServiceName: "model", joinKeyMap, metadataOptions: { includeServingStatus: true } },
      }),
    });
    const body = await response.json() as {
      result?: { features: unknown[] };
      metadata?: { features: { reason: string }[] };
    };
    if (response.status !== 200) return { status: response.status };
    return {
      status: 200,
      features: body.result!.features,
      statuses: body.metadata!.features.map(({ reason }) => reason),
    };
  }

  /** Runs what may meet a fault until it gets through. */
  async insist<T>(run: () => Promise<T>, limitMs = 60_000): Promise<T> {
    const started = performance.now();
    for (;;) {
      try {
        return await run();
      } catch (error) {
        const passes = error instanceof VarveError && error.retry;
        if (!passes || performance.now() - started > limitMs) throw error;
        await pause(200, systemTimers);
      }
    }
  }

  /** Waits until nothing is due, nothing runs, and these versions serve. */
  async settle(serving: Serving, limitMs = 90_000): Promise<void> {
    const started = performance.now();
    for (;;) {
      const why = await this.#unsettled(serving).catch(messageOf);
      if (why === undefined) return;
      const waited = performance.now() - started;
      // Faults are over by now. A job that they have killed waits for minutes, or for a person: let there be one.
      if (waited > 20_000) await this.#retryDead();
      if (waited > limitMs) {
        const history = (await this.store.history({ limit: 12 })).map(({ revision, author, reason, actions }) =>
          `${revision} ${author} ${reason} ${actions.map((action) => action.kind).join()}`
        );
        throw new Error(`the cluster did not settle within ${limitMs} ms: ${why}\n${history.join("\n")}`);
      }
      await pause(250, systemTimers);
    }
  }

  async #unsettled(serving: Serving): Promise<string | undefined> {
    const running = await this.queue.list({ states: ["waiting", "delayed", "active"] });
    const state = await this.parts.registry.state();
    for (const [view, version] of Object.entries(serving)) {
      const registered = state.views[view];
      if (registered?.serving !== version || registered.building !== undefined) {
        return `view "${view}" serves version ${registered?.serving}, builds ${registered?.building}, not ${version}`;
      }
    }
    const versions = Object.values(state.views).map((view) =>
      view.versions.find(({ version }) => version === view.serving)!
    );
    const { objects } = this.parts;
    const context = {
      workspace,
      objects,
      table: this.parts.table.bind(this.parts),
      online: this.parts.online.bind(this.parts),
    };
    const data = await Promise.all(versions.map((version) => versionData(context, version)));
    const now = this.clock.now();
    for (const [i, { committed }] of data.entries()) {
      const due = dueSlices(versions[i]!.definition, committed, now).length;
      if (due > 0) return `${due} slices of view "${data[i]!.view}" are due`;
    }
    // With no records: what is due at all, whoever may hold it back.
    const { jobs } = reconcile({ workspace, state, data, records: [], now, queueNow: this.queue.now() });
    if (jobs.length > 0) return `${describeJob(jobs[0]!.job)} is due; ${await this.#dead()}`;
    return running.length > 0 ? `${describeJob(running[0]!.job)} is ${running[0]!.state}` : undefined;
  }

  async #dead(): Promise<string> {
    const dead = await this.queue.list({ states: ["failed"] });
    return `dead jobs: ${dead.map(({ job, reason }) => `${describeJob(job)}: ${reason}`).join("; ") || "none"}`;
  }

  async #retryDead(): Promise<void> {
    for (const { id, job, reason } of await this.queue.list({ states: ["failed"] }).catch(() => [])) {
      if (await this.queue.retry(id).catch(() => false)) this.retried.push(`${describeJob(job)}: ${reason}`);
    }
  }

  /** Names of the collections that have values. */
  async collections(): Promise<string[]> {
    const script = `local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local name = string.match(key, '^([a-z0-9]+){')
  if name then found[name] = true end
end
local names = {}
for name in pairs(found) do names[#names + 1] = name end
return table.concat(names, ',')`;
    const [, names = ""] = (await this.redis.command("EVAL", script, "0")).split("\r\n");
    return names.split(",").filter((name) => name !== "");
  }

  /** Collections that nobody would ever remove, because nothing tells of them. */
  async strayCollections(): Promise<string[]> {
    const noted = new Set<string>();
    for await (const { key } of this.parts.objects.list(`${workspace}/online/`)) {
      noted.add(key.slice(key.lastIndexOf("/") + 1, -".json".length));
    }
    return (await this.collections()).filter((name) => !noted.has(name));
  }

  /** What no process may write: a secret, and that something was thrown that nobody caught. */
  async badLines(): Promise<string[]> {
    const ended = await Promise.all(this.#all.map((started) => started.ended));
    const lines = ended.flatMap(({ out, err }) => `${out}\n${err}`.split("\n"));
    const bad = [password, this.s3.secretAccessKey, "Unhandled", "uncaught", "Warning:"];
    return lines.filter((line) => bad.some((text) => line.includes(text)));
  }

  /** Folders of parts whose writer was not killed, and other temporary files. */
  async leftovers(): Promise<string[]> {
    const parts = await readdir(join(this.project.folder, "cache", "parts")).catch(() => []);
    return [...await this.project.leftovers(), ...parts];
  }

  async close(): Promise<void> {
    for (const { child } of this.#all) child.kill("SIGCONT");
    await this.store.close();
    await this.project.close();
    await Promise.all([this.redis.stop(), this.s3.close()]);
  }

  #start(command: "worker" | "serve"): Started {
    const started = this.project.start(command);
    this.#all.push(started);
    return started;
  }
}

function tail(text: string): string {
  return text.split("\n").slice(-20).join("\n");
}
