/** A large file goes up in parts, several at a time, each of which may be tried again. */
import { createReadStream } from "node:fs";

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
