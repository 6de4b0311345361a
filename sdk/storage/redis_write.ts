/** Writes batches: over raw sockets to one server, through ioredis in groups of one bucket to a Cluster. */
import { VarveError } from "../errors.ts";
import { ByteWriter } from "./byte_writer.ts";
import { abortError, throwIfAborted } from "./online_cancel.ts";
import type { Collection, PackedBatch } from "./online_store.ts";
import { type RedisConnection, redisError, type SocketTarget } from "./redis_client.ts";
import { GroupEncoder, type WriteKind } from "./redis_encode.ts";
import { bucketOf } from "./redis_keys.ts";
import { mergeScript } from "./redis_scripts.ts";
import { RedisSocket } from "./redis_socket.ts";

const bufferBytes = 256 * 1024;
const maxBuffers = 4;
const maxIdleSockets = 4;
const groupsInFlight = 8;

/** Buffers between their uses, of all writers. */
const freeBuffers: ByteWriter[] = [];

/** Writes packed batches into one server or a Cluster. */
export class RedisWriter {
  readonly #connection: RedisConnection;
  readonly #idle: RedisSocket[] = [];
  #isClosed = false;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
  }

  /** Writes a batch; gives how many values a merge took. */
  async write(collection: Collection, batch: PackedBatch, isMerge: boolean, signal?: AbortSignal): Promise<number> {
    throwIfAborted(signal);
    if (this.#isClosed) {
      throw new VarveError("UNAVAILABLE", `Cannot use ${this.#connection.description}: it was closed`);
    }
    if (batch.count === 0) return 0;
    const target = this.#connection.direct;
    if (!target) return await this.#writeGroups(collection, batch, isMerge, signal);
    const kind: WriteKind = isMerge ? "merge" : batch.expireAt ? "set" : "mset";
    const socket = await this.#take(target);
    const stop = () => socket.destroy(abortError(signal!, "write"));
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted) stop();
    try {
      return await streamGroups(
        socket,
        this.#connection.description,
        new GroupEncoder(kind, collection, batch),
        batch.count,
      );
    } catch (error) {
      throwIfAborted(signal);
      throw error;
    } finally {
      signal?.removeEventListener("abort", stop);
      this.#release(socket);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const socket of this.#idle.splice(0)) socket.destroy();
  }

  async #take(target: SocketTarget): Promise<RedisSocket> {
    for (;;) {
      const socket = this.#idle.pop();
      if (socket && !socket.failure) return socket;
      if (!socket) return await RedisSocket.connect(target, this.#connection.description);
    }
  }

  #release(socket: RedisSocket): void {
    if (socket.failure) return;
    socket.end();
    if (this.#isClosed || this.#idle.length >= maxIdleSockets) socket.destroy();
    else this.#idle.push(socket);
  }

  async #writeGroups(
    collection: Collection,
    batch: PackedBatch,
    isMerge: boolean,
    signal?: AbortSignal,
  ): Promise<number> {
    // A plain load that expires has no command for many keys; comparing with nothing gives the same.
    const kind: WriteKind = isMerge || batch.expireAt ? "merge" : "mset";
    const { order, bucketEnds } = byBucket(batch);
    const encoder = new GroupEncoder(kind, collection, batch, order);
    const writer = new ByteWriter(64 * 1024);
    let taken = 0;
    let failure: unknown;
    const running = new Set<Promise<void>>();
    let from = 0;
    for (const bucketEnd of bucketEnds) {
      while (from < bucketEnd && failure === undefined) {
        const to = encoder.groupEnd(from, bucketEnd);
        writer.at = 0;
        encoder.append(writer, from, to);
        const key = encoder.firstKey(from);
        const task: Promise<void> = this.#sendGroup(kind, key, Buffer.from(writer.copy()))
          .then((count) => void (taken += count), (error: unknown) => void (failure ??= error))
          .finally(() => running.delete(task));
        running.add(task);
        if (running.size >= groupsInFlight) await Promise.race(running);
        if (signal?.aborted) failure ??= abortError(signal, "write");
        from = to;
      }
    }
    await Promise.all(running);
    if (failure !== undefined) throw failure;
    return taken;
  }

  async #sendGroup(kind: WriteKind, key: Buffer, bytes: Buffer): Promise<number> {
    if (kind === "mset") {
      await this.#connection.callPrepared("mset", [key], bytes);
      return 0;
    }
    const send = () => this.#connection.callPrepared("evalsha", [mergeScript.sha, 1, key], bytes);
    try {
      return Number(await send());
    } catch (error) {
      if (!isNoScript(error)) throw error;
      await this.#connection.onMasters((call) => call("script", "LOAD", mergeScript.text));
      return Number(await send());
    }
  }
}

