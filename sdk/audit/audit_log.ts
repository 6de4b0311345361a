/**
 * Logs a share of what is served to the object store. Nothing of it happens while a request waits: rows are put by, and written
 * as Parquet parts some time later. What there is no room for is dropped and counted; a request never fails for its log.
 */
import { messageOf, VarveError } from "../errors.ts";
import { raised } from "../queue/timers.ts";
import type { AnyRead } from "../retrieve/feature_read.ts";
import type { FeatureRequest, FindState, ServiceReader } from "../retrieve/service_reader.ts";
import { splitReads } from "../retrieve/stored_reads.ts";
import type { ObjectStore } from "../storage/object_store.ts";
import { parquetFile } from "../storage/parquet_file.ts";
import type { Clock } from "../time.ts";
import { keyHash, requestKey, sampler, workspaceSalt } from "./entity_hash.ts";
import { dayOf, newPartKey, partOf, partsPrefix } from "./layout.ts";
import {
  type AuditShape,
  bytesOf,
  computedPlaces,
  fieldsOf,
  groupsOf,
  type ServedRow,
  shapeHash,
  shapeName,
  shapeOf,
} from "./served_rows.ts";

/** What is logged, and how. */
export interface AuditSettings {
  /** The share of entities whose requests are logged, from 0 to 1: a key is always in, or always out. */
  readonly share: number;
  /** `"plain"` keeps join keys, so that answers can be computed again; `"hashed"` keeps a hash of them. @default "hashed" */
  readonly keys?: "hashed" | "plain";
  /** Parts of days longer ago are removed. @default 30 */
  readonly days?: number;
  /** Told what went wrong; rows are kept for another try as long as there is room. */
  readonly onProblem?: (error: unknown) => void;
}

/** What became of rows since the start. */
export interface AuditCounts {
  /** Rows that are stored. */
  readonly logged: number;
  /** Rows that there was no room for, or no time at the end. */
  readonly dropped: number;
  /** Rows that are not stored yet. */
  readonly waiting: number;
  /** Parts that are stored. */
  readonly parts: number;
  /** Attempts to write that failed. */
  readonly failures: number;
}

/** How much is put by, and for how long. */
export interface AuditLimits {
  /** Rows and bytes that wait at most; more are dropped. */
  readonly rows: number;
  readonly bytes: number;
  /** Parts are written when so many rows or bytes wait, or after so long. */
  readonly partRows: number;
  readonly partBytes: number;
  readonly everyMs: number;
  /** How long one write may take, and the last one. */
  readonly writeMs: number;
  readonly closeMs: number;
}

const usualLimits: AuditLimits = {
  rows: 20_000,
  bytes: 32 * 1024 * 1024,
  partRows: 2_500,
  partBytes: 4 * 1024 * 1024,
  everyMs: 60_000,
  writeMs: 30_000,
  closeMs: 10_000,
};

const pruneEveryMs = 3_600_000;
const keysPerDelete = 1_000;

/** What an audit log stands on. */
export interface AuditLogOptions extends AuditSettings {
  readonly store: ObjectStore;
  readonly workspace: string;
  readonly clock: Clock;
  readonly limits?: Partial<AuditLimits>;
}

/** Rows of one shape and day, on their way into a part. */
interface Batch {
  readonly shape: AuditShape;
  readonly hash: string;
  readonly rows: ServedRow[];
  bytes: number;
}

/** A part that is made and not stored yet. */
interface Part {
  readonly key: string;
  readonly body: Uint8Array;
  readonly rows: number;
}

/** See the file's sentence. */
export class AuditLog {
  readonly #options: AuditLogOptions;
  readonly #limits: AuditLimits;
  #batches = new Map<string, Batch>();
  /** Parts that could not be stored, the oldest first. */
  readonly #parts: Part[] = [];
  readonly #counts = { logged: 0, dropped: 0, waiting: 0, parts: 0, failures: 0 };
  #waitingBytes = 0;
  /** In batches: what is not on its way yet. */
  #batchRows = 0;
  #batchBytes = 0;
  #salt: Uint8Array | undefined;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #failedInARow = 0;
  #prunedAt = -Infinity;
  #closed: Promise<void> | undefined;

