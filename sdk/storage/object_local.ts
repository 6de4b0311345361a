/** The object store on local disk: a folder in which every object is a file, written whole or not at all. */
import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, link, mkdir, open, readdir, readFile, rename, rmdir, stat, unlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { VarveError } from "../errors.ts";
import { sha256Of } from "./object_hashes.ts";
import {
  bytesOf,
  checkKey,
  checkPrefix,
  isKeyPart,
  type ObjectInfo,
  type ObjectStore,
  throwIfCancelled,
} from "./object_store.ts";
import { codeOf, fileError, isAbsent, sweepUnfinished, unfinishedFolder, unfinishedPath } from "./object_unfinished.ts";

/** Objects as files below a folder; the folder is made by the first write. */
export function localObjectStore(folder: string): ObjectStore {
  return new LocalObjectStore(resolve(folder));
}

class LocalObjectStore implements ObjectStore {
  readonly description: string;
  readonly #root: string;
  readonly #unfinished: string;
  #swept: Promise<void> | undefined;

  constructor(root: string) {
    this.#root = root;
    this.#unfinished = join(root, unfinishedFolder);
    this.description = `folder ${root}`;
  }

  async get(key: string, signal?: AbortSignal): Promise<Uint8Array> {
    const body = await this.find(key, signal);
    if (body === undefined) throw missing(key, this.description);
    return body;
  }

