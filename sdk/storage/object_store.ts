/** The contract of the object store: immutable objects, and put-if-absent for everything that must be agreed on. */
import { VarveError } from "../errors.ts";

/** What is known of a stored object. */
export interface ObjectInfo {
  /** Where it is, relative to the store. */
  readonly key: string;
  /** Its size in bytes. */
  readonly size: number;
  /** When it was written. */
  readonly modified: Date;
}

/**
 * Keys are `/`-separated, relative to the store's prefix; parts are `[A-Za-z0-9._=+@-]`, never `.` or `..`.
 * No key is the folder of another: on a disk it could not be both.
 * Every method ends within a limit, retries what can be retried (with jitter), and throws VarveError:
 * NOT_FOUND, UNAVAILABLE, TIMEOUT, EXHAUSTED, CORRUPT.
 */
export interface ObjectStore {
  /** How errors and `varve status` name it; without credentials. */
  readonly description: string;
  /** The object; NOT_FOUND when there is none. */
  get(key: string, signal?: AbortSignal): Promise<Uint8Array>;
  /** The object, or undefined when there is none. */
  find(key: string, signal?: AbortSignal): Promise<Uint8Array | undefined>;
  /** What is known of an object, or undefined when there is none. */
  head(key: string, signal?: AbortSignal): Promise<ObjectInfo | undefined>;
  /** Writes or overwrites. */
  put(key: string, body: Uint8Array | string, signal?: AbortSignal): Promise<void>;
  /**
   * Writes if there is no such object. `"created"`: this very call made it. `"exists"`: somebody's object is there,
   * perhaps this call's own whose answer was lost: the caller reads it back to find out.
   */
  putIfAbsent(key: string, body: Uint8Array | string, signal?: AbortSignal): Promise<"created" | "exists">;
  /** Streams a local file up (multipart when large). The file may be moved rather than copied when `move` is set. */
  putFile(key: string, path: string, options?: { move?: boolean; signal?: AbortSignal }): Promise<ObjectInfo>;
  /**
   * A local path whose content is the object: the file itself on local disk, a copy in the cache for S3. Read only. What is expected of
   * it is checked, the hash once per process as long as the file does not change: CORRUPT where it is another.
   */
  localPath(key: string, expect?: { size: number; sha256?: string }, signal?: AbortSignal): Promise<string>;
  /** Objects whose keys start with the prefix, in key order, after `after`. */
  list(prefix: string, options?: { after?: string; signal?: AbortSignal }): AsyncIterable<ObjectInfo>;
  /** Deletes; keys that do not exist are fine. */
  delete(keys: readonly string[], signal?: AbortSignal): Promise<void>;
  /** Fails with UNSUPPORTED unless the store honours put-if-absent; says what to do. */
  probe(signal?: AbortSignal): Promise<void>;
  /** Releases connections and temporary files. */
  close(): Promise<void>;
}

/** The longest key: what S3 takes, with room for the store's prefix. */
export const maxKeyLength = 900;

/** Refuses a key that a store could misread: outside the alphabet of keys, or leading out of the store's folder. */
export function checkKey(key: string): void {
  const good = key !== "" && key.length <= maxKeyLength && key.split("/").every(isKeyPart);
  if (!good) throw badKey("object", key);
}

/** Refuses a prefix that no key can start with; an empty one lists everything. */
export function checkPrefix(prefix: string): void {
  const parts = prefix.split("/");
  const last = parts.pop()!;
  const good = prefix.length <= maxKeyLength && parts.every(isKeyPart) && /^[A-Za-z0-9._=+@-]*$/.test(last) &&
    last !== "..";
  if (!good) throw badKey("prefix", prefix);
}

/** Whether this is a part of a key, between slashes. */
export function isKeyPart(part: string): boolean {
  return /^[A-Za-z0-9._=+@-]{1,255}$/.test(part) && part !== "." && part !== "..";
}

function badKey(what: string, key: string): VarveError {
  const shown = JSON.stringify(key.length > 200 ? `${key.slice(0, 200)}…` : key);
  return new VarveError(
    "INVALID_REQUEST",
    `Cannot use ${what} key ${shown}: parts between slashes hold letters, digits and ._=+@- and are never "." or ".."`,
  );
}

/** Throws CANCELLED when whoever asked for it has cancelled. */
export function throwIfCancelled(signal: AbortSignal | undefined, what: string): void {
  if (!signal?.aborted) return;
  throw new VarveError("CANCELLED", `Cannot ${what}: it was cancelled`, { cause: signal.reason });
}

/** Bytes of a body: text is UTF-8. */
export function bytesOf(body: Uint8Array | string): Uint8Array {
  return typeof body === "string" ? new TextEncoder().encode(body) : body;
}
