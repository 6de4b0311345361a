/** A clean end when the operating system asks for one. */
import type { Logger } from "../log.ts";

export interface ShutdownOptions {
  readonly logger: Logger;
  /** After this the process ends whatever is still open. Default 60 s. */
  readonly limitMs?: number;
  /** What is listened to and ended; for tests. */
  readonly target?: Pick<NodeJS.Process, "on" | "off" | "exit">;
}

const signals = ["SIGTERM", "SIGINT"] as const;

/**
 * On SIGTERM or SIGINT closes what is given, in order, and exits: 0 when all closed, 1 otherwise. A second signal exits at
 * once. Gives back how to stop listening.
 */
export function closeOnSignal(closers: readonly (() => Promise<void>)[], options: ShutdownOptions): () => void {
  const { logger, limitMs = 60_000, target = process } = options;
  let closing = false;
  const close = async (signal: string) => {
    logger.info({ signal }, "shutting down");
    const limit = setTimeout(() => {
      logger.error({ limitMs }, "shutdown took too long");
      target.exit(1);
    }, limitMs);
    let failed = false;
    for (const closer of closers) {
      try {
        await closer();
      } catch (error) {
        failed = true;
        logger.error({ err: error }, "cannot close cleanly");
      }
    }
    clearTimeout(limit);
    target.exit(failed ? 1 : 0);
  };
  const onSignal = (signal: string) => {
    if (closing) target.exit(1);
    else {
      closing = true;
      void close(signal);
    }
  };
  for (const signal of signals) target.on(signal, onSignal);
  return () => {
    for (const signal of signals) target.off(signal, onSignal);
  };
}