/** Sends all groups down a socket, waits for every answer, and sends again what found no script. */
async function streamGroups(
  socket: RedisSocket,
  description: string,
  encoder: GroupEncoder,
  count: number,
): Promise<number> {
  // Starts of groups sent and not answered yet, in order.
  const pending: number[] = [];
  let answered = 0;
  let taken = 0;
  let missing: number[] = [];
  let failure: string | undefined;
  socket.begin((line) => {
    const group = pending[answered++]!;
    if (line[0] === ":") taken += Number(line.slice(1));
    else if (line.startsWith("-NOSCRIPT")) missing.push(group);
    else if (line[0] === "-") failure ??= line.slice(1);
  });
  let buffers = 0;
  const buffer = async (): Promise<ByteWriter> => {
    while (buffers >= maxBuffers) await socket.progress();
    buffers++;
    return freeBuffers.pop() ?? new ByteWriter(bufferBytes);
  };
  const giveBack = (writer: ByteWriter) => {
    buffers--;
    writer.at = 0;
    // One huge value must not keep its buffer.
    if (writer.bytes.length <= 2 * bufferBytes && freeBuffers.length < maxIdleSockets * maxBuffers) {
      freeBuffers.push(writer);
    }
  };
  const flush = (writer: ByteWriter) => socket.write(writer.bytes.subarray(0, writer.at), () => giveBack(writer));
  const send = async (starts: Iterable<number>): Promise<void> => {
    let writer = await buffer();
    for (const from of starts) {
      if (failure !== undefined) break;
      encoder.append(writer, from, encoder.groupEnd(from, count));
      pending.push(from);
      if (writer.at >= bufferBytes * 0.75) {
        flush(writer);
        writer = await buffer();
      }
    }
    if (writer.at > 0) flush(writer);
    else giveBack(writer);
    while (answered < pending.length) await socket.progress();
  };
  await send(groupStarts(encoder, count));
  // A server that restarts again and again would keep this going: then it is not available.
  for (let attempt = 0; missing.length > 0 && failure === undefined && attempt < 3; attempt++) {
    const again = missing;
    missing = [];
    await loadScript(socket, () => pending.push(-1));
    await send(again);
  }
  if (missing.length > 0) failure ??= "the script is lost again and again";
  if (failure !== undefined) throw redisError(description, new Error(failure));
  return taken;

  async function loadScript(target: RedisSocket, onSend: () => void): Promise<void> {
    const text = mergeScript.text;
    onSend();
    target.write(Buffer.from(`*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$${text.length}\r\n${text}\r\n`));
    while (answered < pending.length) await target.progress();
  }
}

function* groupStarts(encoder: GroupEncoder, count: number): Iterable<number> {
  for (let from = 0; from < count; from = encoder.groupEnd(from, count)) yield from;
}

/** Rows in order of their bucket, and where each bucket ends; rows of a key keep their order. */
function byBucket(batch: PackedBatch): { order: Uint32Array; bucketEnds: number[] } {
  const buckets = new Uint16Array(batch.count);
  const ends = new Array<number>(1025).fill(0);
  for (let i = 0; i < batch.count; i++) {
    const bucket = bucketOf(batch.keys, batch.keyOffsets[i]!, batch.keyOffsets[i + 1]!);
    buckets[i] = bucket;
    ends[bucket + 1]!++;
  }
  for (let i = 1; i < ends.length; i++) ends[i]! += ends[i - 1]!;
  const next = ends.slice();
  const order = new Uint32Array(batch.count);
  for (let i = 0; i < batch.count; i++) order[next[buckets[i]!]!++] = i;
  return { order, bucketEnds: ends.slice(1) };
}

function isNoScript(error: unknown): boolean {
  return error instanceof VarveError && error.cause instanceof Error && error.cause.message.startsWith("NOSCRIPT");
}
