/** The store: what a person does with definitions and data, in one object. `connect()` gives it. */
import type { FeatureService, Simplify } from "./define/service.ts";
import type { DefinitionSource } from "./define/source/definition_source.ts";
import type { ModuleOptions } from "./define/source/module_source.ts";
import { type FeatureView, type PublishOptions, view as defineView } from "./define/view.ts";
import type { ProfileOptions, ViewProfile } from "./define/view_profile.ts";
import { Displayed, type Rendering } from "./display.ts";
import { checkOptions, VarveError } from "./errors.ts";
import { readStopped, stoppable } from "./interrupt.ts";
import { report, reportList } from "./notebook/report.ts";
import { answersBundle, auditBundle, leaksBundle, skewBundle } from "./notebook/report_tables.ts";
import { withProgress } from "./notebook/shown_progress.ts";
import { doneBundle, historyBundle, statusBundle, vacuumBundle } from "./notebook/status_table.ts";
import type { Places } from "./places.ts";
import type { HistoryOptions } from "./registry/registry.ts";
import type { Change } from "./registry/state.ts";
import type { SpineInput } from "./retrieve/spine.ts";
import {
  checkRecord,
  rebuildTrainingSet,
  trainingSet,
  type TrainOptions,
  trainOptions,
  withSchema,
} from "./retrieve/training.ts";
import type { TrainingRecord, TrainingSet } from "./retrieve/training_set.ts";
import type { FunctionSettings } from "./sandbox/runner_options.ts";
import type { Row } from "./schema.ts";
import { cancelJobs, runDue, targetsOf, type WaitOptions, waitOptions } from "./store_jobs.ts";
import { materializeByHand } from "./store_materialize.ts";
import type { StoreParts } from "./store_parts.ts";
import { StorePlan } from "./store_plan.ts";
import { nameOf, OnlineReaders, type Readable, readsFor } from "./store_reads.ts";
import type { ReadResult } from "./store_result.ts";
import { rollBack } from "./store_rollback.ts";
import type { AuditReport } from "./audit_report.ts";
import { audit, type AuditOptions } from "./store_audit.ts";
import type { Explanation } from "./explanation.ts";
import { explain, type ExplainOptions, explainOptions } from "./store_explain.ts";
import { registeredSource } from "./store_source.ts";
import { tryFunctions } from "./store_functions.ts";
import { skew, type SkewOptions, type SkewReport } from "./store_skew.ts";
import { checkOneGiven, definitionsOf, isList, type Publishable, unique } from "./store_publishable.ts";
import { estimateSources } from "./store_sources.ts";
import { type LeakOptions, leakOptions, type LeakReport, leaks } from "./store_leaks.ts";
import { type StoreStatus, storeStatus } from "./store_status.ts";
import type { DoneView } from "./store_tally.ts";
import { newestDefined, readPreview, readProfile, readRange } from "./store_view_reads.ts";
import { vacuum, type Vacuumed, type VacuumOptions } from "./store_vacuum.ts";
import {
  type AnswerOf,
  contextOf,
  type FeatureNameOf,
  type FieldsOf,
  type KeyedFeatures,
  type KeysOf,
  type MaterializeOptions,
  materializeOptions,
  type OnlineArguments,
  type OnlineDetails,
  type OnlineOptions,
  onlineOptions,
  planOptions,
  type PlanStoreOptions,
  type PreviewStoreOptions,
  type PublishFrameOptions,
  type ReadRangeOptions,
  type RetrainOptions,
  retrainOptions,
  type SpineRow,
} from "./store_types.ts";
import { type Clock, toMicros } from "./time.ts";

/** A feature store: registry, offline tables and online values of one workspace. Close it when done. */
export class Store extends Displayed {
  readonly #parts: StoreParts;
  readonly #readers: OnlineReaders;
  #closing: Promise<void> | undefined;

  /**
   * Made by `connect`.
   * @internal
   */
  constructor(parts: StoreParts) {
    super();
    this.#parts = parts;
    this.#readers = new OnlineReaders(parts);
  }

  /** The workspace it works on. */
  get workspace(): string {
    return this.#parts.workspace;
  }

  /** Where its data lives: what another process, or a server in this one, opens the same store with. */
  get places(): Places {
    return this.#parts.places;
  }

  /** Its workspace and where it is stored. */
  override toString(): string {
    return `store of workspace ${this.workspace} in ${this.#parts.objects.description}${
      this.#closing ? ", closed" : ""
    }`;
  }

  /** @internal */
  override rendering(): Rendering {
    const first = { "text/plain": this.toString() };
    return this.#closing ? { first } : { first, later: async () => await (await this.status()).toMimeBundle() };
  }

