/** Compares what somebody wants with what the registry holds. */
import type {
  AnyView,
  Definition,
  EntityDefinition,
  RealtimeViewDefinition,
  ServiceDefinition,
  ViewDefinition,
} from "../define/definitions.ts";
import { type Issue, messageOf, throwIssues, VarveError } from "../errors.ts";
import type { Micros } from "../time.ts";
import { currentViews } from "./check_actions.ts";
import { sameDefinition } from "./differences.ts";
import { currentVersion } from "./fold.ts";
import { type CommitPlan, kindText, Plan } from "./plan.ts";
import { estimateWarnings, type SourceEstimate, withCost } from "./plan_backfill.ts";
import { planRealtimeView, realtimeConflicts } from "./plan_realtime.ts";
import {
  entityConflicts,
  type Outcome,
  planEntity,
  planService,
  serviceConflicts,
  typeWarnings,
} from "./plan_services.ts";
import { type PlannedItem, planView } from "./plan_view.ts";
import type { RegistryState } from "./state.ts";

/** What a plan needs beside the definitions. */
export interface PlanContext {
  /** What time it is: slices that have closed by then are due. */
  readonly now: Micros;
  /** What to delete: `view:x`, `realtimeView:x`, `service:y`, `entity:z`. Nothing else is ever deleted. */
  readonly delete?: readonly string[];
  /** Looks at the sources of a view that is to be backfilled. */
  readonly estimate?: (view: ViewDefinition) => Promise<SourceEstimate | undefined>;
  /** Commits the plan when it is applied. */
  readonly commit?: CommitPlan;
  /** Why, in words; kept in the history when the plan is applied. */
  readonly reason?: string;
}

/** Plans what publishing definitions would change; everything that cannot be is told at once. */
export async function planChanges(
  state: RegistryState,
  desired: readonly Definition[],
  context: PlanContext,
): Promise<Plan> {
  const issues: Issue[] = [];
  const planned = draftPlan(state, desired, context, issues);
  const items = await Promise.all(planned.map(({ item }) => withEstimate(item, planned, context, issues)));
  throwPlanIssues(issues);
  return new Plan({
    revision: state.revision,
    items,
    actions: planned.flatMap((each) => each.actions),
    ...(context.commit ? { commit: context.commit } : {}),
    ...(context.reason === undefined ? {} : { reason: context.reason }),
  });
}

function throwPlanIssues(issues: readonly Issue[]): void {
  throwIssues("Cannot plan this change", issues);
}

function draftPlan(
  state: RegistryState,
  desired: readonly Definition[],
  context: PlanContext,
  issues: Issue[],
): PlannedItem[] {
  const wanted = byName(desired, issues);
  const deleted = new Set(context.delete ?? []);
  const gone = planDeletions(state, deleted, wanted, issues);
  const views = of<ViewDefinition>(wanted, "view");
  const entities = wantedEntities(state, of<EntityDefinition>(wanted, "entity"), views);
  const realtime = of<RealtimeViewDefinition>(wanted, "realtimeView");
  const outcome = outcomeOf(
    state,
    entities,
    [...views, ...realtime],
    of<ServiceDefinition>(wanted, "service"),
    deleted,
  );
  const planned: PlannedItem[] = entities.map((entity) => planEntity(state, entity));
  for (const view of views) {
    const each = planView(state, view, context.now, issues);
    planned.push({ ...each, item: { ...each.item, warnings: [...each.item.warnings, ...typeWarnings(state, view)] } });
    issues.push(...twinIssues(`view:${view.name}`, view.name, outcome));
  }
  for (const view of realtime) {
    const path = `realtimeView:${view.name}`;
    const each = planRealtimeView(state, view, outcome, context.now);
    planned.push({ ...each, item: { ...each.item, warnings: [...each.item.warnings, ...typeWarnings(state, view)] } });
    issues.push(...twinIssues(path, view.name, outcome));
  }
  for (const { name } of [...views, ...realtime]) {
    const isStored = wanted.has(`view:${name}`) || (state.views[name] && !deleted.has(`view:${name}`));
    const isRealtime = wanted.has(`realtimeView:${name}`) ||
      (state.realtimeViews[name] && !deleted.has(`realtimeView:${name}`));
    if (!isStored || !isRealtime) continue;
    issues.push({ path: `view:${name}`, message: "a batch view and a realtime view have this name; choose another" });
  }
  planned.push(...of<ServiceDefinition>(wanted, "service").map((service) => planService(state, service, outcome)));
  const names = new Set(wanted.keys());
  issues.push(
    ...entityConflicts(outcome),
    ...realtimeConflicts(state, outcome, names, deleted),
    ...serviceConflicts(state, outcome, names, deleted),
  );
  return [...planned, ...gone];
}

function twinIssues(path: string, name: string, { views }: Outcome): Issue[] {
  const twin = [...views.keys()].find((other) => other !== name && other.toLowerCase() === name.toLowerCase());
  return twin === undefined ? [] : [{ path, message: `view "${twin}" differs in case only; choose another name` }];
}

/** Definitions by `kind:name`; two that differ under one name are an issue. */
function byName(desired: readonly Definition[], issues: Issue[]): Map<string, Definition> {
  const wanted = new Map<string, Definition>();
  for (const definition of desired) {
    const path = `${definition.kind}:${definition.name}`;
    const other = wanted.get(path);
    if (other && !sameDefinition(other, definition)) {
      issues.push({ path, message: "it is defined twice, and differently" });
    }
    wanted.set(path, definition);
  }
  return wanted;
}