  constructor(options: AuditLogOptions) {
    this.#options = options;
    this.#limits = { ...usualLimits, ...options.limits };
    this.#wait(this.#limits.everyMs);
  }

  /** What became of rows since the start. */
  get counts(): AuditCounts {
    return { ...this.#counts };
  }

  /** A reader whose answers are logged, for the keys that are among the share. */
  audited(reader: ServiceReader, all: readonly AnyRead[], findState: FindState): ServiceReader {
    const { stored: reads } = splitReads(all);
    const shape = shapeOf(reader, all);
    const places = computedPlaces(reader, shape);
    const hash = shapeHash(shape);
    const { service, features, joinKeys } = reader;
    const isIn = sampler(service, this.#options.share);
    const keyOf = (request: FeatureRequest): Uint8Array | undefined => {
      try {
        const key = requestKey(joinKeys, request);
        return isIn(key) ? key : undefined;
      } catch {
        return undefined; // the read says what is wrong with it
      }
    };
    return {
      service,
      features,
      joinKeys,
      requestFields: reader.requestFields,
      read: (requests, options) => {
        const keys = requests.map(keyOf);
        if (keys.every((key) => key === undefined)) return reader.read(requests, options);
        // Looked at before the read, which does the same: a load may move them meanwhile.
        const states = reads.map(({ definition, version }) => findState(definition.name, version));
        return reader.read(requests, { ...options, times: true }).then((answers) => {
          answers.forEach((answer, i) => {
            const key = keys[i];
            // What was not computed in time cannot be compared.
            if (key === undefined || answer.statuses.includes("TIME_OUT")) return;
            const values = joinKeys.map(({ name }) => requests[i]![name]);
            const computed = places.map((place) => answer.values[place]);
            const { lookedUp = answer, fields = {} } = answer.inputs ?? {};
            this.#take({ shape, hash }, {
              at: options.at,
              key,
              keys: values,
              fields,
              answer: lookedUp,
              computed,
              states,
            });
          });
          return answers;
        });
      },
    };
  }

