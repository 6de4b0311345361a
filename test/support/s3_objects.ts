/** The objects of the S3 server: in memory, or in a folder that outlives it. */
import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** What is known of an object. */
export interface StoredObject {
  readonly key: string;
  readonly size: number;
  readonly etag: string;
  readonly modified: number;
  /** Headers such as x-amz-checksum-crc32, given back on demand. */
  readonly checksums: Readonly<Record<string, string>>;
}

/** All of it happens in one turn of the event loop, so that a condition and what it guards are atomic. */
export class StoredObjects {
  readonly #folder: string | undefined;
  readonly #objects = new Map<string, StoredObject & { readonly body: Buffer | string }>();

  constructor(folder?: string) {
    this.#folder = folder;
    if (folder === undefined) return;
    mkdirSync(folder, { recursive: true });
    for (const name of readdirSync(folder).filter((name) => name.endsWith(".json"))) {
      const object = JSON.parse(readFileSync(join(folder, name), "utf8"));
      this.#objects.set(object.key, object);
    }
  }

  find(key: string): StoredObject | undefined {
    return this.#objects.get(key);
  }

  async read(key: string): Promise<Buffer> {
    const body = this.#objects.get(key)!.body;
    return typeof body === "string" ? await readFile(join(this.#folder!, body)) : body;
  }

  put(
    key: string,
    body: Buffer,
    checksums: Readonly<Record<string, string>>,
    etag: string = md5(body).toString("hex"),
  ): StoredObject {
    const object = { key, size: body.byteLength, etag: `"${etag}"`, modified: Date.now(), checksums };
    if (this.#folder === undefined) {
      this.#objects.set(key, { ...object, body });
      return object;
    }
    const old = this.#objects.get(key);
    const stored = { ...object, body: `${randomUUID()}.body` };
    const file = join(this.#folder, nameOf(key));
    writeFileSync(join(this.#folder, stored.body), body);
    writeFileSync(`${file}.new`, JSON.stringify(stored));
    renameSync(`${file}.new`, file);
    this.#objects.set(key, stored);
    if (old) unlinkSync(join(this.#folder, String(old.body)));
    return object;
  }

  delete(key: string): void {
    const old = this.#objects.get(key);
    if (!old) return;
    this.#objects.delete(key);
    if (this.#folder === undefined) return;
    unlinkSync(join(this.#folder, nameOf(key)));
    unlinkSync(join(this.#folder, String(old.body)));
  }

  /** In key order. */
  list(prefix: string, after: string): StoredObject[] {
    return [...this.#objects.values()].filter(({ key }) => key.startsWith(prefix) && key > after)
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }
}

export function md5(bytes: Uint8Array): Buffer {
  return createHash("md5").update(bytes).digest();
}

function nameOf(key: string): string {
  return `${createHash("sha256").update(key).digest("hex")}.json`;
}
