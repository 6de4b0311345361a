/** `varve serve`: the HTTP server, in one process or several. Loads no engine. */
import cluster from "node:cluster";
import { setFlagsFromString } from "node:v8";
import { systemClock } from "varve";
import { wantsAuth } from "../server/wants_auth.ts";
import { closeOnSignal } from "../worker/shutdown.ts";
import type { CommandContext } from "./main.ts";

/** Runs until a signal. */
export async function serve(context: CommandContext, options: Readonly<Record<string, unknown>>): Promise<void> {
  const count = context.config.server.processes;
  if (count === 1) return await serveAlone(context, options["auth"]);
  return cluster.isPrimary ? await watch(context, count, options["auth"]) : await serveAmong(context, options["auth"]);
}

async function serveAlone(context: CommandContext, flag: unknown): Promise<void> {
  const logger = context.logger("server");
  const auth = wantsAuth(context.config.server, flag);
  const server = await open(context, auth.isOn);
  // Before it is told: whoever hears that it serves may end it.
  closeOnSignal([() => server.close(), () => server.release()], { logger });
  tell(context, server.url, auth.note, server.keys);
}

/** Answers together with others; the process that watches over them speaks for all. */
async function serveAmong(context: CommandContext, flag: unknown): Promise<void> {
  const { Member } = await import("../server/process_member.ts");
  const member = new Member();
  try {
    const server = await open(context, wantsAuth(context.config.server, flag).isOn, member);
    member.serve(server, context.logger("server"));
  } catch (error) {
    // The channel to the watching process would keep it alive.
    setImmediate(() => process.exit());
    throw error;
  }
}

async function watch(context: CommandContext, count: number, flag: unknown): Promise<void> {
  const { startProcesses } = await import("../server/processes.ts");
  const logger = context.logger("server");
  const auth = wantsAuth(context.config.server, flag);
  const processes = await startProcesses({ count, logger });
  if (!processes) {
    process.exitCode = 1;
    return;
  }
  closeOnSignal([() => processes.close()], { logger });
  tell(context, processes.url, [`${count} processes`, auth.note].filter(Boolean).join("; "), processes.keys);
}

async function open(
  { config, logger, version }: CommandContext,
  auth: boolean,
  member?: import("../server/process_member.ts").Member,
) {
  // Young garbage is a millisecond's work every few hundred requests: sharing it out among threads costs a twentieth of all CPU.
  setFlagsFromString("--no-parallel-scavenge");
  const { openServer } = await import("../server/open_server.ts");
  return await openServer({
    config,
    auth,
    keysClock: systemClock,
    version,
    logger: logger("server"),
    ...(member && { gatherMetrics: (mine) => member.gather(mine) }),
  });
}

function tell({ config, print }: CommandContext, url: string, note: string, keys: number | undefined): void {
  print(`varve serves workspace "${config.workspace}" at ${url}${note && ` (${note})`}`);
  if (keys === 0) print("There is no API key yet: `varve keys create NAME` makes one, and it works at once");
}
