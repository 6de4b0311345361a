/** `varve serve`: the HTTP server. Loads no engine. */
import { openServing } from "varve/serving";
import { startServer } from "../server/server.ts";
import { placesOf } from "../settings.ts";
import { closeOnSignal } from "../worker/shutdown.ts";
import type { CommandContext } from "./main.ts";

/** Runs until a signal. */
export async function serve(context: CommandContext): Promise<void> {
  const { config } = context;
  const logger = context.logger("server");
  const serving = await openServing({
    ...placesOf(config),
    clock: config.clock,
    onProblem: (error) => logger.warn({ err: error }, "cannot look for changes; serving goes on"),
  });
  try {
    const server = await startServer({
      serving,
      workspace: config.workspace,
      clock: config.clock,
      config: config.server,
      logger,
    });
    context.print(`varve serves workspace "${config.workspace}" at ${server.url}`);
    closeOnSignal([() => server.close(), () => serving.close()], { logger });
  } catch (error) {
    await serving.close();
    throw error;
  }
}
