/** Whether actions fit the state they are to be committed on. */
import type { AnyView } from "../define/definitions.ts";
import { realtimeViewIssues } from "../define/realtime_checks.ts";
import { type Issue, throwIssues } from "../errors.ts";
import { type Field, formatType, sameType } from "../schema.ts";
import { currentVersion, findVersion, fold, nextVersion } from "./fold.ts";
import type { Action, RegistryState } from "./state.ts";
import { touchedName } from "./touched.ts";

/** The state after the actions, or an error that lists all of them that do not fit. */
export function checkActions(state: RegistryState, actions: readonly Action[]): RegistryState {
  const issues: Issue[] = [];
  let after = state;
  for (const action of actions) {
    const problem = problemOf(after, action);
    if (problem !== undefined) issues.push({ path: touchedName(action), message: problem });
    after = fold(after, {
      format: 1,
      revision: state.revision,
      id: "",
      author: "",
      at: "",
      reason: "",
      actions: [action],
    });
  }
  if (issues.length === 0) issues.push(...referenceIssues(after, new Set(actions.map(touchedName))));
  throwIssues("Cannot commit this change to the registry", issues, "INVALID_REQUEST");
  return after;
}

function problemOf(state: RegistryState, action: Action): string | undefined {
  switch (action.kind) {
    case "putEntity":
    case "putService":
      return undefined;
    case "deleteEntity":
      return state.entities[action.name] ? undefined : "there is no such entity";
    case "deleteService":
      return state.services[action.name] ? undefined : "there is no such service";
    case "deleteView":
      return state.views[action.name] ? undefined : "there is no such view";
    case "deleteRealtimeView":
      return state.realtimeViews[action.name] ? undefined : "there is no such realtime view";
    case "putRealtimeView":
    case "addVersion": {
      const next = nextVersion(state, action.version.definition.name);
      return action.version.version === next ? undefined : `the next version is ${next}, not ${action.version.version}`;
    }
    case "updateVersion":
    case "serve":
    case "deleteVersion": {
      const view = state.views[action.view];
      if (!view) return "there is no such view";
      if (!findVersion(view, action.version)) {
        return `there is no version ${action.version}; versions are ${
          view.versions.map((version) => version.version).join(", ")
        }`;
      }
      if (action.kind === "deleteVersion" && view.serving === action.version) {
        return `version ${action.version} is being served; serve another one first`;
      }
      return undefined;
    }
  }
}

/** The definition of every view of a state: of a batch view the one that plans compare with, of a realtime view the newest. */
export function currentViews(state: RegistryState): Map<string, AnyView> {
  const stored = Object.values(state.views).flatMap((view) => currentVersion(view)?.definition ?? []);
  const realtime = Object.values(state.realtimeViews).flatMap(({ versions }) => versions.at(-1)?.definition ?? []);
  return new Map([...stored, ...realtime].map((each) => [each.name, each]));
}

/** Services need their views and features, views their entity, and names must differ by more than case (they are folders). */
function referenceIssues(state: RegistryState, touched: ReadonlySet<string>): Issue[] {
  const issues: Issue[] = [];
  const views = currentViews(state);
  const isTouched = (view: string) => touched.has(`view:${view}`) || touched.has(`realtimeView:${view}`);
  for (const view of views.values()) {
    if (view.kind !== "realtimeView") continue;
    const path = `realtimeView:${view.name}`;
    if (!touched.has(path) && !view.from.some((use) => isTouched(use.view))) continue;
    const found = realtimeViewIssues(view, views);
    issues.push(...found.map((issue) => ({ path, message: `${issue.path}: ${issue.message}` })));
    if (state.views[view.name]) issues.push({ path, message: "a batch view has that name; choose another name" });
  }
  for (const service of Object.values(state.services)) {
    const path = `service:${service.name}`;
    for (const use of service.views) {
      if (!touched.has(path) && !isTouched(use.view)) continue;
      const view = views.get(use.view);
      if (!view) {
        issues.push({ path, message: `it reads view "${use.view}", which is not registered` });
        continue;
      }
      const known = new Set(view.features.map((feature) => feature.name));
      const missing = use.features.filter((feature) => !known.has(feature.feature)).map((feature) =>
        `"${feature.feature}"`
      );
      if (missing.length > 0) {
        issues.push({
          path,
          message: `it reads ${missing.join(", ")} of view "${use.view}", whose features are ${[...known].join(", ")}`,
        });
      }
    }
  }
  for (const view of Object.values(state.views)) {
    const definition = currentVersion(view)?.definition;
    if (!definition) continue;
    const name = definition.entity.name;
    if (!touched.has(`view:${view.name}`) && !touched.has(`entity:${name}`)) continue;
    const entity = state.entities[name];
    const path = `view:${view.name}`;
    if (!entity) {
      issues.push({ path, message: `its entity "${name}" is not registered` });
    } else if (!sameKeys(entity.joinKeys, definition.entity.joinKeys)) {
      issues.push({
        path,
        message: `entity "${name}" has the join keys ${formatKeys(entity.joinKeys)}, the view was made with ${
          formatKeys(definition.entity.joinKeys)
        }`,
      });
    }
    const twin = [...views.keys()].find((other) =>
      other !== view.name && other.toLowerCase() === view.name.toLowerCase()
    );
    if (twin !== undefined && touched.has(path)) {
      issues.push({ path, message: `view "${twin}" differs in case only; choose another name` });
    }
  }
  return issues;
}

/** Whether two entities have the same join keys, in the same order. */
export function sameKeys(a: readonly Field[], b: readonly Field[]): boolean {
  return a.length === b.length && a.every((key, i) => key.name === b[i]!.name && sameType(key.type, b[i]!.type));
}

/** Join keys as text: `carrier string, number int64`. */
export function formatKeys(keys: readonly Field[]): string {
  return keys.map((key) => `${key.name} ${formatType(key.type)}`).join(", ");
}
