/** Short-lived files between libraries: in memory where the system has a memory-backed folder, else in the temporary folder. */
import { randomUUID } from "node:crypto";
import { accessSync, constants, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VarveError } from "../errors.ts";

const memoryFolder = "/dev/shm";

function folders(): string[] {
  try {
    accessSync(memoryFolder, constants.W_OK);
    return [memoryFolder, tmpdir()];
  } catch {
    return [tmpdir()];
  }
}

/** Lets `action` use a file that is gone afterwards. When memory has no room for it, it is tried again on disk. */
export async function withScratchFile<T>(action: (path: string) => Promise<T>): Promise<T> {
  const places = folders();
  for (const [i, folder] of places.entries()) {
    const path = join(folder, `varve-${process.pid}-${randomUUID()}.parquet`);
    try {
      return await action(path);
    } catch (error) {
      if (!isFull(error) || i === places.length - 1) throw error;
    } finally {
      rmSync(path, { force: true });
    }
  }
  throw new VarveError("EXHAUSTED", "Cannot write a temporary file: no folder has room");
}

function isFull(error: unknown): boolean {
  if (error instanceof VarveError) return error.code === "EXHAUSTED" && /disk|space/.test(error.message);
  return error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EFBIG");
}
