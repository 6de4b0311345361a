/** Several processes that answer on one address, and the one that watches over them. */
import cluster from "node:cluster";
import type { Worker } from "node:cluster";
import { backoffMs } from "varve/cluster";
import type { Logger } from "../log.ts";
import { GatheredMetrics } from "./metrics_gathered.ts";
import { isOurs } from "./process_messages.ts";
import type { FromMember, ToMember } from "./process_messages.ts";

export interface ProcessesOptions {
  readonly count: number;
  readonly logger: Logger;
  /** How long members may take to end before they are killed. @default 30 s */
  readonly limitMs?: number;
}

/** Processes that answer. */
export interface RunningProcesses {
  /** `http://host:port`, of all of them. */
  readonly url: string;
  /** API keys that may be used; undefined where none is asked for. */
  readonly keys: number | undefined;
  /** Ends all of them: each answers what it was asked. */
  close(): Promise<void>;
}

/** One that has lived for so long did not fail at its start. */
const settledMs = 60_000;
const restarts = { baseMs: 100, limitMs: 30_000 } as const;

/** A place among the processes; who dies in it is replaced. */
interface Place {
  readonly number: number;
  worker: Worker | undefined;
  startedAt: number;
  failures: number;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Runs the command of this process once more in each of `count` others. Gives undefined when the first of them ends before it
 * listens: it has told why, and the others would do the same.
 */
export async function startProcesses(options: ProcessesOptions): Promise<RunningProcesses | undefined> {
  const processes = new Processes(options);
  const first = await processes.start(1);
  if (first === undefined) return undefined;
  await Promise.all(Array.from({ length: options.count - 1 }, (_, i) => processes.start(i + 2, true)));
  return { url: first.url, keys: first.keys, close: () => processes.close() };
}

type Listening = Extract<FromMember, { kind: "listening" }>;

class Processes {
  readonly #options: ProcessesOptions;
  readonly #places: Place[] = [];
  readonly #metrics = new GatheredMetrics();
  #closing: Promise<void> | undefined;

  constructor(options: ProcessesOptions) {
    this.#options = options;
    cluster.on("message", (worker, message: unknown) => {
      if (isOurs(message)) this.#hear(worker, message.varve as FromMember);
    });
  }

  /** Resolves when the place's first process listens, or with undefined when it ended first; `persist`: goes on until one does. */
  start(number: number, persist = false): Promise<Listening | undefined> {
    const place: Place = { number, worker: undefined, startedAt: 0, failures: 0, timer: undefined };
    this.#places.push(place);
    return new Promise((resolve) => this.#fork(place, persist, resolve));
  }

  #fork(place: Place, persist: boolean, onStart: (listening: Listening | undefined) => void): void {
    const { logger } = this.#options;
    const worker = cluster.fork();
    place.worker = worker;
    place.startedAt = performance.now();
    let listens = false;
    worker.on("message", (message: unknown) => {
      if (!isOurs(message) || message.varve.kind !== "listening") return;
      listens = true;
      this.#metrics.add(worker.id, (ask) => tell(worker, ask));
      onStart(message.varve as Listening);
    });
    worker.on("error", (error) => logger.warn({ err: error, process: place.number }, "cannot talk to a process"));
    worker.once("exit", (code: number | null, signal: string | null) => {
      this.#metrics.remove(worker.id);
      place.worker = undefined;
      if (this.#closing) return onStart(undefined);
      if (!listens && !persist) return onStart(undefined);
      const wanted = code === 0 && listens;
      if (wanted || performance.now() - place.startedAt > settledMs) place.failures = 0;
      else place.failures++;
      const delayMs = place.failures === 0 ? 0 : backoffMs(place.failures, Math.random, restarts);
      const facts = { process: place.number, pid: worker.process.pid, code, signal, delayMs };
      if (wanted) logger.info(facts, "a process ended, another takes its place");
      else logger.error(facts, "a process died, another takes its place");
      this.#metrics.restarted();
      place.timer = setTimeout(() => this.#fork(place, true, listens ? () => undefined : onStart), delayMs);
    });
  }

  #hear(worker: Worker, message: FromMember): void {
    if (message.kind === "values") this.#metrics.heard(worker.id, message.id, message.values);
    if (message.kind !== "wantMetrics") return;
    void this.#metrics.text().then((metrics) => tell(worker, { kind: "metrics", id: message.id, metrics }));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { logger, limitMs = 30_000 } = this.#options;
    for (const { timer } of this.#places) clearTimeout(timer);
    const workers = this.#places.flatMap(({ worker }) => worker ?? []);
    await Promise.all(workers.map((worker) =>
      new Promise<void>((resolve) => {
        const kill = () => {
          logger.error({ pid: worker.process.pid, limitMs }, "a process did not end in time and is killed");
          worker.process.kill("SIGKILL");
        };
        const timer = setTimeout(kill, limitMs);
        worker.once("exit", () => {
          clearTimeout(timer);
          resolve();
        });
        tell(worker, { kind: "close" });
      })
    ));
  }
}

function tell(worker: Worker, message: ToMember): void {
  // One that is ending hears nothing, and needs nothing.
  if (worker.isConnected()) worker.send({ varve: message }, () => undefined);
}
