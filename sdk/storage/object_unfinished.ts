/** Files that are being written: in a folder of their own until they are whole, and cleaned up when their writer died. */
import { randomUUID } from "node:crypto";
import { readdir, stat, unlink } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { messageOf, VarveError } from "../errors.ts";

/** The folder's name: not a part that a key may have, so that no object can be mistaken for an unfinished one. */
export const unfinishedFolder = "~unfinished";

const maxAgeMs = 24 * 3_600_000;

/** A path that nobody else has, and that tells whose it is. */
export function unfinishedPath(folder: string): string {
  return join(folder, `${hostname()}~${process.pid}~${randomUUID()}`);
}

/** Removes what killed processes of this computer left unfinished; other computers' files only when they are old. */
export async function sweepUnfinished(folder: string): Promise<void> {
  try {
    for (const name of await readdir(folder)) {
      const [host, pid] = name.split("~");
      const path = join(folder, name);
      const dead = host === hostname() && Number(pid) !== process.pid && !isAlive(Number(pid));
      if (dead || Date.now() - (await stat(path)).mtimeMs > maxAgeMs) await unlink(path);
    }
  } catch {
    // Somebody else sweeps at the same time: what is left now is swept at the next start.
  }
}

/** The system's code of a file error: `ENOENT`; empty for other errors. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** Whether the error says that there is no such file. */
export function isAbsent(error: unknown): boolean {
  return ["ENOENT", "ENOTDIR", "EISDIR"].includes(codeOf(error));
}

/** What a file error means to the caller. `action` reads like `put object "x"`. */
export function fileError(error: unknown, action: string, signal?: AbortSignal): VarveError {
  if (error instanceof VarveError) return error;
  const fail = (code: "CANCELLED" | "EXHAUSTED" | "UNAVAILABLE", why: string) =>
    new VarveError(code, `Cannot ${action}: ${why}`, { cause: error });
  if (signal?.aborted) return fail("CANCELLED", "it was cancelled");
  const code = codeOf(error);
  if (["ENOSPC", "EDQUOT", "EFBIG"].includes(code)) {
    return fail("EXHAUSTED", `the disk is full (${code}); free some space and try again`);
  }
  if (["EACCES", "EPERM", "EROFS"].includes(code)) {
    return fail("UNAVAILABLE", `permission denied (${code}); check who owns the folder`);
  }
  return fail("UNAVAILABLE", messageOf(error));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}
