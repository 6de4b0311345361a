/** Folding the log of changes into what the registry knows: pure, and total for every log that was ever accepted. */
import type { AnyView, ServiceDefinition } from "../define/definitions.ts";
import { fitsViews } from "../define/realtime_checks.ts";
import type { Action, Change, RealtimeVersion, RegisteredView, RegistryState, ViewVersion } from "./state.ts";

/** A registry before its first change. */
export const emptyState: RegistryState = freezeState({
  revision: 0,
  entities: emptyRecord(),
  views: emptyRecord(),
  realtimeViews: emptyRecord(),
  services: emptyRecord(),
  formerServices: emptyRecord(),
  lastVersions: emptyRecord(),
});

/** Records that were made for a state which nobody has seen yet: only these may still be changed. */
type Own = Set<object>;

/** The state after one more change. Each record is copied once, however many actions touch it: a change may have thousands. */
export function fold(state: RegistryState, change: Change): RegistryState {
  const own: Own = new Set();
  const next = change.actions.reduce((before, action) => applyAction(before, action, own), state);
  own.forEach(Object.freeze);
  return freezeState({ ...next, revision: change.revision });
}

/** The version that plans compare with: the one being built, or else the one that serves. */
export function currentVersion(view: RegisteredView): ViewVersion | undefined {
  return findVersion(view, view.building ?? view.serving) ?? view.versions.at(-1);
}

/** One version of a view. */
export function findVersion(view: RegisteredView, version: number | undefined): ViewVersion | undefined {
  return view.versions.find((candidate) => candidate.version === version);
}

/** The number the next version of a view gets: never one that was used before. */
export function nextVersion(state: RegistryState, view: string): number {
  const last = state.lastVersions?.[view] ?? 0;
  const versions = [...state.views[view]?.versions ?? [], ...state.realtimeViews[view]?.versions ?? []];
  const highest = Math.max(0, ...versions.map((version) => version.version));
  return Math.max(last, highest) + 1;
}

function applyAction(state: RegistryState, action: Action, own: Own): RegistryState {
  switch (action.kind) {
    case "putEntity":
      return { ...state, entities: put(state.entities, action.entity.name, action.entity, own) };
    case "deleteEntity":
      return { ...state, entities: remove(state.entities, action.name, own) };
    case "putService":
      return putService(state, action.service, own);
    case "deleteService":
      return {
        ...state,
        services: remove(state.services, action.name, own),
        formerServices: remove(state.formerServices ?? {}, action.name, own),
      };
    case "putRealtimeView":
      return putRealtimeView(state, action.version, own);
    case "deleteRealtimeView":
      return { ...state, realtimeViews: remove(state.realtimeViews, action.name, own) };
    case "addVersion":
      return addVersion(state, action.version, own);
    case "updateVersion":
      return changeView(state, action.view, own, (view) => ({
        ...view,
        versions: view.versions.map((version) =>
          version.version === action.version ? Object.freeze({ ...version, definition: action.definition }) : version
        ),
      }));
    case "serve":
      return changeView(state, action.view, own, (view) => serve(view, action.version));
    case "deleteVersion":
      return changeView(state, action.view, own, (view) => dropVersion(view, action.version));
    case "deleteView":
      return { ...state, views: remove(state.views, action.name, own) };
  }
}

/** How many definitions of a service or realtime view are kept beside the newest: views are rolled back one version or two, not twenty. */
const formerKept = 10;

function putService(state: RegistryState, service: ServiceDefinition, own: Own): RegistryState {
  const { name } = service;
  const before = state.services[name];
  const former = [...(before ? [before] : []), ...(state.formerServices?.[name] ?? [])].slice(0, formerKept);
  return {
    ...state,
    services: put(state.services, name, service, own),
    formerServices: put(state.formerServices ?? {}, name, Object.freeze(former), own),
  };
}

/**
 * The definition by which a service is read: the newest whose views all serve what it asks for. A new definition may need a
 * version of a view that is still being built, and a view that was rolled back may lack what was added since; until then, the
 * service is what it was. Where none can be read it is the newest, and reading it says what is missing.
 */
export function servedService(state: RegistryState, name: string): ServiceDefinition | undefined {
  const newest = Object.hasOwn(state.services, name) ? state.services[name] : undefined;
  if (!newest) return undefined;
  return [newest, ...(state.formerServices?.[name] ?? [])].find((each) => isReadable(state, each)) ?? newest;
}

