/** One `varve up` per folder: a file that says which process has it. */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { messageOf, VarveError } from "varve";

/** A folder that this process has. */
export interface Hold {
  release(): Promise<void>;
}

/** Takes the folder, or says which process has it. What a process left that died is not in the way. */
export async function holdFolder(folder: string): Promise<Hold> {
  const path = join(folder, "up.pid");
  const mine = join(folder, `up.pid.${randomUUID()}`);
  try {
    mkdirSync(folder, { recursive: true });
    // Written before it has its name: nobody ever reads half of it.
    writeFileSync(mine, identity(process.pid) ?? String(process.pid));
  } catch (error) {
    const full = (error as { code?: string }).code === "ENOSPC";
    throw new VarveError(
      full ? "EXHAUSTED" : "INVALID_CONFIG",
      `Cannot use folder ${folder}: ${messageOf(error)}; ${full ? "make room" : "check who may write it"}`,
      { cause: error },
    );
  }
  try {
    for (let attempt = 0; attempt < 10; attempt++) {
      if (tryLink(mine, path)) return { release: async () => await Promise.resolve(rmSync(path, { force: true })) };
      const found = readOrNothing(path);
      if (found === undefined) continue; // released meanwhile
      if (isRunning(found)) throw held(folder, found);
      removeStale(path, found);
    }
    throw new VarveError("CONFLICT", `Cannot start varve up on ${folder}: others start at the same moment; try again`);
  } finally {
    rmSync(mine, { force: true });
  }
}

function held(folder: string, text: string): VarveError {
  const pid = Number(text.split(" ")[0]);
  return new VarveError(
    "CONFLICT",
    `Cannot start varve up on ${folder}: process ${pid} already runs it; stop that one first`,
    { details: { folder, pid } },
  );
}

/** Unlike a check and a write, a link is one step: two processes cannot both make it. */
function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === "EEXIST") return false;
    throw error;
  }
}

function readOrNothing(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Moves the file away before removing it: meanwhile it may have become another process's, which is then put back. */
function removeStale(path: string, text: string): void {
  const away = `${path}.${randomUUID()}`;
  try {
    renameSync(path, away);
  } catch {
    return; // somebody else did it
  }
  if (readOrNothing(away) !== text) tryLink(away, path);
  rmSync(away, { force: true });
}

/** Whether the process that wrote this still runs, and not another one that got its number. */
function isRunning(text: string): boolean {
  const pid = Number(text.split(" ")[0]);
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as { code?: string }).code !== "EPERM") return false;
  }
  const now = identity(pid);
  return now === undefined || !text.includes(" ") || now === text;
}

/** A process's number and start, where the system tells (Linux): numbers are used again, in containers all the time. */
function identity(pid: number): string | undefined {
  const boot = readOrNothing("/proc/sys/kernel/random/boot_id")?.trim();
  // The second field, the name, may hold anything; the start is the 20th after it.
  const start = readOrNothing(`/proc/${pid}/stat`)?.replace(/^.*\)\s/s, "").split(" ")[19];
  return boot === undefined || start === undefined ? undefined : `${pid} ${boot} ${start}`;
}
