/** The contract of the object store: immutable objects, and put-if-absent for everything that must be agreed on. */

/** What is known of a stored object. */
export interface ObjectInfo {
  readonly key: string;
  readonly size: number;
  readonly modified: Date;
}

/**
 * Keys are `/`-separated, relative to the store's prefix; parts are `[A-Za-z0-9._=+@-]`, never `.` or `..`.
 * Every method ends within a limit, retries what can be retried (with jitter), and throws VarveError:
 * NOT_FOUND, UNAVAILABLE, TIMEOUT, EXHAUSTED, CORRUPT.
 */
export interface ObjectStore {
  /** How errors and `varve status` name it; without credentials. */
  readonly description: string;
  get(key: string, signal?: AbortSignal): Promise<Uint8Array>;
  /** The object, or undefined when there is none. */
  find(key: string, signal?: AbortSignal): Promise<Uint8Array | undefined>;
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
  /** A local path whose content is the object: the file itself on local disk, a checked copy in the cache for S3. Read only. */
  localPath(key: string, expect?: { size: number; sha256?: string }, signal?: AbortSignal): Promise<string>;
  /** Objects whose keys start with the prefix, in key order, after `after`. */
  list(prefix: string, options?: { after?: string; signal?: AbortSignal }): AsyncIterable<ObjectInfo>;
  /** Deletes; keys that do not exist are fine. */
  delete(keys: readonly string[], signal?: AbortSignal): Promise<void>;
  /** Fails with UNSUPPORTED unless the store honours put-if-absent; says what to do. */
  probe(signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