  /** How it runs the functions of realtime views, as `connect` was told. */
  get functions(): FunctionSettings {
    return this.#parts.options.functions ?? {};
  }

  /** What time it is for this store. */
  get clock(): Clock {
    return this.#parts.clock;
  }

  /** Plans what publishing would change; nothing changes until the plan is applied. What is not named stays as it is. */
  async plan(features: Publishable | readonly Publishable[], options: PlanStoreOptions = {}): Promise<StorePlan> {
    this.#checkOpen("plan");
    checkOneGiven(options);
    checkOptions("Cannot plan this", options, planOptions);
    const list = isList(features) ? features : [features];
    const definitions = unique(list.flatMap(definitionsOf));
    const plan = await this.#parts.registry.plan(definitions, {
      ...(options.delete && { delete: options.delete }),
      ...(options.reason !== undefined && { reason: options.reason }),
      estimate: (view) => estimateSources(this.#parts, view),
    });
    return new StorePlan(this.#parts, await tryFunctions(this.#parts, plan, definitions), definitions);
  }

  /** Plans the publication of a view or service with all it needs, or of a frame that becomes a view. */
  publish(features: Publishable | readonly Publishable[], options?: PublishOptions): Promise<StorePlan>;
  /** Plans the publication of a frame as a view of the given name. */
  publish(features: KeyedFeatures, options: PublishFrameOptions): Promise<StorePlan>;
  async publish(
    // deno-lint-ignore no-explicit-any
    features: any,
    options: PublishOptions | PublishFrameOptions = {},
  ): Promise<StorePlan> {
    if (typeof features !== "object" || features === null || !("frame" in features)) {
      return await this.plan(features, options);
    }
    checkOneGiven(options);
    if (!("name" in options)) {
      throw new VarveError(
        "INVALID_DEFINITION",
        'Cannot publish a frame without a name: give { name: "…", schedule: "1d", start: "…" }',
      );
    }
    const { name, reason, ...rest } = options;
    return await this.plan(
      defineView(name, features, rest as Parameters<typeof defineView>[2]),
      reason === undefined ? {} : { reason },
    );
  }

  /** Plans a deletion: `view:x`, `realtimeView:w`, `service:y`, `entity:z`. Apply it to delete; of a view its stored data goes too. */
  async delete(...names: readonly string[]): Promise<StorePlan> {
    return await this.plan([], { delete: names });
  }

