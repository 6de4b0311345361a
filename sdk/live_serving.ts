/** Serving that keeps up with what is published and loaded. */
import { AuditLog } from "./audit/audit_log.ts";
import type { AuditCounts, AuditSettings } from "./audit/audit_log.ts";
import { messageOf, VarveError } from "./errors.ts";
import { realtimeFunction } from "./define/realtime_function.ts";
import type { Places } from "./places.ts";
import { endsWithin } from "./queue/timers.ts";
import { servedRealtimeView, servedService, servedView } from "./registry/fold.ts";
import type { Registry } from "./registry/registry.ts";
import type { RegistryState } from "./registry/state.ts";
import { readsOf } from "./retrieve/feature_read.ts";
import { type FeatureRef, readsOfRefs } from "./retrieve/feature_refs.ts";
import type { ReadObserver } from "./retrieve/observe.ts";
import { compileReads } from "./retrieve/online_realtime.ts";
import type { ServiceReader } from "./retrieve/service_reader.ts";
import type { PublishedFunction } from "./sandbox/published_function.ts";
import { FunctionRunner } from "./sandbox/runner.ts";
import type { FunctionSettings, RunnerStatus } from "./sandbox/runner_options.ts";
import type { ObjectStore } from "./storage/object_store.ts";
import type { OnlineStore, ViewState } from "./storage/online_store.ts";
import { namesLike } from "./text.ts";
import { systemClock } from "./time.ts";
import type { Clock } from "./time.ts";

/** How a serving store is opened. */
export interface ServingOptions extends Places {
  /** Says what time it is. @default the computer's clock */
  readonly clock?: Clock;
  /** How often registry and online state are looked at. @default 500 */
  readonly pollMs?: number;
  /** Told what went wrong in the background; serving goes on with what it knows. */
  readonly onProblem?: (error: unknown) => void;
  /** Told of reads, for metrics. */
  readonly observer?: ReadObserver;
  /** How the functions of realtime views are run. @default a Deno process for each that is registered */
  readonly functions?: ServingFunctions;
  /** Logs a share of what services answer, for `store.audit`. @default nothing is logged */
  readonly audit?: AuditSettings;
}

/** How a server runs the functions of realtime views. */
export interface ServingFunctions extends FunctionSettings {
  /** Told why a function could not be made ready; other services go on. */
  readonly onProblem?: (error: unknown) => void;
}

/** Processes that run functions. */
export interface FunctionStatus extends Pick<RunnerStatus, "running" | "starts" | "waiting"> {
  /** Functions that serve and cannot be run here: there is no Deno. */
  readonly unable: number;
}

/** Reads features of services online. */
export interface Serving {
  /** The reader of a service; NOT_FOUND lists those there are. Readers follow definitions and loads by themselves: ask each time. */
  service(name: string, signal?: AbortSignal): Promise<ServiceReader>;
  /** A reader of these features of views, grouped by view; NOT_FOUND names what there is. Ask each time. */
  features(refs: readonly FeatureRef[], signal?: AbortSignal): Promise<ServiceReader>;
  /** What is registered, as of now. */
  definitions(signal?: AbortSignal): Promise<RegistryState>;
  /** What is loaded of the versions that serve, as it was seen last: a version that was never loaded is not among them. */
  loaded(): ViewState[];
  /** What became of the rows of the audit log; undefined where nothing is logged. */
  audited(): AuditCounts | undefined;
  /** What the processes of functions are doing. */
  functions(): FunctionStatus;
  /** Why requests would fail now; empty when ready. */
  problems(signal?: AbortSignal): Promise<string[]>;
  /** Why some requests would fail now while others are answered: a function that cannot be run. */
  degraded(): string[];
  /** Stops following, and releases everything. */
  close(): Promise<void>;
}

/** A missing service or view is looked for in the registry again, but not more often than this. */
const missesEveryMs = 250;
/** Functions that are started before anybody asks: as many as have processes at a time. */
const maxWarmFunctions = 16;
/** How long what is new waits for the start of its functions, in ms: a publish reaches every server within two seconds. */
const warmMs = 1_000;
/** Readers of loose features that are kept; there is no end to the lists clients may ask for. */
const maxLooseReaders = 256;