  /** Writes what waits; resolves when it is stored, or could not be. */
  flush(): Promise<void> {
    this.#writing ??= this.#write(AbortSignal.timeout(this.#limits.writeMs)).finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  /** Removes parts of days that are over long enough; gives how many. */
  async prune(): Promise<number> {
    const { store, workspace, clock, days = 30 } = this.#options;
    const oldest = dayOf(clock.now() - BigInt(days) * 86_400_000_000n);
    const before = Date.now() - days * 86_400_000;
    const keys: string[] = [];
    for await (const { key, modified } of store.list(partsPrefix(workspace))) {
      const part = partOf(workspace, key);
      if (part && part.day >= oldest) break;
      // A clock that stands in the past writes old days.
      if (part && modified.getTime() < before) keys.push(key);
    }
    for (let i = 0; i < keys.length; i += keysPerDelete) await store.delete(keys.slice(i, i + keysPerDelete));
    return keys.length;
  }

  /** Writes what waits, as far as there is time, and ends. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#timer);
    const { closeMs } = this.#limits;
    const signal = AbortSignal.timeout(closeMs);
    const last = async () => {
      await this.#writing;
      await this.#write(signal);
    };
    await Promise.race([last(), raised(signal)]);
    const { waiting } = this.#counts;
    if (waiting === 0) return;
    this.#counts.dropped += waiting;
    this.#counts.waiting = 0;
    this.#options.onProblem?.(
      new VarveError(
        "UNAVAILABLE",
        `Cannot write the last ${waiting} rows of the audit log to ${this.#options.store.description} within ${closeMs} ms: they are lost`,
      ),
    );
  }

  #take({ shape, hash }: { readonly shape: AuditShape; readonly hash: string }, row: ServedRow): void {
    const bytes = bytesOf(row);
    const { rows: maxRows, bytes: maxBytes, partRows, partBytes } = this.#limits;
    if (this.#closed || this.#counts.waiting >= maxRows || this.#waitingBytes + bytes > maxBytes) {
      this.#counts.dropped++;
      return;
    }
    const name = `${hash}/${dayOf(row.at)}`;
    let batch = this.#batches.get(name);
    if (!batch) this.#batches.set(name, batch = { shape, hash, rows: [], bytes: 0 });
    batch.rows.push(row);
    batch.bytes += bytes;
    this.#counts.waiting++;
    this.#waitingBytes += bytes;
    this.#batchRows++;
    this.#batchBytes += bytes;
    // While the store does not answer only the timer tries.
    if (this.#failedInARow > 0 || this.#writing) return;
    if (this.#batchRows >= partRows || this.#batchBytes >= partBytes) void this.flush();
  }

  #wait(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      void this.flush().then(() => this.#pruneNow()).finally(() => {
        if (this.#closed) return;
        const { everyMs } = this.#limits;
        // Sooner after a failure than after a success, and then less and less often.
        const delay = this.#failedInARow > 0 ? 1_000 * 2 ** Math.min(this.#failedInARow, 6) : everyMs;
        this.#wait(Math.min(delay, everyMs));
      });
    }, ms);
    this.#timer.unref();
  }

  async #pruneNow(): Promise<void> {
    if (performance.now() - this.#prunedAt < pruneEveryMs) return;
    this.#prunedAt = performance.now();
    await this.prune().catch((error: unknown) => this.#options.onProblem?.(error));
  }

  /** Never rejects: what could not be stored waits for the next time. */
  async #write(signal: AbortSignal): Promise<void> {
    try {
      const { store, workspace } = this.#options;
      this.#salt ??= await workspaceSalt(store, workspace, signal);
      await this.#store(signal);
      for (const [name, batch] of this.#batches) {
        this.#batches.delete(name);
        this.#batchRows -= batch.rows.length;
        this.#batchBytes -= batch.bytes;
        await this.#encode(batch);
        await this.#store(signal);
      }
      this.#failedInARow = 0;
    } catch (error) {
      this.#failedInARow++;
      this.#counts.failures++;
      this.#options.onProblem?.(error);
    }
  }

  async #encode({ shape, hash, rows, bytes }: Batch): Promise<void> {
    const { workspace, keys = "hashed" } = this.#options;
    const plain = keys === "plain";
    const salt = this.#salt!;
    try {
      const groups = groupsOf(shape, rows, { hashOf: (key) => keyHash(salt, key), plain });
      const body = await parquetFile(fieldsOf(shape, plain), groups, { [shapeName]: JSON.stringify(shape) });
      this.#parts.push({ key: newPartKey(workspace, shape.service, hash, rows[0]!.at), body, rows: rows.length });
      this.#waitingBytes += body.byteLength - bytes;
    } catch (error) {
      // Trying again would fail again.
      this.#counts.dropped += rows.length;
      this.#counts.waiting -= rows.length;
      this.#waitingBytes -= bytes;
      throw new VarveError(
        "CORRUPT",
        `Cannot write ${rows.length} rows of service "${shape.service}" to the audit log: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  async #store(signal: AbortSignal): Promise<void> {
    for (let part = this.#parts[0]; part; part = this.#parts[0]) {
      // Nobody else has this key: one that exists is ours, whose answer was lost.
      await this.#options.store.putIfAbsent(part.key, part.body, signal);
      this.#parts.shift();
      this.#counts.parts++;
      this.#counts.logged += part.rows;
      this.#counts.waiting -= part.rows;
      this.#waitingBytes -= part.body.byteLength;
    }
  }
}
