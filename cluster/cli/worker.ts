/** `varve worker`: runs jobs of the queue and schedules what is due. Start as many as there is work for. */
import { VarveError } from "varve";
import { jobHandler, StoreParts } from "varve/cluster";
import { openQueue } from "../connect.ts";
import { LogGate } from "../log.ts";
import { startScheduler } from "../scheduler/scheduler.ts";
import { queueUrl, storeOptions } from "../settings.ts";
import { closeOnSignal } from "../worker/shutdown.ts";
import { startWorker } from "../worker/worker.ts";
import type { CommandContext } from "./main.ts";

/** Runs until a signal. */
export async function worker(context: CommandContext): Promise<void> {
  const { config } = context;
  const url = queueUrl(config);
  if (url === undefined) {
    throw new VarveError(
      "INVALID_CONFIG",
      "Cannot start a worker: no Redis is configured; set VARVE_REDIS, or run `varve up` for an embedded store",
    );
  }
  const logger = context.logger("worker");
  const gate = new LogGate(30_000);
  const queue = await openQueue(url, config.workspace, (error) => {
    if (gate.opens(error.message)) logger.warn({ err: error, untold: gate.takeUntold(error.message) }, "queue trouble");
  });
  const parts = new StoreParts({ ...storeOptions(config), queue });
  try {
    await parts.objects.probe();
    await (await parts.online()).ping();
  } catch (error) {
    await parts.close();
    throw error;
  }
  const scheduler = startScheduler({ stores: parts.runContext(), queue, logger });
  const running = startWorker({
    queue,
    handler: jobHandler(parts.runContext()),
    logger,
    clock: config.clock,
    concurrency: config.worker.concurrency,
    shutdownMs: config.worker.shutdownMs,
  });
  // Together: with Redis away each of them waits for it a while.
  const stop = async () => {
    await Promise.all([scheduler.close(), running.close()]);
  };
  closeOnSignal([stop, () => parts.close()], {
    logger,
    limitMs: config.worker.shutdownMs + 30_000,
  });
  context.print(`varve worker ${running.id} is up, workspace "${config.workspace}"`);
}
