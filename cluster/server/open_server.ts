/** A server with everything it stands on: readers of features, API keys, metrics. */
import { messageOf } from "varve";
import type { Clock } from "varve";
import type { Queue } from "varve/cluster";
import { openServing } from "varve/serving";
import type { Config } from "../config.ts";
import { LogGate } from "../log.ts";
import type { Logger } from "../log.ts";
import { placesOf, queueUrl } from "../settings.ts";
import { openAuthenticator } from "./auth.ts";
import { ServerMetrics } from "./metrics.ts";
import type { MetricsText } from "./metrics.ts";
import { QueueOnDemand } from "./queue_on_demand.ts";
import { startServer } from "./server.ts";

export interface OpenServerOptions {
  readonly config: Config;
  /** Whether requests need an API key. */
  readonly auth: boolean;
  /** The time by which keys end: the computer's clock, whatever time features are read as of. */
  readonly keysClock: Clock;
  /** Of varve, for the metrics. */
  readonly version: string;
  readonly logger: Logger;
  /** All metrics, where other processes have some too; given those of this one. */
  readonly gatherMetrics?: (mine: ServerMetrics) => Promise<MetricsText>;
  /** Where jobs go. @default the queue that the configuration names, if it names one */
  readonly queue?: Queue;
}

/** A server that listens; `close()` it, then `release()` what it stands on. */
export interface OpenedServer {
  /** `http://host:port`. */
  readonly url: string;
  readonly metrics: ServerMetrics;
  /** API keys that may be used; undefined where none is asked for. */
  readonly keys: number | undefined;
  /** Looks for changes of the store now, instead of a moment later by itself. */
  refresh(): Promise<void>;
  close(): Promise<void>;
  release(): Promise<void>;
}

/** A store that stays away is looked at twice a second, and told of this often. */
const sameWarningMs = 30_000;

/** Opens the stores and listens. */
export async function openServer(options: OpenServerOptions): Promise<OpenedServer> {
  const { config, logger, gatherMetrics } = options;
  const { workspace, clock } = config;
  const gate = new LogGate(sameWarningMs);
  const warn = (text: string) => (error: unknown) => {
    const kind = `${text}: ${messageOf(error)}`;
    if (gate.opens(kind)) logger.warn({ err: error, untold: gate.takeUntold(kind) }, text);
  };
  const closers: (() => Promise<void>)[] = [];
  const release = async () => {
    for (const close of closers.splice(0)) await close();
  };
  try {
    const metrics = new ServerMetrics({ version: options.version, workspace });
    const serving = await openServing({
      ...placesOf(config),
      clock,
      observer: metrics,
      functions: {
        ...config.functions,
        // Half of what a request may take: those that waited for one that took too long are answered yet.
        timeoutMs: Math.min(config.functions.timeoutMs, Math.ceil(config.server.requestTimeoutMs / 2)),
        onProblem: (error) =>
          logger.error(
            { err: error },
            "cannot run the function of a realtime view; requests for it fail, others go on",
          ),
      },
      audit: {
        share: config.server.auditShare,
        keys: config.server.auditKeys,
        days: config.server.auditDays,
        onProblem: warn("cannot write the audit log; serving goes on"),
      },
      onProblem: warn("cannot look for changes; serving goes on"),
    });
    closers.unshift(() => serving.close());
    const opened = options.auth
      ? await openAuthenticator(placesOf(config), {
        workspace,
        clock: options.keysClock,
        onProblem: warn("cannot look for new and revoked API keys; those that are known go on"),
      })
      : undefined;
    if (opened) closers.unshift(() => opened.close());
    const queue = queueOf(options);
    if (queue instanceof QueueOnDemand) closers.unshift(() => queue.close());
    const server = await startServer({
      serving,
      workspace,
      clock,
      config: config.server,
      logger,
      metrics,
      ...(queue && { queue: () => queue instanceof QueueOnDemand ? queue.get() : Promise.resolve(queue) }),
      ...(opened && { auth: opened.auth }),
      ...(gatherMetrics && { gatherMetrics: () => gatherMetrics(metrics) }),
    });
    return {
      url: server.url,
      metrics,
      keys: opened?.auth.liveKeys,
      async refresh() {
        // One that is under way may have begun before what is to be seen.
        await serving.definitions();
        await serving.definitions();
      },
      close: () => server.close(),
      release,
    };
  } catch (error) {
    await release();
    throw error;
  }
}

function queueOf({ config, queue, logger }: OpenServerOptions): Queue | QueueOnDemand | undefined {
  const url = queueUrl(config);
  return queue ?? (url === undefined ? undefined : new QueueOnDemand({ url, workspace: config.workspace, logger }));
}