  /**
   * Lets the version of a view serve that served before, or the given one: at once where its values are online, else once they
   * are loaded; until then, and when that fails, everything serves as it did. Of a realtime view the definition before serves
   * again, and so of a service. A list is taken back in one change: views and services that were changed together, and fit only so.
   */
  async rollback(
    what: Readable | readonly Readable[],
    version?: number,
    options: WaitOptions = {},
  ): Promise<Change & Displayed> {
    this.#checkOpen("roll back");
    checkOptions("Cannot roll back", options, waitOptions);
    const names = (Array.isArray(what) ? what as readonly Readable[] : [what as Readable]).map(nameOf);
    return report(await rollBack(this.#parts, names, version, options), (change) => historyBundle([change]));
  }

  /** Changes of the registry, newest first. */
  async history(options: HistoryOptions = {}): Promise<Change[] & Displayed> {
    return reportList(await this.#parts.registry.history(options), historyBundle);
  }

  /** Views and services of the registry as one TypeScript module: `varve apply` of the file plans no change. */
  async source(name: string | readonly string[], options?: ModuleOptions): Promise<DefinitionSource> {
    this.#checkOpen("read definitions of");
    return registeredSource(await this.#parts.registry.state(), typeof name === "string" ? [name] : name, options);
  }

  /** What is registered, stored, served and missing. */
  async status(): Promise<StoreStatus & Displayed> {
    this.#checkOpen("look at");
    return report(await storeStatus(this.#parts), statusBundle);
  }

  /** Computes slices of a view by hand, of the version that serves and of one that is being built, loads them online, and waits. */
  async materialize(view: string | FeatureView, options: MaterializeOptions = {}): Promise<DoneView[] & Displayed> {
    this.#checkOpen("materialize");
    checkOptions(`Cannot materialize view "${nameOf(view)}"`, options, materializeOptions);
    const state = await this.#parts.registry.state();
    const targets = targetsOf(state, [newestDefined(state, nameOf(view)).definition.name]);
    const done = await withProgress(
      options,
      (followed) => materializeByHand(this.#parts, targets, { ...options, ...followed }),
    );
    return reportList(done, doneBundle);
  }

  /** Computes everything that is due of all views, or of one, and waits. */
  async catchUp(view?: string | FeatureView, options: WaitOptions = {}): Promise<DoneView[] & Displayed> {
    this.#checkOpen("catch up");
    checkOptions("Cannot catch up", options, waitOptions);
    const state = await this.#parts.registry.state();
    const names = view === undefined ? Object.keys(state.views) : [newestDefined(state, nameOf(view)).definition.name];
    const done = await withProgress(options, (followed) => runDue(this.#parts, names, followed));
    return reportList(done, doneBundle);
  }

  /** Cancels jobs of a view that wait or run; gives how many. */
  async cancel(view: string | FeatureView, reason = "cancelled by hand"): Promise<number> {
    this.#checkOpen("cancel");
    return await cancelJobs(this.#parts, nameOf(view), reason);
  }

  /** A training set: features of a service or view for the rows of a spine, as they were known at each row's time. */
  train<F extends Readable, S extends SpineInput>(
    features: F,
    spine: S,
    options?: TrainOptions & { readonly statuses?: false; readonly effectiveTimestamps?: false },
  ): Promise<TrainingSet<Simplify<SpineRow<S> & AnswerOf<F>>, keyof AnswerOf<F> & string, keyof SpineRow<S> & string>>;
  /** The same with columns that say why a value is not there, and when it became known. */
  train<F extends Readable, S extends SpineInput>(
    features: F,
    spine: S,
    options: TrainOptions,
  ): Promise<
    TrainingSet<Simplify<SpineRow<S> & AnswerOf<F> & Row>, keyof AnswerOf<F> & string, keyof SpineRow<S> & string>
  >;
  // deno-lint-ignore no-explicit-any
  async train(features: Readable, spine: SpineInput, options: TrainOptions = {}): Promise<any> {
    this.#checkOpen("train");
    checkOptions("Cannot read a training set", options, trainOptions);
    const reads = readsFor(await this.#parts.registry.state(), features, options.from ?? "offline");
    const context = await this.#parts.trainContext();
    return await stoppable(
      options,
      readStopped,
      (stopped) => trainingSet({ ...withSchema(stopped), reads, spine }, context),
    );
  }

  /** The training set of a record again, byte for byte, given the same spine (S11); `{ features: model }` types it. */
  async retrain<S extends SpineInput, F extends Readable = string>(
    record: TrainingRecord,
    spine: S,
    options: RetrainOptions<F> = {},
  ): Promise<TrainingSet<Simplify<SpineRow<S> & AnswerOf<F>>, keyof AnswerOf<F> & string, keyof SpineRow<S> & string>> {
    this.#checkOpen("train");
    checkOptions("Cannot rebuild a training set", options, retrainOptions);
    const { features, ...rest } = options;
    if (features !== undefined) {
      checkRecord(record, nameOf(features), readsFor(await this.#parts.registry.state(), features, "source"));
    }
    const context = await this.#parts.trainContext();
    const set = await stoppable(
      rest,
      readStopped,
      (stopped) => rebuildTrainingSet(record, spine, context, withSchema(stopped)),
    );
    // The record was made of these features, or nothing is said of them.
    return set as unknown as TrainingSet<Simplify<SpineRow<S> & AnswerOf<F>>>;
  }

  /**
   * Which features would leak the future into a training set: joins it by what had happened at each row's time and by what could
   * have been served then (S4), and tells where the two differ.
   */
  async leaks(features: Readable, spine: SpineInput, options: LeakOptions = {}): Promise<LeakReport & Displayed> {
    this.#checkOpen("look for leaks in");
    checkOptions("Cannot look for leaks", options, leakOptions);
    const reads = readsFor(await this.#parts.registry.state(), features, options.from ?? "offline");
    const found = await stoppable(options, readStopped, (stopped) => leaks(this.#parts, reads, spine, stopped));
    return report(found, leaksBundle);
  }

  /** Every value of a view in `[start, end)` with the interval in which it was the one to serve. */
  range(view: string | FeatureView, options: ReadRangeOptions): ReadResult {
    this.#checkOpen("read");
    return readRange(this.#parts, view, options);
  }

  /** What each key of a view would have at an instant, computed from the source; also before it is published. */
  preview(view: string | FeatureView, options: PreviewStoreOptions = {}): ReadResult {
    this.#checkOpen("preview");
    return readPreview(this.#parts, view, options);
  }

  /**
   * What a view holds: each feature over time and by entity, from the stored history, or from the source while nothing of the
   * view serves yet.
   */
  async profile<V extends string | FeatureView, const N extends FeatureNameOf<V> = FeatureNameOf<V>>(
    view: V,
    options: ProfileOptions<N> & { readonly from?: "offline" | "source" } = {},
  ): Promise<ViewProfile<N>> {
    this.#checkOpen("profile");
    return await readProfile(this.#parts, view, options);
  }

  /** The newest values for many requests, in their order, as a server would answer now. */
  online<R extends Readable>(
    features: R,
    keys: readonly KeysOf<R>[],
    ...options: OnlineArguments<R, FieldsOf<R> | readonly FieldsOf<R>[]>
  ): Promise<AnswerOf<R>[]>;
  /** The newest values for one request, as a server would answer now. */
  online<R extends Readable>(
    features: R,
    keys: KeysOf<R>,
    ...options: OnlineArguments<R, FieldsOf<R>>
  ): Promise<AnswerOf<R>>;
  async online(readable: Readable, keys: Row | readonly Row[], options: OnlineOptions = {}): Promise<Row | Row[]> {
    const many = Array.isArray(keys);
    const { features, answers } = await this.onlineDetails(
      readable,
      many ? keys as readonly Row[] : [keys as Row],
      options,
    );
    const rows = answers.map(({ values }) => Object.fromEntries(features.map(({ name }, i) => [name, values[i]])));
    return many ? rows : rows[0]!;
  }

  /** The same with status and effective time of each feature: missing, expired, or there since when. */
  async onlineDetails(
    readable: Readable,
    keys: readonly Row[],
    options: OnlineOptions = {},
  ): Promise<OnlineDetails & Displayed> {
    this.#checkOpen("read");
    checkOptions(`Cannot read "${nameOf(readable)}"`, options, onlineOptions);
    if (!Array.isArray(keys)) {
      throw new VarveError(
        "INVALID_REQUEST",
        `Cannot read "${nameOf(readable)}": give the keys of each request in a list, as in [{ ${
          Object.keys(keys ?? {}).join(", ") || 'user: "ann"'
        } }]`,
      );
    }
    const reader = await this.#readers.reader(readable);
    const at = options.at === undefined ? this.#parts.clock.now() : toMicros(options.at);
    const context = contextOf(nameOf(readable), keys.length, options.request);
    const details = {
      features: reader.features,
      answers: await reader.read(keys, { at, context, signal: options.signal }),
    };
    return report(details, ({ features, answers }) => answersBundle(features, answers));
  }

  /**
   * Why the features of one key are what they are at an instant: the source rows behind each value, and those left out with the rule
   * that left them out. Works before publishing too; afterwards it also says where what is stored, served and in the source differ.
   */
  async explain<R extends Readable>(features: R, keys: KeysOf<R>, options: ExplainOptions = {}): Promise<Explanation> {
    this.#checkOpen("explain values of");
    checkOptions(`Cannot explain "${nameOf(features)}"`, options, explainOptions);
    return await stoppable(
      options,
      readStopped,
      (stopped) => explain(this.#parts, this.#readers, features, keys as Row, stopped),
    );
  }

  /** Compares what a view serves, and what training reads of it, with what its definition gives from the source (S11). */
  async skew(view: string | FeatureView, options: SkewOptions = {}): Promise<SkewReport & Displayed> {
    this.#checkOpen("compare");
    const found = await stoppable(options, readStopped, (stopped) => skew(this.#parts, nameOf(view), stopped));
    return report(found, skewBundle);
  }

  /**
   * Computes the answers again that servers logged for a service (`VARVE_AUDIT_SHARE`), as of their requests' times and from what
   * was loaded then, and compares (S11). Needs a log with keys as they are.
   */
  async audit(service: string | FeatureService, options: AuditOptions = {}): Promise<AuditReport & Displayed> {
    this.#checkOpen("check the answers of");
    return report(await audit(this.#parts, typeof service === "string" ? service : service.name, options), auditBundle);
  }

  /** Finds what nothing refers to any more, and removes it when told to. */
  async vacuum(options: VacuumOptions = {}): Promise<Vacuumed & Displayed> {
    this.#checkOpen("vacuum");
    return report(await vacuum(this.#parts, options), vacuumBundle);
  }

  /** Stops jobs that run in this process and releases everything. A job that was stopped goes on with the next `apply`. */
  close(): Promise<void> {
    this.#closing ??= this.#parts.close();
    return this.#closing;
  }

  /** Closes it at the end of an `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #checkOpen(verb: string): void {
    if (this.#closing) throw new VarveError("INVALID_REQUEST", `Cannot ${verb} a store that is closed: connect again`);
  }
}
