/** A queue that is opened when it is first wanted: most servers never submit a job. */
import { VarveError } from "varve";
import type { Queue } from "varve/cluster";
import type { Logger } from "../log.ts";

/** How the queue is found, and who is told what goes wrong with it. */
export interface QueueOnDemandOptions {
  readonly url: string;
  readonly workspace: string;
  readonly logger: Logger;
}

/** See the file's sentence. */
export class QueueOnDemand {
  readonly #options: QueueOnDemandOptions;
  #queue: Promise<Queue> | undefined;
  #closed = false;

  constructor(options: QueueOnDemandOptions) {
    this.#options = options;
  }

  /** The queue; whoever asks after a failure tries again. */
  async get(): Promise<Queue> {
    if (this.#closed) throw new VarveError("UNAVAILABLE", "Cannot use the queue: the server ends");
    const opening = this.#queue ??= this.#open();
    try {
      return await opening;
    } catch (error) {
      if (this.#queue === opening) this.#queue = undefined;
      throw error;
    }
  }

  async #open(): Promise<Queue> {
    const { url, workspace, logger } = this.#options;
    // Loads the library of the queue.
    const { openQueue } = await import("../connect.ts");
    return await openQueue(url, workspace, (error) => logger.warn({ err: error }, "the queue has a problem"));
  }

  /** Closes it if it was opened. */
  async close(): Promise<void> {
    this.#closed = true;
    await (await this.#queue?.catch(() => undefined))?.close();
  }
}