  async find(key: string, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    throwIfCancelled(signal, `get object "${key}"`);
    try {
      const bytes = await readFile(this.#path(key));
      return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw fileError(error, `get object "${key}"`);
    }
  }

  async head(key: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    throwIfCancelled(signal, `look at object "${key}"`);
    try {
      const found = await stat(this.#path(key));
      return found.isFile() ? { key, size: found.size, modified: found.mtime } : undefined;
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw fileError(error, `look at object "${key}"`);
    }
  }

  async put(key: string, body: Uint8Array | string, signal?: AbortSignal): Promise<void> {
    await this.#write(key, writeBytes(body), (from, to) => rename(from, to), signal);
  }

  async putIfAbsent(key: string, body: Uint8Array | string, signal?: AbortSignal): Promise<"created" | "exists"> {
    if (await this.head(key, signal)) return "exists";
    try {
      await this.#write(key, writeBytes(body), linkOnce, signal);
      return "created";
    } catch (error) {
      if (error instanceof VarveError && isLostRace(error.cause)) return "exists";
      throw error;
    }
  }

  async putFile(
    key: string,
    path: string,
    options: { move?: boolean; signal?: AbortSignal } = {},
  ): Promise<ObjectInfo> {
    const { move = false, signal } = options;
    if (!(move && await this.#moveIn(key, path, signal))) {
      const copy = async (file: FileHandle) => {
        for await (const chunk of createReadStream(path, { signal }) as AsyncIterable<Uint8Array>) {
          await file.writeFile(chunk);
        }
      };
      await this.#write(key, copy, (from, to) => rename(from, to), signal);
      if (move) await unlink(path).catch(() => undefined);
    }
    const info = await this.head(key);
    if (!info) throw new VarveError("UNAVAILABLE", `Cannot put object "${key}": it vanished after it was written`);
    return info;
  }

  async localPath(key: string, expect?: { size: number; sha256?: string }, signal?: AbortSignal): Promise<string> {
    const info = await this.head(key, signal);
    if (!info) throw missing(key, this.description);
    const path = this.#path(key);
    const corrupt = (what: string) =>
      new VarveError("CORRUPT", `Cannot read object "${key}": it has ${what}; restore it or run its slice again`);
    if (expect && expect.size !== info.size) throw corrupt(`${info.size} bytes, not ${expect.size}`);
    if (expect?.sha256 !== undefined && await this.#sha256(key, path) !== expect.sha256) {
      throw corrupt("another sha256 than was recorded");
    }
    return path;
  }

  async *list(prefix: string, options: { after?: string; signal?: AbortSignal } = {}): AsyncIterable<ObjectInfo> {
    checkPrefix(prefix);
    const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1);
    yield* this.#walk(folder, prefix, options.after ?? "", options.signal);
  }

  async delete(keys: readonly string[], signal?: AbortSignal): Promise<void> {
    keys.forEach(checkKey);
    for (const key of keys) {
      throwIfCancelled(signal, `delete object "${key}"`);
      try {
        await unlink(this.#path(key));
        await this.#removeEmptyFolders(dirname(this.#path(key)));
      } catch (error) {
        if (!isAbsent(error)) throw fileError(error, `delete object "${key}"`);
      }
    }
  }

  async probe(signal?: AbortSignal): Promise<void> {
    const key = `probe-${randomUUID()}`;
    try {
      const outcomes = [await this.putIfAbsent(key, "1", signal), await this.#linkAgain(key)];
      if (outcomes.join() === "created,exists") return;
    } catch (error) {
      if (
        !(error instanceof VarveError) || !["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(codeOf(error.cause))
      ) {
        throw error;
      }
    } finally {
      await this.delete([key]);
    }
    throw new VarveError(
      "UNSUPPORTED",
      `Cannot use ${this.description} as object store: its file system has no hard links, so two writers could both ` +
        `win; use a folder on a local disk, or an S3 bucket`,
    );
  }

  async close(): Promise<void> {
    await this.#swept;
  }

  async #sha256(key: string, path: string): Promise<string> {
    try {
      return await sha256Of(path);
    } catch (error) {
      if (isAbsent(error)) throw missing(key, this.description);
      throw fileError(error, `get object "${key}"`);
    }
  }

  #path(key: string): string {
    checkKey(key);
    return join(this.#root, ...key.split("/"));
  }

  /** Fills a file of its own, makes it durable, and only then gives it its name. */
  async #write(
    key: string,
    fill: (file: FileHandle) => Promise<void>,
    publish: (from: string, to: string) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<void> {
    const path = this.#path(key);
    throwIfCancelled(signal, `put object "${key}"`);
    const unfinished = unfinishedPath(this.#unfinished);
    try {
      await mkdir(this.#unfinished, { recursive: true });
      this.#swept ??= sweepUnfinished(this.#unfinished);
      const file = await open(unfinished, "w");
      try {
        await fill(file);
        await file.sync();
      } finally {
        await file.close();
      }
      throwIfCancelled(signal, `put object "${key}"`);
      await this.#publish(unfinished, path, publish);
    } catch (error) {
      await unlink(unfinished).catch(() => undefined);
      if (["EEXIST", "ENOTDIR", "EISDIR"].includes(codeOf(error)) && !isLostRace(error)) {
        throw new VarveError(
          "INVALID_REQUEST",
          `Cannot put object "${key}": part of it is an object, or it is a folder`,
          {
            cause: error,
          },
        );
      }
      throw fileError(error, `put object "${key}"`, signal);
    }
  }

  async #publish(from: string, path: string, publish: (from: string, to: string) => Promise<void>): Promise<void> {
    for (let attempt = 1;; attempt++) {
      const made = await mkdir(dirname(path), { recursive: true });
      if (made !== undefined) await syncFolder(dirname(made));
      try {
        await publish(from, path);
        return await syncFolder(dirname(path));
      } catch (error) {
        // Somebody who deleted the folder's last object removed the folder under our feet.
        if (codeOf(error) !== "ENOENT" || attempt === 10) throw error;
      }
    }
  }

  /** Renames a file into the store; false when it lies on another disk. */
  async #moveIn(key: string, path: string, signal?: AbortSignal): Promise<boolean> {
    throwIfCancelled(signal, `put object "${key}"`);
    try {
      const file = await open(path, "r+");
      try {
        await file.sync();
      } finally {
        await file.close();
      }
      await this.#publish(path, this.#path(key), (from, to) => rename(from, to));
      return true;
    } catch (error) {
      if (codeOf(error) === "EXDEV") return false;
      throw fileError(error, `put object "${key}" from ${path}`);
    }
  }

  async *#walk(folder: string, prefix: string, after: string, signal?: AbortSignal): AsyncIterable<ObjectInfo> {
    throwIfCancelled(signal, `list "${prefix}"`);
    const entries = await readdir(join(this.#root, folder), { withFileTypes: true }).catch((error) => {
      if (isAbsent(error)) return [];
      throw fileError(error, `list "${prefix}"`);
    });
    // A folder sorts as its keys do, with the slash that follows its name.
    const names = entries.filter((entry) => isKeyPart(entry.name))
      .map((entry) => folder + entry.name + (entry.isDirectory() ? "/" : "")).sort(compareText);
    for (const name of names) {
      if (name.endsWith("/")) {
        const mayMatch = name.startsWith(prefix) || prefix.startsWith(name);
        if (mayMatch && (name > after || after.startsWith(name))) yield* this.#walk(name, prefix, after, signal);
      } else if (name.startsWith(prefix) && name > after) {
        const info = await this.head(name, signal);
        if (info) yield info;
      }
    }
  }

  async #linkAgain(key: string): Promise<"created" | "exists"> {
    try {
      await this.#write(key, writeBytes("2"), linkOnce);
      return "created";
    } catch (error) {
      if (error instanceof VarveError && isLostRace(error.cause)) return "exists";
      throw error;
    }
  }

  async #removeEmptyFolders(folder: string): Promise<void> {
    while (folder !== this.#root && folder.startsWith(this.#root)) {
      try {
        await rmdir(folder);
      } catch {
        return;
      }
      folder = dirname(folder);
    }
  }
}

function writeBytes(body: Uint8Array | string): (file: FileHandle) => Promise<void> {
  return (file) => file.writeFile(bytesOf(body));
}

/** link(2) fails when the name is taken: of many racing writers exactly one succeeds. */
async function linkOnce(from: string, to: string): Promise<void> {
  await link(from, to);
  await unlink(from).catch(() => undefined);
}

function isLostRace(error: unknown): boolean {
  return codeOf(error) === "EEXIST" && (error as NodeJS.ErrnoException).syscall === "link";
}

/** Makes a new name durable; some systems cannot open folders, and need no sync. */
async function syncFolder(path: string): Promise<void> {
  let folder: FileHandle | undefined;
  try {
    folder = await open(path, "r");
    await folder.sync();
  } catch (error) {
    if (!["EISDIR", "EPERM", "EINVAL", "EACCES", "ENOENT"].includes(codeOf(error))) throw error;
  } finally {
    await folder?.close();
  }
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function missing(key: string, store: string): VarveError {
  return new VarveError("NOT_FOUND", `Cannot get object "${key}": ${store} does not have it`);
}
