/** `varve up`: scheduler, worker and server of an embedded store in one process. */
import { systemClock, VarveError } from "varve";
import { folderOf, jobHandler, StoreParts } from "varve/cluster";
import { startScheduler } from "../scheduler/scheduler.ts";
import { openServer } from "../server/open_server.ts";
import { wantsAuth } from "../server/wants_auth.ts";
import { placesOf, queueUrl, storeOptions } from "../settings.ts";
import { closeOnSignal } from "../worker/shutdown.ts";
import { startWorker } from "../worker/worker.ts";
import { holdFolder } from "./hold_folder.ts";
import type { CommandContext } from "./main.ts";

/** Runs until a signal. */
export async function up(context: CommandContext, options: Readonly<Record<string, unknown>>): Promise<void> {
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
    // Before any job begins: a port that is taken is the likeliest reason not to start.
    const { workspace, clock, worker } = config;
    const auth = wantsAuth(config.server, options["auth"]);
    const server = opened(
      await openServer({
        config,
        auth: auth.isOn,
        keysClock: systemClock,
        version: context.version,
        logger,
        queue: parts.queue,
      }),
      (it) => it.release(),
    );
    opened(
      startWorker({ queue: parts.queue, handler: jobHandler(parts.runContext()), logger, clock, ...worker }),
      (it) => it.close(),
    );
    opened(startScheduler({ stores: parts.runContext(), queue: parts.queue, logger }), (it) => it.close());
    opened(server, (it) => it.close());
    closeOnSignal(closers, { logger, limitMs: worker.shutdownMs + 30_000 });
    context.print(`varve is up at ${server.url}, workspace "${workspace}", data in ${folder}; stop it with Ctrl-C`);
    if (auth.note) context.print(auth.note);
    if (server.keys === 0) {
      context.print("There is no API key yet: `varve keys create NAME` makes one, and it works at once");
    }
  } catch (error) {
    for (const close of closers) await close();
    throw error;
  }
}
