/** Whether gzip files are whole. The engine takes the end of a file for the end of its data, and looks at no checksum. */
import { closeSync, createReadStream, openSync, readSync, statSync } from "node:fs";
import { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { messageOf, VarveError } from "../errors.ts";

/** Files that were found to be whole, as they were then. */
const whole = new Map<string, string>();

const mostFiles = 100_000;

/** Unpacks those files that are gzip, once as long as they do not change; the first that is cut short or damaged is CORRUPT. */
export async function checkGzip(files: readonly string[], signal?: AbortSignal): Promise<void> {
  for (const file of files) {
    if (!isGzip(file)) continue;
    const { size, mtimeMs, ino } = statSync(file);
    const state = `${size} ${mtimeMs} ${ino}`;
    if (whole.get(file) === state) continue;
    const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
    try {
      await pipeline(
        createReadStream(file),
        createGunzip({ chunkSize: 256 * 1024 }),
        nowhere,
        signal ? { signal } : {},
      );
    } catch (error) {
      signal?.throwIfAborted();
      throw damagedGzip(file, error);
    }
    if (whole.size > mostFiles) whole.clear();
    whole.set(file, state);
  }
}

/** What an error of unpacking means. */
export function damagedGzip(file: string, error: unknown): VarveError {
  return new VarveError(
    "CORRUPT",
    `Cannot read "${file}": it is not a whole gzip file (${messageOf(error)}); bring it here again`,
    {
      cause: error,
      details: { path: file },
    },
  );
}

function isGzip(file: string): boolean {
  const handle = openSync(file, "r");
  try {
    const bytes = new Uint8Array(2);
    return readSync(handle, bytes, 0, 2, 0) === 2 && bytes[0] === 0x1f && bytes[1] === 0x8b;
  } finally {
    closeSync(handle);
  }
}
