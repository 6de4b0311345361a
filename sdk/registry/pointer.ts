/** Moving the pointer that says which version of a view is served, and what has no pointer back to what it was. */
import { VarveError } from "../errors.ts";
import { formatTimestamp, type Micros } from "../time.ts";
import { findVersion, nextVersion } from "./fold.ts";
import type { Action, RegisteredRealtimeView, RegisteredView, RegistryState } from "./state.ts";

/** The action that lets a complete version serve; undefined when it has served already. */
export function promotion(state: RegistryState, name: string, version: number): Action[] | undefined {
  const view = state.views[name];
  if (!view) throw new VarveError("NOT_FOUND", `Cannot serve view "${name}": it is not registered`);
  if (view.building === version) return [{ kind: "serve", view: name, version }];
  if (view.serving === version || view.served?.includes(version)) return undefined;
  const now = view.building === undefined ? "no version is being built" : `version ${view.building} is being built`;
  throw new VarveError("CONFLICT", `Cannot serve version ${version} of view "${name}": it was replaced, ${now}`);
}

/** The actions that take things back together, each named once; see {@link Registry.rollback}. */
export function rollbackActions(
  state: RegistryState,
  names: readonly string[],
  version: number | undefined,
  now: Micros,
): Action[] {
  if (names.length === 0) {
    throw new VarveError("INVALID_REQUEST", "Cannot roll back nothing: name a view or a service");
  }
  if (version !== undefined && names.length > 1) {
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot roll back ${
        names.join(", ")
      } to version ${version}: a version is of one view; roll them back without, or one by one`,
    );
  }
  return names.flatMap((name) => rollbackOne(state, name, version, now));
}

/** Versions that were complete once, without the one that serves; the last is where a rollback goes. */
function completeOthers(view: RegisteredView): number[] {
  return (view.served ?? []).filter((served) => served !== view.serving);
}

/** The version that a rollback goes back to, where none is named; undefined where there is none. */
export function versionBefore(view: RegisteredView): number | undefined {
  return completeOthers(view).at(-1);
}

/** The pointer of a view moves back to a version that was complete; a realtime view and a service get an earlier definition again. */
function rollbackOne(
  state: RegistryState,
  name: string,
  version: number | undefined,
  now: Micros,
): Action[] {
  const realtime = state.realtimeViews[name];
  if (realtime) return rollbackRealtime(state, realtime, version, now);
  const view = state.views[name];
  if (!view && Object.hasOwn(state.services, name)) return rollbackService(state, name, version);
  if (!view) {
    const list = (names: readonly string[]) => names.join(", ") || "none";
    const views = [...Object.keys(state.views), ...Object.keys(state.realtimeViews)];
    throw new VarveError(
      "NOT_FOUND",
      `Cannot roll back "${name}": it is not registered; views are ${list(views)}; services are ${
        list(Object.keys(state.services))
      }`,
    );
  }
  const complete = completeOthers(view);
  const target = version ?? versionBefore(view);
  if (target !== undefined && target === view.serving) {
    throw new VarveError("INVALID_REQUEST", `Cannot roll back view "${name}" to version ${target}: it is being served`);
  }
  if (target === undefined || !complete.includes(target) || !findVersion(view, target)) {
    const what = target === undefined ? "" : ` to version ${target}`;
    const choice = complete.length > 0
      ? `complete versions are ${complete.join(", ")}`
      : "no other version was ever complete";
    throw new VarveError("NOT_FOUND", `Cannot roll back view "${name}"${what}: ${choice}`);
  }
  return [{ kind: "serve", view: name, version: target }];
}

function rollbackService(state: RegistryState, name: string, version: number | undefined): Action[] {
  if (version !== undefined) {
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot roll back service "${name}" to version ${version}: services have no versions; without one it gets its definition before`,
    );
  }
  const before = state.formerServices?.[name]?.[0];
  if (before) return [{ kind: "putService", service: before }];
  throw new VarveError("NOT_FOUND", `Cannot roll back service "${name}": it was never defined otherwise`);
}

function rollbackRealtime(
  state: RegistryState,
  { name, versions }: RegisteredRealtimeView,
  version: number | undefined,
  now: Micros,
): Action[] {
  const earlier = versions.slice(0, -1);
  const target = version === undefined ? earlier.at(-1) : earlier.find((each) => each.version === version);
  if (!target) {
    const what = version === undefined ? "" : ` to version ${version}`;
    const choice = earlier.map((each) => each.version).join(", ") || "none";
    throw new VarveError(
      "NOT_FOUND",
      `Cannot roll back realtime view "${name}"${what}: earlier versions are ${choice}`,
    );
  }
  const next = { version: nextVersion(state, name), definition: target.definition, createdAt: formatTimestamp(now) };
  return [{ kind: "putRealtimeView", version: next }];
}
