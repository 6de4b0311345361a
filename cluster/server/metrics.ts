/** What the server tells Prometheus, as OpenMetrics text; the door to prom-client. */
import { AggregatorRegistry, collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";
import type { Metric, OpenMetricsContentType } from "prom-client";
import { toMicros } from "varve";
import type { Clock } from "varve";
import type { LookupCounts, ReadObserver, Serving } from "varve/serving";
import type { AuthRefusal } from "./auth.ts";
import { LatencyHistogram } from "./latency.ts";
import type { Cell } from "./latency.ts";

/** What is looked at when metrics are asked for. */
export interface MetricSources {
  readonly serving: Pick<Serving, "loaded" | "audited" | "functions">;
  readonly clock: Clock;
  /** Requests that are being answered, and open connections. */
  readonly load: () => { readonly inFlight: number; readonly connections: number };
  /** API keys that may be used; undefined where none is asked for. */
  readonly keys: () => number | undefined;
}

/** A metric's values as one process tells them to another. */
export type MetricValues = readonly object[];

/** Metrics as text. */
export interface MetricsText {
  readonly type: string;
  readonly text: string;
}

/** Seconds: fine where answers are, from a quarter of a millisecond to a tenth of a second. */
const buckets = [0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 5, 7.5, 10, 15, 25, 50, 100, 250, 1_000].map((ms) => ms / 1_000);

/**
 * A label has no more values than this; further ones are counted together. A service has a histogram for each of its routes and
 * statuses, twenty lines of text: writing those of a thousand services would hold up answers for a tenth of a second.
 */
const maxValues = { service: 250, key: 1_000, view: 1_000 } as const;
const others = "(others)";
const none = "(none)";

/** The metrics of one process. */
export class ServerMetrics implements ReadObserver {
  readonly #registry = new Registry<OpenMetricsContentType>();
  readonly #lookups = new Map<string, LookupCounts>();
  readonly #seen = new Map<string, Set<string>>();
  #sources: MetricSources | undefined;

  readonly #answers = new LatencyHistogram(
    "varve_request_duration_seconds",
    "How long answers took, by feature service, route and class of status",
    buckets,
  );
  /** By route, service and class of status. */
  readonly #cells = new Map<string, Map<string, (Cell | undefined)[]>>();
  readonly #store: Cell;
  readonly #functions: Cell;
  readonly #functionFailures: Counter<"view" | "code">;
  readonly #errors: Counter<"code">;
  readonly #refused: Counter<"reason">;
  readonly #limited: Counter<"key">;
  readonly #shed: Counter<"reason">;

  /** `version` of varve, and the workspace that is served. */
  constructor(about: { readonly version: string; readonly workspace: string }) {
    const registers = [this.#registry];
    this.#registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    collectDefaultMetrics({ register: this.#registry });
    const store = new LatencyHistogram(
      "varve_store_read_duration_seconds",
      "How long the online store took for the keys of one request",
      buckets,
    );
    const functions = new LatencyHistogram(
      "varve_function_duration_seconds",
      "How long the functions of realtime views took for the rows of one request",
      buckets,
    );
    for (const latency of [this.#answers, store, functions]) {
      this.#registry.registerMetric(latency as unknown as Metric);
    }
    this.#store = store.cell();
    this.#functions = functions.cell();
    this.#functionFailures = new Counter({
      name: "varve_function_failures",
      help: "Runs of functions that gave no answer, by realtime view and code of the error",
      labelNames: ["view", "code"],
      registers,
    });
    this.#errors = new Counter({
      name: "varve_errors",
      help: "Answers that were errors, by code",
      labelNames: ["code"],
      registers,
    });
    this.#refused = new Counter({
      name: "varve_auth_refused",
      help: "Requests that were refused for their API key, or for having none",
      labelNames: ["reason"],
      registers,
    });
    this.#limited = new Counter({
      name: "varve_rate_limited",
      help: "Requests that were refused because their API key asked too often, by the id of the key",
      labelNames: ["key"],
      registers,
    });
    this.#shed = new Counter({
      name: "varve_shed",
      help: "Requests that were refused because the server was overloaded",
      labelNames: ["reason"],
      registers,
    });
    this.#whenAsked(about);
  }

  /** Says where to look from now on. */
  follow(sources: MetricSources): void {
    this.#sources = sources;
  }

  /** A request was answered. */
  answered(route: string | undefined, service: string | undefined, status: number, seconds: number): void {
    const place = status / 100 | 0;
    let services = this.#cells.get(route ?? none);
    if (!services) this.#cells.set(route ?? none, services = new Map());
    let cells = services.get(service ?? "");
    if (!cells) cells = this.#firstOf(services, service ?? "");
    const cell = cells[place] ??= this.#answers.cell({
      service: service === undefined ? "" : this.#bounded("service", service),
      route: route ?? none,
      status: statusClasses[place] ?? "other",
    });
    cell.observe(seconds);
  }

  /** Services beyond those that are told apart share their cells. */
  #firstOf(services: Map<string, (Cell | undefined)[]>, service: string): (Cell | undefined)[] {
    const name = service === "" ? "" : this.#bounded("service", service);
    const shared = services.get(name) ?? [];
    services.set(name, shared);
    return shared;
  }

  /** It was an error. */
  failed(code: string): void {
    this.#errors.inc({ code });
  }

  /** It was refused for its key. */
  refused(reason: AuthRefusal): void {
    this.#refused.inc({ reason });
  }

  /** It came too soon. */
  rateLimited(keyId: string): void {
    this.#limited.inc({ key: this.#bounded("key", keyId) });
  }

  /** It came when there was too much to do. */
  shed(reason: "loop_lag" | "in_flight"): void {
    this.#shed.inc({ reason });
  }

  /** For readers: see {@link ReadObserver}. */
  countsOf(view: string): LookupCounts {
    const name = this.#bounded("view", view);
    let counts = this.#lookups.get(name);
    if (!counts) this.#lookups.set(name, counts = {});
    return counts;
  }

  /** For readers: see {@link ReadObserver}. */
  storeTook(milliseconds: number): void {
    this.#store.observe(milliseconds / 1_000);
  }

  /** For readers: see {@link ReadObserver}. */
  functionTook(view: string, milliseconds: number, failure: string | undefined): void {
    this.#functions.observe(milliseconds / 1_000);
    if (failure !== undefined) this.#functionFailures.inc({ view: this.#bounded("view", view), code: failure });
  }

  /** All of this process, as text. */
  async text(): Promise<MetricsText> {
    return await textOf(this.#registry);
  }

  /** All of this process, to be put together with those of others. */
  async values(): Promise<MetricValues> {
    const metrics = await this.#registry.getMetricsAsJSON();
    return metrics.map(({ values, ...metric }) => ({
      ...metric,
      values: values.filter(({ value }) => Number.isFinite(value)),
    }));
  }

  /** Gauges, and counters that are kept elsewhere: read when metrics are asked for. */
  #whenAsked(about: { readonly version: string; readonly workspace: string }): void {
    const registers = [this.#registry];
    new Gauge({
      name: "varve_info",
      help: "The version of varve and the workspace that is served",
      labelNames: ["version", "workspace"],
      aggregator: "max",
      registers,
    }).set(about, 1);
    this.#gauge("varve_requests_in_flight", "Requests that are being answered", (it) => it.load().inFlight);
    this.#gauge("varve_connections", "Open connections", (it) => it.load().connections);
    this.#gauge("varve_api_keys", "API keys that are not revoked", (it) => it.keys(), "max");
    new Counter({
      name: "varve_lookups",
      help: "Look-ups of requests, by view and what became of them",
      labelNames: ["view", "status"],
      registers,
      collect: onCollect<Counter<"view" | "status">>((lookups) => {
        lookups.reset();
        for (const [view, counts] of this.#lookups) {
          for (const [status, count] of Object.entries(counts)) lookups.inc({ view, status }, count);
        }
      }),
    });
    this.#gauge("varve_function_processes", "Processes that run functions", (it) => it.serving.functions().running);
    this.#gauge(
      "varve_function_waiting",
      "Batches for functions that are waiting or worked on",
      (it) => it.serving.functions().waiting,
    );
    this.#gauge(
      "varve_function_unable",
      "Functions that serve and cannot be run: there is no Deno",
      (it) => it.serving.functions().unable,
      "max",
    );
    new Counter({
      name: "varve_function_starts",
      help:
        "Processes of functions that were started: the first of each, and those after a crash, a limit or many runs",
      registers,
      collect: onCollect<Counter>((counter) => {
        counter.reset();
        counter.inc(this.#sources?.serving.functions().starts ?? 0);
      }),
    });
    new Counter({
      name: "varve_audit_rows",
      help: "Answers for the audit log: logged are stored, dropped were too many or could not be stored",
      labelNames: ["outcome"],
      registers,
      collect: onCollect<Counter<"outcome">>((rows) => {
        rows.reset();
        const counts = this.#sources?.serving.audited();
        if (!counts) return;
        rows.inc({ outcome: "logged" }, counts.logged);
        rows.inc({ outcome: "dropped" }, counts.dropped);
      }),
    });
    this.#gauge(
      "varve_audit_rows_waiting",
      "Answers for the audit log that are not stored yet",
      (it) => it.serving.audited()?.waiting,
    );
    for (
      const [name, help, field] of [
        ["varve_audit_parts", "Files of the audit log that were stored", "parts"],
        ["varve_audit_failures", "Attempts to write the audit log that failed", "failures"],
      ] as const
    ) {
      new Counter({
        name,
        help,
        registers,
        collect: onCollect<Counter>((counter) => {
          counter.reset();
          counter.inc(this.#sources?.serving.audited()?.[field] ?? 0);
        }),
      });
    }
    new Gauge({
      name: "varve_view_age_seconds",
      help: "How far the newest rows that are served lie behind the clock: its time less the watermark of the view",
      labelNames: ["view"],
      aggregator: "max",
      registers,
      collect: onCollect<Gauge<"view">>((age) => {
        age.reset();
        const now = this.#sources?.clock.now();
        for (const { view, watermark } of this.#sources?.serving.loaded() ?? []) {
          age.set({ view: this.#bounded("view", view) }, Number(now! - toMicros(watermark)) / 1e6);
        }
      }),
    });
  }

  #gauge(
    name: string,
    help: string,
    read: (sources: MetricSources) => number | undefined,
    aggregator: "sum" | "max" = "sum",
  ): void {
    new Gauge({
      name,
      help,
      aggregator,
      registers: [this.#registry],
      collect: onCollect<Gauge>((gauge) => {
        const value = this.#sources && read(this.#sources);
        if (value === undefined) gauge.remove();
        else gauge.set(value);
      }),
    });
  }

  /** The value, or one that stands for all that are too many. */
  #bounded(label: keyof typeof maxValues, value: string): string {
    let seen = this.#seen.get(label);
    if (!seen) this.#seen.set(label, seen = new Set());
    if (seen.has(value)) return value;
    if (seen.size >= maxValues[label]) return others;
    seen.add(value);
    return value;
  }
}

