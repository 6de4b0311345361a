/** `varve up`: scheduler, worker and server of an embedded store in one process. */
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { VarveError } from "varve";
import { folderOf, jobHandler, StoreParts } from "varve/cluster";
import { openServing } from "varve/serving";
import { startScheduler } from "../scheduler/scheduler.ts";
import { startServer } from "../server/server.ts";
import { placesOf, queueUrl, storeOptions } from "../settings.ts";
import { closeOnSignal } from "../worker/shutdown.ts";
import { startWorker } from "../worker/worker.ts";
import type { CommandContext } from "./main.ts";

/** Runs until a signal. */
export async function up(context: CommandContext): Promise<void> {
  const { config } = context;
  const folder = folderOf(placesOf(config));
  if (queueUrl(config) !== undefined || folder === undefined) {
    throw new VarveError(
      "INVALID_CONFIG",
      "Cannot run everything in one process: the configuration names Redis or S3; start `varve worker` and `varve serve` instead",
    );
  }
  const release = holdFolder(folder);
  const logger = context.logger("up");
  const parts = new StoreParts(storeOptions(config));
  try {
    await parts.objects.probe();
    const scheduler = startScheduler({ stores: parts.runContext(), queue: parts.queue, logger });
    const worker = startWorker({
      queue: parts.queue,
      handler: jobHandler(parts.runContext()),
      logger,
      clock: config.clock,
      concurrency: config.worker.concurrency,
      shutdownMs: config.worker.shutdownMs,
    });
    const serving = await openServing({
      ...placesOf(config),
      clock: config.clock,
      onProblem: (error) => logger.warn({ err: error }, "cannot look for changes; serving goes on"),
    });
    const server = await startServer({
      serving,
      workspace: config.workspace,
      clock: config.clock,
      config: config.server,
      logger,
    });
    context.print(
      `varve is up at ${server.url}, workspace "${config.workspace}", data in ${folder}; stop it with Ctrl-C`,
    );
    const closers = [
      () => server.close(),
      () => serving.close(),
      () => scheduler.close(),
      () => worker.close(),
      () => parts.close(),
    ];
    closeOnSignal([...closers, async () => await Promise.resolve(release())], { logger });
  } catch (error) {
    await parts.close();
    release();
    throw error;
  }
}

/** One `up` per folder: two schedulers would be harmless, two servers on one port are not what anyone wants. */
function holdFolder(folder: string): () => void {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, "up.pid");
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      const file = openSync(path, "wx");
      writeSync(file, String(process.pid));
      closeSync(file);
      return () => rmSync(path, { force: true });
    } catch (error) {
      if ((error as { code?: string }).code !== "EEXIST") throw error;
      const pid = Number(readFileSync(path, "utf8"));
      if (pid !== process.pid && isAlive(pid)) {
        throw new VarveError(
          "CONFLICT",
          `Cannot start varve up on ${folder}: process ${pid} already runs it; stop that one first`,
        );
      }
      rmSync(path, { force: true }); // its process died without tidying up
    }
  }
  throw new VarveError("CONFLICT", `Cannot start varve up on ${folder}: others start at the same moment; try again`);
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === "EPERM";
  }
}
