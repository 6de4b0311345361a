/**
 * What a server needs and no more: the registry, the online store, and readers of services. Loads neither DuckDB nor Polars.
 * @module
 */
import { LiveServing } from "./live_serving.ts";
import type { Serving, ServingOptions } from "./live_serving.ts";
import { openObjects, openOnline, workspaceOf } from "./places.ts";
import { openRegistry } from "./registry/registry.ts";
import type { OnlineStore } from "./storage/online_store.ts";
import { systemClock } from "./time.ts";

export type { FunctionStatus, Serving, ServingFunctions, ServingOptions } from "./live_serving.ts";
export type {
  Answer,
  ComputedInputs,
  FeatureRequest,
  ReadFeaturesOptions,
  ServedFeature,
  ServiceReader,
  StoredRows,
} from "./retrieve/service_reader.ts";
export type { AnswerStatus, FeatureStatus } from "./retrieve/status.ts";
export type { LookupCounts, ReadObserver } from "./retrieve/observe.ts";
export type { AuditCounts, AuditSettings } from "./audit/audit_log.ts";
export type { Collection, ViewState } from "./storage/online_store.ts";
export type { FeatureRef } from "./retrieve/feature_refs.ts";
export type {
  RealtimeVersion,
  RegisteredRealtimeView,
  RegisteredView,
  RegistryState,
  ViewVersion,
} from "./registry/state.ts";
export { manualJobs } from "./materialize/manual_jobs.ts";
export type { ManualWork } from "./materialize/manual_jobs.ts";
export type { MaterializeJob } from "./queue/jobs.ts";
export type { FunctionSettings, RunnerStatus } from "./sandbox/runner_options.ts";
export { registerAggregation } from "./window/aggregators/user_defined.ts";
export type { AggregatorInputs, UserAggregation } from "./window/aggregators/user_defined.ts";
export type { Aggregator, GroupKeys, Slot, SlotColumn, States } from "./window/aggregator.ts";
export type { UserWindowFunction } from "./frame/window_functions.ts";
export type { Places, S3Settings } from "./places.ts";
export { openKeys } from "./keys.ts";
export type { KeysOptions, OpenedKeys } from "./keys.ts";
export { hasScope, hasWorkspace, KeyChecker, keyScopes } from "./registry/api_key.ts";
export type { ApiKey, KeyRefusal, KeyScope, KeySecret, KeyVerdict } from "./registry/api_key.ts";
export type { KeyAction, KeysState } from "./registry/key_changes.ts";
export type { KeyRing, KeyRingOptions, KeyWithText, NewKey, RotateOptions } from "./registry/key_ring.ts";
export type { WatchOptions } from "./registry/change_log.ts";

/** Opens the registry and the online store of a workspace for serving, and keeps up with both. */
export async function openServing(options: ServingOptions = {}): Promise<Serving> {
  const clock = options.clock ?? systemClock;
  const objects = openObjects(options);
  let online: OnlineStore | undefined;
  try {
    online = await openOnline(options, clock);
    const registry = openRegistry({ store: objects, workspace: workspaceOf(options), author: "server", clock });
    const serving = new LiveServing(registry, online, objects, options);
    await serving.refresh();
    await serving.warm(serving.state);
    serving.start();
    return serving;
  } catch (error) {
    await online?.close();
    await objects.close();
    throw error;
  }
}
