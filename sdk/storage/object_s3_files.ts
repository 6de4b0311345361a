/** Files on their way to and from S3: up in parts, several at a time, each of which may be tried again; down into a sink. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";

/** A part that has arrived, as the server wants to hear of it again. */
export interface UploadedPart {
  readonly PartNumber: number;
  readonly ETag?: string;
  readonly ChecksumCRC32?: string;
}

/** The requests of one upload. */
export interface PartsUpload {
  send(partNumber: number, body: Uint8Array): Promise<UploadedPart>;
  complete(parts: UploadedPart[]): Promise<void>;
  /** Frees what has arrived. */
  abort(): Promise<void>;
}

const mostParallelParts = 4;
const mostParts = 10_000;

/** Sends a file of this size; nothing of it stays when it fails. */
export async function uploadParts(upload: PartsUpload, path: string, size: number, partBytes: number): Promise<void> {
  const length = Math.max(partBytes, Math.ceil(size / mostParts));
  const count = Math.ceil(size / length);
  const parts: UploadedPart[] = new Array(count);
  let next = 0;
  let failed = false;
  const sendSome = async () => {
    for (let i = next++; i < count && !failed; i = next++) {
      try {
        parts[i] = await upload.send(i + 1, await readRange(path, i * length, Math.min(size, (i + 1) * length)));
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  try {
    const senders = await Promise.allSettled(Array.from({ length: Math.min(mostParallelParts, count) }, sendSome));
    for (const sender of senders) if (sender.status === "rejected") throw sender.reason;
    await upload.complete(parts);
  } catch (error) {
    await upload.abort().catch(() => undefined);
    throw error;
  }
}

async function readRange(path: string, start: number, end: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const stream = createReadStream(path, { start, end: end - 1 }) as AsyncIterable<Uint8Array>;
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Takes the bytes of an object; starts anew when the answer broke off. */
export interface Sink {
  start(): void | Promise<void>;
  write(chunk: Uint8Array): void | Promise<void>;
}

/** Keeps the bytes. */
export class MemorySink implements Sink {
  #chunks: Uint8Array[] = [];

  start(): void {
    this.#chunks = [];
  }

  write(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
  }

  bytes(): Uint8Array {
    const whole = Buffer.concat(this.#chunks);
    return new Uint8Array(whole.buffer, whole.byteOffset, whole.byteLength);
  }
}

/** Writes the bytes to a file and hashes them. */
export class FileSink implements Sink {
  readonly #file: FileHandle;
  #hash = createHash("sha256");
  #size = 0;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async create(path: string): Promise<FileSink> {
    return new FileSink(await open(path, "w"));
  }

  async start(): Promise<void> {
    this.#hash = createHash("sha256");
    this.#size = 0;
    await this.#file.truncate(0);
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#hash.update(chunk);
    for (let written = 0; written < chunk.byteLength;) {
      const rest = chunk.byteLength - written;
      written += (await this.#file.write(chunk, written, rest, this.#size + written)).bytesWritten;
    }
    this.#size += chunk.byteLength;
  }

  /** What was written. */
  content(): { size: number; sha256: string } {
    return { size: this.#size, sha256: this.#hash.digest("hex") };
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
