/** Moving the pointer that says which version of a view is served. */
import { VarveError } from "../errors.ts";
import { formatTimestamp, type Micros } from "../time.ts";
import { findVersion, nextVersion } from "./fold.ts";
import type { Action, RegisteredRealtimeView, RegistryState } from "./state.ts";

/** The action that lets a complete version serve; undefined when it has served already. */
export function promotion(state: RegistryState, name: string, version: number): Action[] | undefined {
  const view = state.views[name];
  if (!view) throw new VarveError("NOT_FOUND", `Cannot serve view "${name}": it is not registered`);
  if (view.building === version) return [{ kind: "serve", view: name, version }];
  if (view.serving === version || view.served?.includes(version)) return undefined;
  const now = view.building === undefined ? "no version is being built" : `version ${view.building} is being built`;
  throw new VarveError("CONFLICT", `Cannot serve version ${version} of view "${name}": it was replaced, ${now}`);
}

/** The action that moves the pointer back to a version that was complete; a realtime view gets an earlier definition again. */
export function rollbackActions(
  state: RegistryState,
  name: string,
  version: number | undefined,
  now: Micros,
): Action[] {
  const realtime = state.realtimeViews[name];
  if (realtime) return rollbackRealtime(state, realtime, version, now);
  const view = state.views[name];
  if (!view && Object.hasOwn(state.services, name)) {
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot roll back service "${name}": services have no versions of their own; publish its earlier definition again, or roll ` +
        `back a view that it reads: ${state.services[name]!.views.map((use) => use.view).join(", ")}`,
    );
  }
  if (!view) {
    const names = [...Object.keys(state.views), ...Object.keys(state.realtimeViews)].join(", ") || "none";
    throw new VarveError("NOT_FOUND", `Cannot roll back view "${name}": it is not registered; views are ${names}`);
  }
  const complete = (view.served ?? []).filter((served) => served !== view.serving);
  const target = version ?? complete.at(-1);
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