function isReadable(state: RegistryState, service: ServiceDefinition): boolean {
  return service.views.every(({ view, features }) => {
    const serving: AnyView["features"] | undefined = (servedView(state, view) ?? servedRealtimeView(state, view))
      ?.definition.features;
    return serving !== undefined &&
      features.every(({ feature }) => serving.some((each: { readonly name: string }) => each.name === feature));
  });
}

/** The version of a view that serves. */
export function servedView({ views }: RegistryState, name: string): ViewVersion | undefined {
  const view = Object.hasOwn(views, name) ? views[name] : undefined;
  return view && findVersion(view, view.serving);
}

/**
 * The version of a realtime view that is read: the newest that was made for the versions of views that serve. A new version may
 * need a version of a view that is still being built; until that serves, the realtime view is what it was. Where none fits it is
 * the newest, and reading it says what is missing.
 */
export function servedRealtimeView(state: RegistryState, name: string): RealtimeVersion | undefined {
  const versions = Object.hasOwn(state.realtimeViews, name) ? state.realtimeViews[name]!.versions : [];
  return versions.findLast(({ definition }) => fitsViews(definition, (view) => servedView(state, view)?.definition)) ??
    versions.at(-1);
}

function putRealtimeView(state: RegistryState, version: RealtimeVersion, own: Own): RegistryState {
  const { name } = version.definition;
  const before = state.realtimeViews[name]?.versions ?? [];
  const versions = Object.freeze([...before, Object.freeze(version)].slice(-formerKept - 1));
  return {
    ...state,
    realtimeViews: put(state.realtimeViews, name, Object.freeze({ name, versions }), own),
    lastVersions: put(state.lastVersions ?? emptyRecord<number>(), name, version.version, own),
  };
}

function addVersion(state: RegistryState, version: ViewVersion, own: Own): RegistryState {
  const name = version.definition.name;
  const before = state.views[name];
  const view: RegisteredView = {
    served: [],
    ...before,
    name,
    versions: [...(before?.versions ?? []).filter((old) => old.version !== version.version), Object.freeze(version)],
    building: version.version,
  };
  const last = Math.max(version.version, nextVersion(state, name) - 1);
  return {
    ...state,
    views: put(state.views, name, freezeView(view), own),
    lastVersions: put(state.lastVersions ?? emptyRecord<number>(), name, last, own),
  };
}

function serve(view: RegisteredView, version: number): RegisteredView {
  if (!findVersion(view, version)) return view;
  const { building, ...rest } = view;
  return {
    ...rest,
    serving: version,
    ...(building !== undefined && building !== version ? { building } : {}),
    served: [...(view.served ?? []).filter((old) => old !== version), version],
  };
}

function dropVersion(view: RegisteredView, version: number): RegisteredView {
  const { building, serving, ...rest } = view;
  return {
    ...rest,
    versions: view.versions.filter((old) => old.version !== version),
    ...(building !== undefined && building !== version ? { building } : {}),
    ...(serving !== undefined && serving !== version ? { serving } : {}),
    served: (view.served ?? []).filter((old) => old !== version),
  };
}

function changeView(
  state: RegistryState,
  name: string,
  own: Own,
  change: (view: RegisteredView) => RegisteredView,
): RegistryState {
  const view = state.views[name];
  return view === undefined ? state : { ...state, views: put(state.views, name, freezeView(change(view)), own) };
}

function freezeView(view: RegisteredView): RegisteredView {
  return Object.freeze({
    ...view,
    versions: Object.freeze([...view.versions]),
    served: Object.freeze([...(view.served ?? [])]),
  });
}

function freezeState(state: RegistryState): RegistryState {
  return Object.freeze(state);
}

/** Without a prototype, so that a view named "constructor" is not found before it is registered. */
function emptyRecord<T>(): Readonly<Record<string, T>> {
  return Object.freeze(Object.create(null) as Record<string, T>);
}

function put<T>(record: Readonly<Record<string, T>>, name: string, value: T, own: Own): Readonly<Record<string, T>> {
  const copy = ownCopy(record, own);
  copy[name] = value;
  return copy;
}

function remove<T>(record: Readonly<Record<string, T>>, name: string, own: Own): Readonly<Record<string, T>> {
  const copy = ownCopy(record, own);
  delete copy[name];
  return copy;
}

/** The record itself if it may be changed, else a copy that may. */
function ownCopy<T>(record: Readonly<Record<string, T>>, own: Own): Record<string, T> {
  if (own.has(record)) return record as Record<string, T>;
  const copy = Object.assign(Object.create(null) as Record<string, T>, record);
  own.add(copy);
  return copy;
}
