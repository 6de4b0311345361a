/** The object store in an S3 bucket: Amazon's, or any server that speaks its protocol and honours conditional writes. */
import { randomUUID } from "node:crypto";
import { readFile, stat, unlink } from "node:fs/promises";
import type { Readable } from "node:stream";
import { VarveError } from "../errors.ts";
import { ObjectCache } from "./object_cache.ts";
import { type Attempt, retrying, type RetryOptions } from "./object_retry.ts";
import { hostOf, type LoadedS3, loadS3, type S3Options } from "./object_s3_client.ts";
import { S3Errors } from "./object_s3_errors.ts";
import { FileSink, MemorySink, type Sink, uploadParts } from "./object_s3_files.ts";
import {
  bytesOf,
  checkKey,
  checkPrefix,
  isKeyPart,
  type ObjectInfo,
  type ObjectStore,
  throwIfCancelled,
} from "./object_store.ts";
import { fileError } from "./object_unfinished.ts";

/** The objects of a bucket, below a prefix. Nothing is loaded or asked before the first call. */
export function s3ObjectStore(options: S3Options): ObjectStore {
  return new S3ObjectStore(options);
}

const mostDeletes = 1_000;
// One try may take longer the more it sends: nobody's line is slower than this.
const slowestBytesPerMs = 100;

class S3ObjectStore implements ObjectStore {
  readonly description: string;
  readonly #options: S3Options;
  readonly #prefix: string;
  readonly #retry: RetryOptions;
  readonly #cache: ObjectCache;
  readonly #errors: S3Errors;
  #loaded: Promise<LoadedS3> | undefined;

  constructor(options: S3Options) {
    const { attempts = 6, retryDelayMs = 100, timeoutMs = 20_000 } = options;
    const { cacheFolder, cacheBytes = 20e9, cacheKeepMs = 3_600_000 } = options;
    const prefix = (options.prefix ?? "").replaceAll(/^\/+|\/+$/g, "");
    if (prefix !== "") checkKey(prefix);
    this.#options = options;
    this.#prefix = prefix === "" ? "" : `${prefix}/`;
    this.#retry = { attempts, delayMs: retryDelayMs, timeoutMs };
    this.#cache = new ObjectCache({ folder: cacheFolder, maxBytes: cacheBytes, keepMs: cacheKeepMs });
    const host = options.endpoint === undefined ? "" : ` at ${hostOf(options.endpoint)}`;
    this.description = `S3 bucket s3://${options.bucket}/${prefix}${host}`;
    this.#errors = new S3Errors(this.description, options.credentials);
  }

  async get(key: string, signal?: AbortSignal): Promise<Uint8Array> {
    const body = await this.find(key, signal);
    if (body === undefined) throw this.#errors.missing(key);
    return body;
  }

  async find(key: string, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    const sink = new MemorySink();
    return await this.#read(key, sink, signal) ? sink.bytes() : undefined;
  }

  async head(key: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    const found = await this.#headWithTag(key, signal);
    return found && { key, size: found.size, modified: found.modified };
  }

  async put(key: string, body: Uint8Array | string, signal?: AbortSignal): Promise<void> {
    await this.#put(key, bytesOf(body), {}, signal);
  }

  async putIfAbsent(key: string, body: Uint8Array | string, signal?: AbortSignal): Promise<"created" | "exists"> {
    return await this.#put(key, bytesOf(body), { IfNoneMatch: "*" }, signal);
  }

  async putFile(
    key: string,
    path: string,
    options: { move?: boolean; signal?: AbortSignal } = {},
  ): Promise<ObjectInfo> {
    const { signal } = options;
    const { partBytes = 16 * 2 ** 20 } = this.#options;
    let size: number;
    try {
      size = (await stat(path)).size;
      if (size <= partBytes) await this.#put(key, await readFile(path), {}, signal);
      else await this.#putParts(key, path, size, partBytes, signal);
    } catch (error) {
      throw fileError(error, `put object "${key}" from ${path}`, signal);
    }
    const info = await this.head(key, signal);
    if (info?.size !== size) {
      throw new VarveError(
        "CORRUPT",
        `Cannot put object "${key}": ${info?.size ?? 0} bytes arrived of ${size}; try again`,
      );
    }
    if (options.move) await unlink(path).catch(() => undefined);
    return info;
  }

