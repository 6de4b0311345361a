/** One of several processes that answer together. */
import { EventEmitter } from "node:events";
import { VarveError } from "varve";
import type { Logger } from "../log.ts";
import { closeOnSignal } from "../worker/shutdown.ts";
import type { ServerMetrics } from "./metrics.ts";
import type { MetricsText } from "./metrics.ts";
import type { OpenedServer } from "./open_server.ts";
import { isOurs } from "./process_messages.ts";
import type { FromMember, ToMember } from "./process_messages.ts";

/** How long the watching process may take to gather metrics. */
const gatherMs = 5_000;

/** The way from a member to the process that watches over it, and back. */
export class Member {
  readonly #waiting = new Map<number, (metrics: MetricsText) => void>();
  #metrics: ServerMetrics | undefined;
  #lastId = 0;

  constructor() {
    process.on("message", (message) => {
      if (isOurs(message)) this.#hear(message.varve as ToMember);
    });
  }

  /** The metrics of all members; of this one alone when nobody gathers them in time. */
  async gather(mine: ServerMetrics): Promise<MetricsText> {
    const id = ++this.#lastId;
    try {
      return await new Promise((resolve, reject) => {
        const late = () => reject(new VarveError("TIMEOUT", "Cannot gather metrics: the watching process is silent"));
        const timer = setTimeout(late, gatherMs);
        this.#waiting.set(id, (metrics) => {
          clearTimeout(timer);
          resolve(metrics);
        });
        tell({ kind: "wantMetrics", id });
      });
    } catch {
      return await mine.text();
    } finally {
      this.#waiting.delete(id);
    }
  }

  /** Says that it listens, and ends when it is told to. When nobody watches any more, Node ends it at once. */
  serve(server: OpenedServer, logger: Logger): void {
    this.#metrics = server.metrics;
    // Whoever ends all processes of a group tells each of them, and the watching one tells them again: once is enough.
    const ending = new EventEmitter();
    let isEnding = false;
    const end = (why: string) => {
      if (isEnding) return;
      isEnding = true;
      ending.emit("SIGTERM", why);
    };
    this.#end = () => end("close");
    closeOnSignal([() => server.close(), () => server.release()], {
      logger,
      target: {
        on: ending.on.bind(ending) as NodeJS.Process["on"],
        off: ending.off.bind(ending) as NodeJS.Process["off"],
        exit: (code) => process.exit(code),
      },
    });
    process.on("SIGTERM", end).on("SIGINT", end);
    tell({ kind: "listening", url: server.url, ...(server.keys !== undefined && { keys: server.keys }) });
  }

  /** Before it serves there is nothing to finish. */
  #end: () => void = () => process.exit(0);

  #hear(message: ToMember): void {
    switch (message.kind) {
      case "close":
        this.#end();
        return;
      case "metrics":
        this.#waiting.get(message.id)?.(message.metrics);
        return;
      case "wantValues":
        void this.#metrics?.values().then((values) => tell({ kind: "values", id: message.id, values }));
    }
  }
}

function tell(message: FromMember): void {
  // The channel may close under it: then the process is about to end.
  if (process.connected) process.send?.({ varve: message }, undefined, undefined, () => undefined);
}
