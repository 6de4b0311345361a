/** The folder in which an attempt writes its parts: its own, and removed by others when its process was killed. */
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";

/** Makes a folder that nobody else has. Removes those of processes of this computer that live no more. */
export async function makeAttemptFolder(tempDir: string): Promise<string> {
  await mkdir(tempDir, { recursive: true });
  await sweep(tempDir);
  return await mkdtemp(join(tempDir, `${hostname()}~${process.pid}~`));
}

async function sweep(tempDir: string): Promise<void> {
  try {
    for (const name of await readdir(tempDir)) {
      const [host, pid, rest] = name.split("~");
      if (rest === undefined || host !== hostname() || isAlive(Number(pid))) continue;
      await rm(join(tempDir, name), { recursive: true, force: true });
    }
  } catch {
    // Somebody else sweeps at the same time: what is left now is swept by the next attempt.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // A process of somebody else lives too.
    return (error as { readonly code?: string }).code !== "ESRCH";
  }
}