  async localPath(key: string, expect?: { size: number; sha256?: string }, signal?: AbortSignal): Promise<string> {
    checkKey(key);
    throwIfCancelled(signal, `get object "${key}"`);
    let content = expect?.sha256;
    let size = expect?.size;
    if (content === undefined || size === undefined) {
      const info = await this.#headWithTag(key, signal);
      if (!info) throw this.#errors.missing(key);
      content = `${info.tag} ${info.modified.getTime()} ${info.size}`;
      size ??= info.size;
    }
    const extension = /(\.[A-Za-z0-9]{1,10}){1,2}$/.exec(key)?.[0] ?? "";
    return await this.#cache.path(
      { object: `${this.description} ${key}`, content, extension, size, sha256: expect?.sha256 },
      (path, signal) => this.#download(key, path, signal),
      signal,
    );
  }

  async *list(prefix: string, options: { after?: string; signal?: AbortSignal } = {}): AsyncIterable<ObjectInfo> {
    checkPrefix(prefix);
    const { after, signal } = options;
    let token: string | undefined;
    do {
      const page = await this.#send(
        `list "${prefix}"`,
        signal,
        async ({ sdk, client }, { signal }) => {
          const reply = await client.send(
            new sdk.ListObjectsV2Command({
              Bucket: this.#options.bucket,
              Prefix: this.#prefix + prefix,
              ...after !== undefined && token === undefined && { StartAfter: this.#prefix + after },
              ...token !== undefined && { ContinuationToken: token },
            }),
            { abortSignal: signal },
          );
          const { IsTruncated, NextContinuationToken } = reply;
          if (IsTruncated === false || (IsTruncated && NextContinuationToken !== undefined)) return reply;
          // An empty page, or somebody else's, would look like the end of the list.
          throw new VarveError(
            "UNAVAILABLE",
            `Cannot list "${prefix}": ${this.description} answers what is no list; check that the endpoint is a server of S3`,
          );
        },
      );
      for (const { Key = "", Size = 0, LastModified = new Date(0) } of page.Contents ?? []) {
        const key = Key.slice(this.#prefix.length);
        // Folder markers and other programs' objects, which varve could not name.
        if (!key.split("/").every(isKeyPart)) continue;
        yield { key, size: Size, modified: LastModified };
      }
      token = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async delete(keys: readonly string[], signal?: AbortSignal): Promise<void> {
    keys.forEach(checkKey);
    for (let start = 0; start < keys.length; start += mostDeletes) {
      const Objects = keys.slice(start, start + mostDeletes).map((key) => ({ Key: this.#prefix + key }));
      const action = `delete ${Objects.length} objects from "${keys[start]}"`;
      await this.#send(action, signal, async ({ sdk, client }, { signal }) => {
        const Delete = { Objects, Quiet: true };
        const reply = await client.send(new sdk.DeleteObjectsCommand({ Bucket: this.#options.bucket, Delete }), {
          abortSignal: signal,
        });
        const failed = reply.Errors?.[0];
        if (!failed) return;
        throw new VarveError("UNAVAILABLE", `Cannot delete object "${failed.Key}": ${failed.Code} ${failed.Message}`);
      });
    }
  }

  async probe(signal?: AbortSignal): Promise<void> {
    const key = `probe-${randomUUID()}`;
    try {
      await this.#put(key, bytesOf("1"), { IfNoneMatch: "*" }, signal);
      if (await this.#put(key, bytesOf("2"), { IfNoneMatch: "*" }, signal) === "exists") return;
    } finally {
      await this.delete([key]).catch(() => undefined);
    }
    throw new VarveError(
      "UNSUPPORTED",
      `Cannot use ${this.description} as object store: it ignores If-None-Match, so two writers could both win a commit; ` +
        `use a server that honours conditional writes (Amazon S3, a current MinIO), or a folder on a local disk`,
    );
  }

  async close(): Promise<void> {
    const loaded = this.#loaded;
    this.#loaded = undefined;
    (await loaded)?.client.destroy();
  }

  /** Sends one request as often as it takes. Its errors are translated here, and only here. */
  async #send<T>(
    action: string,
    signal: AbortSignal | undefined,
    request: (loaded: LoadedS3, attempt: Attempt) => Promise<T>,
    bytes = 0,
  ): Promise<T> {
    const loaded = await (this.#loaded ??= loadS3(this.#options));
    const timeoutMs = this.#retry.timeoutMs + bytes / slowestBytesPerMs;
    return await retrying(action, { ...this.#retry, timeoutMs }, signal, async (attempt) => {
      try {
        return await request(loaded, attempt);
      } catch (error) {
        throw this.#errors.translate(error, action);
      }
    });
  }

  async #put(
    key: string,
    body: Uint8Array,
    condition: { IfNoneMatch?: string },
    signal: AbortSignal | undefined,
  ): Promise<"created" | "exists"> {
    checkKey(key);
    const input = { Bucket: this.#options.bucket, Key: this.#prefix + key, Body: body, ...condition };
    return await this.#send(`put object "${key}"`, signal, async ({ sdk, client }, { signal }) => {
      try {
        await client.send(new sdk.PutObjectCommand(input), { abortSignal: signal });
        return "created";
      } catch (error) {
        if (condition.IfNoneMatch && this.#errors.statusOf(error) === 412) return "exists";
        throw error;
      }
    }, body.byteLength);
  }

  async #headWithTag(key: string, signal?: AbortSignal): Promise<ObjectInfo & { readonly tag: string } | undefined> {
    checkKey(key);
    const input = { Bucket: this.#options.bucket, Key: this.#prefix + key };
    return await this.#send(`look at object "${key}"`, signal, async ({ sdk, client }, { signal }) => {
      try {
        const reply = await client.send(new sdk.HeadObjectCommand(input), { abortSignal: signal });
        const { ContentLength = 0, LastModified = new Date(0), ETag = "" } = reply;
        return { key, size: ContentLength, modified: LastModified, tag: ETag };
      } catch (error) {
        if (this.#errors.statusOf(error) === 404) return undefined;
        throw error;
      }
    });
  }

  /** Streams an object into a sink, from the start again when it broke off; undefined when there is none. */
  async #read(
    key: string,
    sink: Sink,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    checkKey(key);
    const input = { Bucket: this.#options.bucket, Key: this.#prefix + key };
    const action = `get object "${key}"`;
    return await this.#send(action, signal, async ({ sdk, client }, { signal, progress }) => {
      let reply;
      try {
        reply = await client.send(new sdk.GetObjectCommand(input), { abortSignal: signal });
      } catch (error) {
        if (this.#errors.isMissingKey(error)) return false;
        throw error;
      }
      const body = reply.Body as unknown as Readable;
      // It may break off before it is read, which then throws: an error that nobody listens to would end the process.
      body.on("error", () => {});
      await sink.start();
      let size = 0;
      for await (const chunk of abortable(body, signal)) {
        progress();
        size += chunk.byteLength;
        await sink.write(chunk);
      }
      if (reply.ContentLength === undefined || reply.ContentLength === size) return true;
      throw new VarveError(
        "UNAVAILABLE",
        `Cannot ${action}: it broke off after ${size} of ${reply.ContentLength} bytes`,
      );
    });
  }

  async #download(key: string, path: string, signal: AbortSignal): Promise<{ size: number; sha256: string }> {
    const sink = await FileSink.create(path);
    try {
      if (!await this.#read(key, sink, signal)) throw this.#errors.missing(key);
      return sink.content();
    } finally {
      await sink.close();
    }
  }

  async #putParts(
    key: string,
    path: string,
    size: number,
    partBytes: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    checkKey(key);
    const object = { Bucket: this.#options.bucket, Key: this.#prefix + key };
    const action = `put object "${key}" in parts`;
    const ChecksumAlgorithm = "CRC32";
    const { UploadId } = await this.#send(
      action,
      signal,
      async ({ sdk, client }, { signal }) =>
        await client.send(new sdk.CreateMultipartUploadCommand({ ...object, ChecksumAlgorithm }), {
          abortSignal: signal,
        }),
    );
    const upload = { ...object, UploadId };
    await uploadParts(
      {
        send: async (PartNumber, Body) =>
          await this.#send(action, signal, async ({ sdk, client }, { signal }) => {
            const command = new sdk.UploadPartCommand({ ...upload, PartNumber, Body, ChecksumAlgorithm });
            const { ETag, ChecksumCRC32 } = await client.send(command, { abortSignal: signal });
            return { PartNumber, ...ETag && { ETag }, ...ChecksumCRC32 && { ChecksumCRC32 } };
          }, Body.byteLength),
        complete: async (Parts) =>
          await this.#send(action, signal, async ({ sdk, client }, { signal }) => {
            const command = new sdk.CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } });
            await client.send(command, { abortSignal: signal }).catch((error) => {
              // Completed before, by a try whose answer was lost: the caller looks at the object's size.
              if (this.#errors.nameOf(error) !== "NoSuchUpload") throw error;
            });
          }, size),
        abort: async () =>
          await this.#send(action, undefined, async ({ sdk, client }, { signal }) => {
            await client.send(new sdk.AbortMultipartUploadCommand(upload), { abortSignal: signal });
          }),
      },
      path,
      size,
      partBytes,
    );
  }
}

/** The body of a reply, which ends with an error when the signal says so. */
async function* abortable(
  body: Readable,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  const stop = () => body.destroy(new Error("aborted"));
  signal.addEventListener("abort", stop, { once: true });
  try {
    yield* body;
    signal.throwIfAborted();
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
