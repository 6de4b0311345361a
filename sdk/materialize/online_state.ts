/** Which collections of a view version are served, being filled, or left over: kept in the view's online state. */
import { createHash } from "node:crypto";
import type { ViewDefinition } from "../define/definitions.ts";
import { VarveError } from "../errors.ts";
import { formatType } from "../schema.ts";
import { rowLayout } from "../storage/encoding.ts";
import type { Collection, OnlineStore, ViewState } from "../storage/online_store.ts";
import { type Clock, durationToMicros, formatTimestamp, toMicros } from "../time.ts";

/** A collection that may be removed from `at` on: one that is served no more, or one whose loader has been silent for too long. */
export interface LeftOver {
  readonly collection: Collection;
  readonly at: string;
}

/** The state of a view version as loaders keep it. */
export interface LoaderState extends ViewState {
  readonly leftOver?: readonly LeftOver[];
}

/** A server may read a collection for this long after another one has taken its place. */
export const retireDelay = durationToMicros("5m");
/** A load that takes longer than this is taken for dead, and what it wrote for left over. */
export const loadLimit = durationToMicros("1d");

/** What the values of a load depend on; another text asks for a fresh load. */
export function onlineLayout(definition: ViewDefinition, epoch: string): string {
  const keys = definition.entity.joinKeys.map((key) => [key.name, formatType(key.type)]);
  const text = JSON.stringify([rowLayout(definition.features).hash, keys, definition.ttl, epoch]);
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}

/** Changes a state by compare-and-set until nobody interferes; `next` gives undefined to leave it as it is. */
export async function changeState(
  store: OnlineStore,
  view: string,
  version: number,
  next: (state: LoaderState | undefined) => LoaderState | undefined,
): Promise<LoaderState | undefined> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const state: LoaderState | undefined = await store.state(view, version);
    const wanted = next(state);
    if (wanted === undefined) return state;
    if (await store.setState(wanted, state)) return wanted;
  }
  throw new VarveError(
    "CONFLICT",
    `Cannot change the online state of view "${view}" version ${version}: others changed it 100 times meanwhile; try again`,
  );
}

/** Gives out a fresh collection and notes it, so that it is found and removed even if this loader dies. */
export async function openCollection(
  store: OnlineStore,
  view: string,
  version: number,
  clock: Clock,
): Promise<Collection> {
  const collection = await store.newCollection();
  const note: LeftOver = { collection, at: formatTimestamp(clock.now() + loadLimit) };
  await changeState(store, view, version, (state) => {
    const updatedAt = formatTimestamp(clock.now());
    const base = state ?? { view, version, appliedVersion: -1, watermark: formatTimestamp(0n), layout: "" };
    return { ...base, updatedAt, leftOver: [...(state?.leftOver ?? []), note] };
  });
  return collection;
}

/** Removes left-over collections whose time has come, or all of them; gives how many values went. */
export async function dropLeftOver(
  store: OnlineStore,
  view: string,
  version: number,
  { now, all = false, signal }: { now: bigint; all?: boolean; signal?: AbortSignal },
): Promise<number> {
  const state: LoaderState | undefined = await store.state(view, version);
  const due = (state?.leftOver ?? []).filter((entry) => all || toMicros(entry.at) <= now);
  let dropped = 0;
  for (const { collection } of due) dropped += await store.drop(collection, signal);
  if (due.length > 0) {
    const gone = new Set(due.map((entry) => entry.collection));
    await changeState(
      store,
      view,
      version,
      (current) => current && withLeftOver(current, (entry) => !gone.has(entry.collection)),
    );
  }
  return dropped;
}

/** A state whose left-over collections are those that `keep` keeps. */
export function withLeftOver(state: LoaderState, keep: (entry: LeftOver) => boolean): LoaderState {
  const { leftOver = [], ...rest } = state;
  const kept = leftOver.filter(keep);
  return kept.length > 0 ? { ...rest, leftOver: kept } : rest;
}
