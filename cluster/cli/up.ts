/** `varve up`: scheduler, worker and server of an embedded store in one process. */
import { VarveError } from "varve";
import { folderOf, jobHandler, StoreParts } from "varve/cluster";
import { openServing } from "varve/serving";
import { startScheduler } from "../scheduler/scheduler.ts";
import { startServer } from "../server/server.ts";
import { placesOf, queueUrl, storeOptions } from "../settings.ts";
import { closeOnSignal } from "../worker/shutdown.ts";
import { startWorker } from "../worker/worker.ts";
import { holdFolder } from "./hold_folder.ts";
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
  const logger = context.logger("up");
  const closers: (() => Promise<void>)[] = [];
  // What was opened last is closed first.
  const opened = <T>(thing: T, close: (thing: T) => Promise<void>): T => {
    closers.unshift(() => close(thing));
    return thing;
  };
  try {
    opened(await holdFolder(folder), (hold) => hold.release());
    const parts = opened(new StoreParts(storeOptions(config)), (it) => it.close());
    await parts.objects.probe();
    const serving = opened(
      await openServing({
        ...placesOf(config),
        clock: config.clock,
        onProblem: (error) => logger.warn({ err: error }, "cannot look for changes; serving goes on"),
      }),
      (it) => it.close(),
    );
    // Before any job begins: a port that is taken is the likeliest reason not to start.
    const { server: settings, worker } = config;
    const { workspace, clock } = config;
    const server = await startServer({ serving, workspace, clock, config: settings, logger });
    opened(
      startWorker({ queue: parts.queue, handler: jobHandler(parts.runContext()), logger, clock, ...worker }),
      (it) => it.close(),
    );
    opened(startScheduler({ stores: parts.runContext(), queue: parts.queue, logger }), (it) => it.close());
    opened(server, (it) => it.close());
    closeOnSignal(closers, { logger, limitMs: worker.shutdownMs + 30_000 });
    context.print(`varve is up at ${server.url}, workspace "${workspace}", data in ${folder}; stop it with Ctrl-C`);
  } catch (error) {
    for (const close of closers) await close();
    throw error;
  }
}
