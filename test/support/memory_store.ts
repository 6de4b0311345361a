/** An object store in memory, for tests of what is kept in one; `faults` make single calls go wrong. */
import { VarveError } from "../../sdk/errors.ts";
import type { ObjectInfo, ObjectStore } from "../../sdk/storage/object_store.ts";

/** What may go wrong with the next writes. */
export interface MemoryFaults {
  /** How many of the next `putIfAbsent` write, and then answer with an error. */
  losePutAnswers: number;
  /** How many of the next `putIfAbsent` fail before they write. */
  failPuts: number;
  /** How many of the next `putIfAbsent` write, and then say that there is an object already, as a retry inside a client does. */
  repeatPuts: number;
  /** How many of the next reads fail. */
  failReads: number;
}

export class MemoryStore implements ObjectStore {
  readonly description = "memory";
  readonly objects = new Map<string, Uint8Array>();
  readonly faults: MemoryFaults = { losePutAnswers: 0, failPuts: 0, repeatPuts: 0, failReads: 0 };
  reads = 0;

  async get(key: string): Promise<Uint8Array> {
    const found = await this.find(key);
    if (!found) throw new VarveError("NOT_FOUND", `Cannot get object "${key}": there is none`);
    return found;
  }

  async find(key: string): Promise<Uint8Array | undefined> {
    this.reads++;
    await Promise.resolve();
    if (this.faults.failReads > 0) {
      this.faults.failReads--;
      throw new VarveError("UNAVAILABLE", "Cannot read: no answer");
    }
    return this.objects.get(key);
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    const found = await this.find(key);
    return found && { key, size: found.length, modified: new Date(0) };
  }

  async put(key: string, body: Uint8Array | string): Promise<void> {
    await Promise.resolve();
    this.#set(key, body);
  }

  #set(key: string, body: Uint8Array | string): void {
    this.objects.set(key, typeof body === "string" ? new TextEncoder().encode(body) : body);
  }

  async putIfAbsent(key: string, body: Uint8Array | string): Promise<"created" | "exists"> {
    await Promise.resolve();
    if (this.#take("failPuts")) throw new VarveError("UNAVAILABLE", "Cannot write: no answer");
    if (this.objects.has(key)) return "exists";
    this.#set(key, body); // at once: nothing may come between the look and the write
    if (this.#take("losePutAnswers")) throw new VarveError("TIMEOUT", "Cannot write: no answer in time");
    return this.#take("repeatPuts") ? "exists" : "created";
  }

  #take(fault: keyof MemoryFaults): boolean {
    if (this.faults[fault] <= 0) return false;
    this.faults[fault]--;
    return true;
  }

  putFile(): Promise<ObjectInfo> {
    throw new VarveError("UNSUPPORTED", "Cannot put a file: this store is memory");
  }

  localPath(): Promise<string> {
    throw new VarveError("UNSUPPORTED", "Cannot give a path: this store is memory");
  }

  async *list(prefix: string, options: { after?: string } = {}): AsyncIterable<ObjectInfo> {
    const keys = [...this.objects.keys()].filter((key) =>
      key.startsWith(prefix) && (options.after === undefined || key > options.after)
    );
    for (const key of keys.sort()) {
      await Promise.resolve();
      const body = this.objects.get(key);
      if (body) yield { key, size: body.length, modified: new Date(0) };
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    await Promise.resolve();
    for (const key of keys) this.objects.delete(key);
  }

  async probe(): Promise<void> {}

  async close(): Promise<void> {}
}