/** The library calls this on the metric that is to be told. */
function onCollect<M>(work: (metric: M) => void): (this: M) => void {
  return function () {
    work(this);
  };
}

const statusClasses: Readonly<Record<number, string>> = { 2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx" };

/** What the process that watches over others tells of them. */
export class MembersMetrics {
  readonly #registry = new Registry();
  readonly #processes = new Gauge({
    name: "varve_processes",
    help: "Processes that answer",
    registers: [this.#registry],
  });
  readonly #restarts = new Counter({
    name: "varve_process_restarts",
    help: "Processes that ended and were started again",
    registers: [this.#registry],
  });

  /** How many there are now. */
  answering(count: number): void {
    this.#processes.set(count);
  }

  /** One more was started again. */
  restarted(): void {
    this.#restarts.inc();
  }

  /** To be put together with those of the others. */
  async values(): Promise<MetricValues> {
    return await this.#registry.getMetricsAsJSON();
  }
}

/** What was never observed has no mean: the library says so in a word that OpenMetrics does not know. */
async function textOf(registry: Registry<OpenMetricsContentType>): Promise<MetricsText> {
  const text = await registry.metrics();
  return { type: registry.contentType, text: text.replace(/^[^#].* Nan\n/gm, "") };
}

/** What only grows, of a process that is no more. */
export function countersOf(values: MetricValues): MetricValues {
  return values.filter((metric) => ["counter", "histogram"].includes((metric as { type: string }).type));
}

/** The metrics of several processes as those of one: counted together, or the largest or the mean, as each metric says. */
export async function mergedMetrics(processes: readonly MetricValues[]): Promise<MetricsText> {
  return await textOf(merged(processes));
}

/** The same, to be put together with still others. */
export async function mergedValues(processes: readonly MetricValues[]): Promise<MetricValues> {
  return await merged(processes).getMetricsAsJSON();
}

function merged(processes: readonly MetricValues[]): Registry<OpenMetricsContentType> {
  // The library writes a counter's suffix itself.
  const named = processes.map((values) =>
    values.map((metric) => {
      const { name, type } = metric as { name: string; type: string };
      return type === "counter" ? { ...metric, name: name.replace(/_total$/, "") } : metric;
    })
  );
  const registry = AggregatorRegistry.aggregate(named) as unknown as Registry<OpenMetricsContentType>;
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  return registry;
}