/** Follows a registry and an online store. */
export class LiveServing implements Serving {
  readonly #registry: Registry;
  readonly #online: OnlineStore;
  readonly #objects: ObjectStore;
  readonly #options: ServingOptions;
  readonly #audit: AuditLog | undefined;
  readonly #functions: FunctionRunner;
  #state: RegistryState;
  /** By view: a few versions each. */
  #states = new Map<string, readonly ViewState[]>();
  #readers = new Map<string, ServiceReader>();
  /** The same as promises: what every request asks for is made once. */
  #known = new Map<string, Promise<ServiceReader>>();
  /** By their features; the oldest first. */
  #looseReaders = new Map<string, ServiceReader>();
  #lastMiss = -Infinity;
  #timer: NodeJS.Timeout | undefined;
  #refreshing: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(registry: Registry, online: OnlineStore, objects: ObjectStore, options: ServingOptions) {
    this.#registry = registry;
    this.#online = online;
    this.#objects = objects;
    this.#options = options;
    this.#state = registry.cached;
    // A process that has nothing to do waits: a request after a quiet hour is as fast as any.
    const { timeoutMs = 5_000 } = options.functions ?? {};
    const lateMs = Math.ceil(timeoutMs / 5);
    this.#functions = new FunctionRunner({ ...options.functions, lateMs, idleMs: Infinity, gatherRows: 100 });
    const { audit, clock = systemClock } = options;
    if (audit && audit.share > 0) {
      this.#audit = new AuditLog({ ...audit, store: objects, workspace: registry.workspace, clock });
    }
  }

  start(): void {
    this.#timer = setTimeout(() => {
      void this.refresh().catch((error: unknown) => this.#options.onProblem?.(error)).finally(() => {
        if (!this.#closed) this.start();
      });
    }, this.#options.pollMs ?? 500);
    this.#timer.unref();
  }

  /** Reads what is new. Several callers share one look. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#look().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #look(): Promise<void> {
    // The registry first: what it says serves now was loaded before, so the states that follow know it.
    let failure: { readonly error: unknown } | undefined;
    const state = await this.#registry.state().catch((error: unknown) => {
      failure = { error };
      return this.#state;
    });
    // Also when the registry does not answer: a collection that another one has replaced is there for minutes only.
    const states = await this.#online.states();
    const byView = new Map<string, ViewState[]>();
    for (const item of states) byView.set(item.view, [...byView.get(item.view) ?? [], item]);
    this.#states = byView;
    const isNew = state.revision !== this.#state.revision;
    // What served until now does so until the functions of what is new run: no request waits for their start.
    if (isNew && this.#timer) await endsWithin(this.warm(state), warmMs);
    if (isNew) {
      this.#readers = new Map();
      this.#known = new Map();
      this.#looseReaders = new Map();
    }
    this.#state = state;
    if (isNew) this.#functions.retain(servedFunctions(state));
    if (failure) throw failure.error;
  }

  /** What is registered, as it is served. */
  get state(): RegistryState {
    return this.#state;
  }

  /** Starts the functions that serve by a state, so that no request waits for it. */
  async warm(state: RegistryState): Promise<void> {
    const starts = servedFunctions(state).slice(0, maxWarmFunctions).map((fn) => this.#functions.warm(fn));
    for (const start of await Promise.allSettled(starts)) {
      if (start.status === "rejected" && !this.#closed) this.#options.functions?.onProblem?.(start.reason);
    }
  }

  service(name: string, signal?: AbortSignal): Promise<ServiceReader> {
    return this.#known.get(name) ?? this.#find(name, signal);
  }

  async #find(name: string, signal: AbortSignal | undefined): Promise<ServiceReader> {
    if (this.#state.services[name] === undefined) await this.#lookAgain(signal);
    return this.#reader(name);
  }

  async features(refs: readonly FeatureRef[], signal?: AbortSignal): Promise<ServiceReader> {
    const key = JSON.stringify(refs.map(({ view, feature }) => [view, feature]));
    const known = this.#looseReaders.get(key);
    if (known) return known;
    const { views, realtimeViews } = this.#state;
    if (refs.some(({ view }) => !views[view] && !realtimeViews[view])) await this.#lookAgain(signal);
    const reads = readsOfRefs(refs, this.#state);
    const label = refs.map(({ view, feature }) => `${view}:${feature}`).join(", ");
    const title = `features of ${reads.map(({ alias }) => `"${alias}"`).join(", ")}`;
    const reader = compileReads(label, reads, this.#online, this.#findState, {
      functions: this.#functions,
      title,
      observer: this.#options.observer,
    });
    if (this.#looseReaders.size >= maxLooseReaders) {
      for (const oldest of this.#looseReaders.keys()) {
        this.#looseReaders.delete(oldest);
        break;
      }
    }
    this.#looseReaders.set(key, reader);
    return reader;
  }

  async definitions(signal?: AbortSignal): Promise<RegistryState> {
    await raced(this.refresh(), signal, `${this.#objects.description} and ${this.#online.description}`);
    return this.#state;
  }

  async #lookAgain(signal: AbortSignal | undefined): Promise<void> {
    if (performance.now() - this.#lastMiss <= missesEveryMs) return;
    this.#lastMiss = performance.now();
    await raced(this.refresh(), signal, `${this.#objects.description} and ${this.#online.description}`);
  }

  loaded(): ViewState[] {
    return Object.values(this.#state.views).flatMap(({ name, serving }) => {
      const state = serving === undefined ? undefined : this.#findState(name, serving);
      return state?.collection === undefined ? [] : [state];
    });
  }

  audited(): AuditCounts | undefined {
    return this.#audit?.counts;
  }

  /** Asked several times at every request: names are looked up as they are, none is put together. */
  readonly #findState = (view: string, version: number) => {
    const states = this.#states.get(view);
    for (let i = 0; states && i < states.length; i++) if (states[i]!.version === version) return states[i];
    return undefined;
  };

  functions(): FunctionStatus {
    const { running, starts, waiting } = this.#functions.status;
    const served = servedFunctions(this.#state);
    const unable = served.length > 0 && this.#functions.lack !== undefined ? served.length : 0;
    return { running, starts, waiting, unable };
  }

  #reader(name: string): ServiceReader {
    const known = this.#readers.get(name);
    if (known) return known;
    const definition = servedService(this.#state, name);
    if (!definition) {
      const names = namesLike(name, Object.keys(this.#state.services));
      throw new VarveError("NOT_FOUND", `Cannot read service ${JSON.stringify(name)}: services are ${names}`, {
        details: { service: name },
      });
    }
    const reads = readsOf(definition, (view) => servedView(this.#state, view) ?? servedRealtimeView(this.#state, view));
    const compiled = compileReads(name, reads, this.#online, this.#findState, {
      functions: this.#functions,
      observer: this.#options.observer,
    });
    const reader = this.#audit ? this.#audit.audited(compiled, reads, this.#findState) : compiled;
    this.#readers.set(name, reader);
    this.#known.set(name, Promise.resolve(reader));
    return reader;
  }

  async problems(signal?: AbortSignal): Promise<string[]> {
    const { workspace } = this.#registry;
    if (this.#state.revision === 0) return [`workspace "${workspace}" is empty: publish a service`];
    const found: string[] = [];
    try {
      await raced(this.#online.ping(signal), signal, this.#online.description);
    } catch (error) {
      found.push(messageOf(error));
    }
    for (const view of Object.values(this.#state.views)) {
      const version = view.versions.find((item) => item.version === view.serving);
      if (!version?.definition.online) continue;
      const state = this.#findState(view.name, version.version);
      if (state?.collection === undefined) {
        found.push(`view "${view.name}" version ${version.version} is not loaded online`);
      }
    }
    return [...found, ...this.#unreadable()];
  }

  degraded(): string[] {
    const served = servedFunctions(this.#state);
    const lack = served.length === 0 ? undefined : this.#functions.lack;
    return lack === undefined ? [] : [`${served.map(({ name }) => name).join(", ")} cannot be computed: ${lack}`];
  }

  /** Why no service can be read. One of many that is not complete yet does not make a server useless. */
  #unreadable(): string[] {
    const names = Object.keys(this.#state.services);
    if (names.length === 0) return [`workspace "${this.#registry.workspace}" has no service: publish one`];
    const found: string[] = [];
    for (const name of names) {
      try {
        this.#reader(name);
        return [];
      } catch (error) {
        found.push(messageOf(error));
      }
    }
    return found;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#refreshing?.catch(() => undefined);
    await this.#functions.close();
    await this.#audit?.close();
    await this.#online.close();
    await this.#objects.close();
  }
}

function servedFunctions(state: RegistryState): PublishedFunction[] {
  return Object.keys(state.realtimeViews).flatMap((name) => {
    const served = servedRealtimeView(state, name);
    const fn = served && realtimeFunction(served.definition);
    return fn ? [fn] : [];
  });
}

/** Gives up when the signal says so: a store that hangs would keep whoever asks waiting. */
async function raced(work: Promise<void>, signal: AbortSignal | undefined, description: string): Promise<void> {
  if (!signal) return await work;
  await new Promise<void>((resolve, reject) => {
    const stop = () => reject(new VarveError("TIMEOUT", `Cannot use ${description}: it does not answer in time`));
    signal.addEventListener("abort", stop, { once: true });
    void work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