function of<D extends Definition>(wanted: ReadonlyMap<string, Definition>, kind: D["kind"]): D[] {
  return [...wanted.values()].filter((definition) => definition.kind === kind) as D[];
}

/**
 * Entities named, and those that views bring along. A view that says nothing about an entity but its keys takes no description away
 * from the registered one.
 */
function wantedEntities(
  state: RegistryState,
  named: readonly EntityDefinition[],
  views: readonly ViewDefinition[],
): EntityDefinition[] {
  const entities = new Map(named.map((entity) => [entity.name, entity]));
  const described = (entity: EntityDefinition) => entity.description ?? entity.owner ?? entity.tags;
  for (const { entity } of views) {
    const known = entities.get(entity.name);
    if (!known || (!named.includes(known) && !described(known))) entities.set(entity.name, entity);
  }
  return [...entities.values()].map((entity) => {
    const registered = state.entities[entity.name];
    const bare = registered !== undefined && !described(entity) && sameDefinition(registered.joinKeys, entity.joinKeys);
    return bare && views.some((view) => view.entity.name === entity.name) ? registered : entity;
  });
}

function outcomeOf(
  state: RegistryState,
  entities: readonly EntityDefinition[],
  views: readonly AnyView[],
  services: readonly ServiceDefinition[],
  deleted: ReadonlySet<string>,
): Outcome {
  const after = <D extends Definition>(before: readonly D[], now: readonly D[]) =>
    new Map(
      [...before.filter((each) => !deleted.has(`${each.kind}:${each.name}`)), ...now].map((each) => [each.name, each]),
    );
  return {
    entities: after(Object.values(state.entities), entities),
    views: after([...currentViews(state).values()], views),
    services: after(Object.values(state.services), services),
  };
}

/** In the order in which they can be committed: what reads comes before what is read. */
function planDeletions(
  state: RegistryState,
  deleted: ReadonlySet<string>,
  wanted: ReadonlyMap<string, Definition>,
  issues: Issue[],
): PlannedItem[] {
  const planned: PlannedItem[] = [];
  const records = {
    service: state.services,
    realtimeView: state.realtimeViews,
    view: state.views,
    entity: state.entities,
  };
  const actions = {
    service: "deleteService",
    realtimeView: "deleteRealtimeView",
    view: "deleteView",
    entity: "deleteEntity",
  } as const;
  for (const path of deleted) {
    if (!/^(service|realtimeView|view|entity):./.test(path)) {
      issues.push({ path, message: 'say what to delete as "view:x", "realtimeView:x", "service:x" or "entity:x"' });
    } else if (wanted.has(path)) {
      issues.push({ path, message: "it is both wanted and to be deleted" });
    }
  }
  for (const kind of ["service", "realtimeView", "view", "entity"] as const) {
    for (const path of [...deleted].filter((each) => each.startsWith(`${kind}:`))) {
      const name = path.slice(kind.length + 1);
      if (!records[kind][name]) {
        issues.push({
          path,
          message: `there is no such ${kindText(kind)}; there are ${Object.keys(records[kind]).join(", ") || "none"}`,
        });
        continue;
      }
      issues.push(...deletionIssues(state, kind, name, deleted));
      planned.push({
        item: {
          kind,
          name,
          change: "delete",
          differences: [],
          warnings: kind === "view" ? ["its stored data is deleted too"] : [],
        },
        actions: [{ kind: actions[kind], name }],
      });
    }
  }
  return planned;
}

function deletionIssues(
  state: RegistryState,
  kind: Definition["kind"],
  name: string,
  deleted: ReadonlySet<string>,
): Issue[] {
  const path = `${kind}:${name}`;
  if (kind === "view" && currentVersion(state.views[name]!)?.definition.preventDestroy) {
    return [{ path, message: "preventDestroy is set; publish it without, then delete it" }];
  }
  if (kind !== "entity") return [];
  const users = Object.values(state.views)
    .filter((view) => !deleted.has(`view:${view.name}`) && currentVersion(view)?.definition.entity.name === name)
    .map((view) => `"${view.name}"`);
  return users.length === 0 ? [] : [{ path, message: `view ${users.join(", ")} is about it; delete that too` }];
}

async function withEstimate(
  item: PlannedItem["item"],
  planned: readonly PlannedItem[],
  context: PlanContext,
  issues: Issue[],
): Promise<PlannedItem["item"]> {
  const action = planned.find((each) => each.item === item)?.actions.find((each) =>
    each.kind === "addVersion" || each.kind === "updateVersion"
  );
  if (!item.backfill || !context.estimate || !action) return item;
  const view = action.kind === "addVersion"
    ? action.version.definition
    : action.kind === "updateVersion"
    ? action.definition
    : undefined;
  try {
    const estimate = await context.estimate(view!);
    if (!estimate) return item;
    const warnings = [...item.warnings, ...estimateWarnings(view!, estimate, context.now)];
    return { ...item, backfill: withCost(item.backfill, estimate, view!.mode), warnings };
  } catch (error) {
    if (!(error instanceof VarveError)) throw error;
    issues.push({ path: `view:${item.name}`, message: messageOf(error) });
    return item;
  }
}
