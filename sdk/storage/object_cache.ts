/** Copies of immutable objects on local disk: checked, shared by the processes of a computer, the least used dropped first. */
import { createHash } from "node:crypto";
import type { Stats } from "node:fs";
import { mkdir, readdir, rename, stat, unlink, utimes } from "node:fs/promises";
import { join, resolve } from "node:path";
import { VarveError } from "../errors.ts";
import { noteSha256, sha256Of } from "./object_hashes.ts";
import { fileError, isAbsent, sweepUnfinished, unfinishedFolder, unfinishedPath } from "./object_unfinished.ts";

/** Where copies are kept and how many. */
export interface ObjectCacheOptions {
  readonly folder: string;
  /** Copies are dropped when they take more than this. */
  readonly maxBytes: number;
  /** A path that was given out stays for this long at least, whatever the size: its reader may not have opened it yet. */
  readonly keepMs: number;
}

/** What a copy must be. */
export interface ExpectedCopy {
  /** Which object; errors name it. */
  readonly object: string;
  /** Tells its content from another content under the same key: a hash, or what the server says. */
  readonly content: string;
  /** Engines look at it: `.parquet`, `.csv.gz`. */
  readonly extension: string;
  readonly size: number;
  readonly sha256?: string | undefined;
}

/** Writes the object to a path and gives what arrived. */
export type FetchObject = (path: string, signal: AbortSignal) => Promise<{ size: number; sha256: string }>;

interface Fetching {
  readonly path: Promise<string>;
  readonly controller: AbortController;
  waiting: number;
}

const mostTries = 4;

/** The cache in a folder. Several processes may share it. */
export class ObjectCache {
  readonly #options: ObjectCacheOptions;
  readonly #fetching = new Map<string, Fetching>();
  #bytes: number | undefined;
  #swept: Promise<void> | undefined;

  constructor(options: ObjectCacheOptions) {
    this.#options = { ...options, folder: resolve(options.folder) };
  }

  /**
   * The path of a copy. Many may ask for the same copy at once: it is fetched once.
   */
  async path(expect: ExpectedCopy, fetch: FetchObject, signal?: AbortSignal): Promise<string> {
    const hash = createHash("sha256").update(`${expect.object}\0${expect.content}`).digest("hex");
    const name = hash + expect.extension;
    let fetching = this.#fetching.get(name);
    if (!fetching) {
      const controller = new AbortController();
      const path = this.#obtain(name, expect, fetch, controller.signal)
        .finally(() => this.#fetching.delete(name));
      path.catch(() => undefined);
      fetching = { path, controller, waiting: 0 };
      this.#fetching.set(name, fetching);
    }
    return await waitFor(fetching, expect.object, signal);
  }

  async #obtain(name: string, expect: ExpectedCopy, fetch: FetchObject, signal: AbortSignal): Promise<string> {
    const folder = join(this.#options.folder, name.slice(0, 2));
    const path = join(folder, name);
    try {
      if (await this.#isGood(path, expect)) return path;
      await mkdir(folder, { recursive: true });
      const unfinished = join(this.#options.folder, unfinishedFolder);
      await mkdir(unfinished, { recursive: true });
      this.#swept ??= sweepUnfinished(unfinished);
      await this.#fetch(path, unfinishedPath(unfinished), expect, fetch, signal);
      await this.#drop();
      return path;
    } catch (error) {
      throw fileError(error, `cache object "${expect.object}" in ${this.#options.folder}`, signal);
    }
  }

  async #fetch(
    path: string,
    unfinished: string,
    expect: ExpectedCopy,
    fetch: FetchObject,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      for (let attempt = 1;; attempt++) {
        const got = await fetch(unfinished, signal);
        if (got.size === expect.size && got.sha256 === (expect.sha256 ?? got.sha256)) break;
        if (attempt < mostTries) continue;
        const what = got.size === expect.size
          ? "another sha256 than was recorded"
          : `${got.size} bytes, not ${expect.size}`;
        throw new VarveError(
          "CORRUPT",
          `Cannot read object "${expect.object}": it has ${what} (tried ${mostTries} times); restore it or run its slice again`,
        );
      }
      await touch(unfinished);
      const info = await stat(unfinished);
      await rename(unfinished, path);
      if (expect.sha256) noteSha256(info, expect.sha256);
      if (this.#bytes !== undefined) this.#bytes += info.size;
    } catch (error) {
      await unlink(unfinished).catch(() => undefined);
      throw error;
    }
  }

  /** Whether there is a copy that is what it must be. Its content is read once per process, and again when it changed. */
  async #isGood(path: string, expect: ExpectedCopy): Promise<boolean> {
    try {
      const info = await stat(path);
      if (info.size !== expect.size) return false;
      if (expect.sha256 && await sha256Of(path, info) !== expect.sha256) return false;
      await touch(path, info);
      return true;
    } catch (error) {
      if (isAbsent(error)) return false;
      throw error;
    }
  }

  /** Drops the least recently used copies, once there is too much. */
  async #drop(): Promise<void> {
    const { folder, maxBytes, keepMs } = this.#options;
    // Other processes write here too: what this one has counted is only a reason to look.
    if (this.#bytes !== undefined && this.#bytes <= maxBytes) return;
    const copies = await listCopies(folder);
    let bytes = copies.reduce((sum, copy) => sum + copy.info.size, 0);
    const keepAfter = Date.now() - keepMs;
    for (const { path, info } of copies.sort((a, b) => a.info.atimeMs - b.info.atimeMs)) {
      if (bytes <= maxBytes || info.atimeMs > keepAfter) break;
      await unlink(path).catch(() => undefined);
      bytes -= info.size;
    }
    // Look again after a sixteenth of the room was filled anew, at the latest.
    this.#bytes = Math.max(bytes, maxBytes - maxBytes / 16);
  }
}

/** Waits for a fetch that others may wait for too; it is cancelled when nobody waits any more. */
async function waitFor(fetching: Fetching, object: string, signal: AbortSignal | undefined): Promise<string> {
  fetching.waiting++;
  let cancel = () => {};
  const cancelled = new Promise<never>((_, reject) => {
    cancel = () =>
      reject(
        new VarveError("CANCELLED", `Cannot read object "${object}": it was cancelled`, { cause: signal?.reason }),
      );
    if (signal?.aborted) cancel();
    else signal?.addEventListener("abort", cancel, { once: true });
  });
  try {
    return await Promise.race([fetching.path, cancelled]);
  } finally {
    signal?.removeEventListener("abort", cancel);
    if (--fetching.waiting === 0) fetching.controller.abort();
  }
}

async function listCopies(folder: string): Promise<{ path: string; info: Stats }[]> {
  const copies: { path: string; info: Stats }[] = [];
  for (const shelf of await readdir(folder)) {
    if (!/^[0-9a-f]{2}$/.test(shelf)) continue;
    for (const name of await readdir(join(folder, shelf))) {
      const path = join(folder, shelf, name);
      const info = await stat(path).catch(() => undefined);
      if (info) copies.push({ path, info });
    }
  }
  return copies;
}

/** Marks a copy as used now; its modification time stays, because that tells whether its content changed. */
async function touch(path: string, info?: Stats): Promise<void> {
  const now = new Date();
  // Whole seconds, which every file system keeps exactly.
  const modified = info?.mtime ?? new Date(Math.floor(now.getTime() / 1000) * 1000);
  await utimes(path, now, modified);
}
