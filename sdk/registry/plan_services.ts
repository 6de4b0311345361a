/** What publishing services would change, and which services a change of views would break. */
import type { AnyView, EntityDefinition, ServiceDefinition } from "../define/definitions.ts";
import { serviceViewIssues } from "../define/service.ts";
import type { Issue } from "../errors.ts";
import { formatType, sameType } from "../schema.ts";
import { currentViews, formatKeys, sameKeys } from "./check_actions.ts";
import { entityDifferences, sameDefinition, serviceDifferences } from "./differences.ts";
import { offlineWarnings } from "./plan_realtime.ts";
import { readerConflicts } from "./plan_uses.ts";
import type { PlannedItem } from "./plan_view.ts";
import type { RegistryState } from "./state.ts";

/** Everything there will be once a plan is applied, by name. */
export interface Outcome {
  /** Entities. */
  readonly entities: ReadonlyMap<string, EntityDefinition>;
  /** Views of every kind. */
  readonly views: ReadonlyMap<string, AnyView>;
  /** Services. */
  readonly services: ReadonlyMap<string, ServiceDefinition>;
}

/** Compares an entity with the registered one. */
export function planEntity(state: RegistryState, entity: EntityDefinition): PlannedItem {
  const registered = state.entities[entity.name];
  const change = !registered ? "create" : sameDefinition(registered, entity) ? "unchanged" : "update";
  return {
    item: {
      kind: "entity",
      name: entity.name,
      change,
      differences: registered ? entityDifferences(registered, entity) : [],
      warnings: [],
    },
    actions: change === "unchanged" ? [] : [{ kind: "putEntity", entity }],
  };
}

/** Every view must have been made with the join keys that its entity will have. */
export function entityConflicts(outcome: Outcome): Issue[] {
  const issues: Issue[] = [];
  for (const view of outcome.views.values()) {
    if (view.kind !== "view") continue;
    const entity = outcome.entities.get(view.entity.name);
    if (!entity || sameKeys(entity.joinKeys, view.entity.joinKeys)) continue;
    issues.push({
      path: `entity:${entity.name}`,
      message:
        `its join keys are ${formatKeys(entity.joinKeys)} here and ${
          formatKeys(view.entity.joinKeys)
        } in view "${view.name}"; ` +
        "use the same keys, another entity name, or publish that view with the new keys too",
    });
  }
  return issues;
}

/** Compares a service with the registered one. */
export function planService(state: RegistryState, service: ServiceDefinition, outcome: Outcome): PlannedItem {
  const registered = state.services[service.name];
  const change = !registered ? "create" : sameDefinition(registered, service) ? "unchanged" : "update";
  const warnings = change === "unchanged" ? [] : offlineWarnings(service.views.map((use) => use.view), outcome);
  return {
    item: {
      kind: "service",
      name: service.name,
      change,
      differences: registered ? serviceDifferences(registered, service) : [],
      warnings,
    },
    actions: change === "unchanged" ? [] : [{ kind: "putService", service }],
  };
}

/** Services of this plan that do not fit, and registered ones that it would break. */
export function serviceConflicts(
  state: RegistryState,
  outcome: Outcome,
  desired: ReadonlySet<string>,
  deleted: ReadonlySet<string>,
): Issue[] {
  return [...outcome.services.values()].flatMap((service) =>
    readerConflicts(
      {
        path: `service:${service.name}`,
        what: "service",
        uses: service.views,
        isRegistered: state.services[service.name] !== undefined,
        issues: () => serviceViewIssues(service, outcome.views),
      },
      desired,
      deleted,
    )
  );
}

/** Registered services for which a feature changes its type. */
export function typeWarnings(state: RegistryState, view: AnyView): string[] {
  const before: AnyView["features"] | undefined = currentViews(state).get(view.name)?.features;
  if (!before) return [];
  return view.features.flatMap((feature) => {
    const old = before.find((each) => each.name === feature.name);
    if (!old || sameType(old.type, feature.type)) return [];
    const services = Object.values(state.services)
      .filter((service) =>
        service.views.some((use) =>
          use.view === view.name && use.features.some((each) => each.feature === feature.name)
        )
      )
      .map((service) => `"${service.name}"`);
    if (services.length === 0) return [];
    return [
      `feature ${feature.name} becomes ${formatType(feature.type)} instead of ${formatType(old.type)} for service ${
        services.join(", ")
      }`,
    ];
  });
}
