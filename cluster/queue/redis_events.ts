/** What happens to jobs in any process, told to watchers of this one. */
import { messageOf } from "varve";
import type { JobRecord, QueueEvent, QueueEventKind } from "varve/cluster";
import { type BullEvents, type BullQueue, followEvents, type Place } from "./bullmq.ts";
import { readRecord, readState, stateOfEvent } from "./redis_records.ts";

/** Connects when the first watcher comes. */
export class RedisEvents {
  readonly #queue: BullQueue;
  readonly #place: Place;
  readonly #cancelledRecord: (id: string) => Promise<JobRecord | undefined>;
  readonly #onError: (error: Error) => void;
  readonly #listeners = new Set<(event: QueueEvent) => void>();
  #events: Promise<BullEvents> | undefined;
  #delivery: Promise<void> = Promise.resolve();

  /** `cancelledRecord` gives the record of a job that was cancelled before it ran. */
  constructor(
    queue: BullQueue,
    place: Place,
    cancelledRecord: (id: string) => Promise<JobRecord | undefined>,
    onError: (error: Error) => void,
  ) {
    this.#queue = queue;
    this.#place = place;
    this.#cancelledRecord = cancelledRecord;
    this.#onError = onError;
  }

  watch(listener: (event: QueueEvent) => void): () => void {
    this.#listeners.add(listener);
    void this.#start();
    return () => this.#listeners.delete(listener);
  }

  /** Resolves when watchers miss nothing any more. */
  async ready(): Promise<void> {
    if (this.#listeners.size > 0) await this.#start();
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    const events = await this.#events?.catch(() => undefined);
    if (!events) return;
    // The reading ends. Not waited for: of a connection that is being made again there is no end (bullmq issue 4585), and it
    // rejects with having been closed.
    events.close().catch(() => undefined);
    await events.backend.close(true).catch(() => undefined);
  }

  #start(): Promise<BullEvents> {
    this.#events ??= this.#follow();
    // When Redis is away at this moment, whoever comes next tries again.
    this.#events.catch(() => this.#events = undefined);
    return this.#events;
  }

  async #follow(): Promise<BullEvents> {
    const events = await followEvents(this.#queue, this.#place);
    const deliver = (kind: QueueEventKind, id: string, progress?: unknown) => {
      // One after the other: events are told in their order.
      this.#delivery = this.#delivery.then(() => this.#deliver(kind, id, progress)).catch(this.#onError);
    };
    for (const kind of ["added", "delayed", "active", "completed", "failed", "stalled"] as const) {
      events.on(kind, ({ jobId }: { jobId: string }) => deliver(kind, jobId));
    }
    events.on("progress", ({ jobId, data }) => deliver("progress", jobId, data));
    // A new job is announced as waiting too, without a state of before.
    events.on("waiting", ({ jobId, prev }) => prev !== undefined && deliver("waiting", jobId));
    events.on("removed", ({ jobId }) => deliver("cancelled", jobId));
    events.on("error", this.#onError);
    return events;
  }

  async #deliver(kind: QueueEventKind, id: string, progress: unknown): Promise<void> {
    if (this.#listeners.size === 0) return;
    // Jobs are also removed to give place to a new submission: those have no record of a cancel.
    const record = kind === "cancelled" ? await this.#cancelledRecord(id) : await this.#recordAt(kind, id);
    if (!record) return;
    const event: QueueEvent = Object.freeze({
      kind: record.state === "cancelled" ? "cancelled" : kind,
      record: progress === undefined ? record : Object.freeze({ ...record, progress }),
    });
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        // A listener is a looker-on: its fault must not change what others hear, and must not be silent either.
        this.#onError(new Error(`a watcher of the queue failed: ${messageOf(error)}`, { cause: error }));
      }
    }
  }

  /** A job as it was when this happened to it, as far as that is still known. */
  async #recordAt(kind: QueueEventKind, id: string): Promise<JobRecord | undefined> {
    const stored = await this.#queue.getJob(id);
    const state = kind === "failed" ? readState("failed", stored?.failedReason) : stateOfEvent[kind];
    return stored && state && readRecord(stored, state);
  }
}
