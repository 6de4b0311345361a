/** Brings the online store up to the last commit of one view version. Safe to repeat and to run twice at once. */
import { messageOf, VarveError } from "../errors.ts";
import type { Collection, ViewState } from "../storage/online_store.ts";
import { formatTimestamp, toMicros } from "../time.ts";
import { changeState } from "./collections.ts";
import { sliceLength } from "./due_slices.ts";
import { attributeContent } from "./load_attributes.ts";
import {
  type Load,
  type LoadOnlineContext,
  type LoadOnlineRequest,
  type OnlineContent,
  watermarkOf,
  type Written,
} from "./load_context.ts";
import { windowContent } from "./load_windows.ts";
import { onlineLayout } from "./online_layout.ts";

/** What a load did. */
export interface LoadOnlineResult {
  /** `"already"`: there was nothing new; `"superseded"`: another loader was further on when this one had finished. */
  readonly outcome: "fresh" | "incremental" | "already" | "superseded";
  readonly appliedVersion: number;
  /** Values written; of an incremental load those that were newer than what was there. */
  readonly rows: number;
  readonly watermark: string;
}

/** Loads what is new since the applied version; everything into a fresh collection when that is not enough. */
export async function loadOnline(request: LoadOnlineRequest, context: LoadOnlineContext): Promise<LoadOnlineResult> {
  const { definition, version } = request;
  const { online, table, collections, signal } = context;
  try {
    await collections.sweep(signal ? { signal } : {});
    const life = await online.life();
    // The state first: what it says is applied was applied before the snapshot, never after.
    const state = await online.state(definition.name, version);
    const epoch = await online.epoch();
    const layout = onlineLayout(definition, epoch);
    const snapshot = await table.snapshot();
    const usable = state?.collection !== undefined && state.layout === layout &&
      state.appliedVersion <= snapshot.version;
    if (usable && !request.rebuild && state.appliedVersion === snapshot.version) {
      return { outcome: "already", appliedVersion: snapshot.version, rows: 0, watermark: state.watermark };
    }
    const session = await context.engine.session();
    try {
      const load: Load = { request, context, session, snapshot, layout, life, epoch };
      const content = definition.mode === "attributes"
        ? attributeContent(load, definition)
        : windowContent(load, definition);
      const write = usable && !request.rebuild ? await content.changesSince(state.appliedVersion) : undefined;
      return write ? await loadChanges(load, state!.collection!, write) : await loadFresh(load, content);
    } finally {
      session.close();
    }
  } catch (error) {
    if (!signal?.aborted) throw error;
    throw new VarveError(
      "CANCELLED",
      `Cannot load view "${definition.name}" version ${version}: it was cancelled: ${messageOf(signal.reason)}`,
      { cause: signal.reason },
    );
  }
}

/** A collection that is full, and what was found then. */
interface Filled {
  readonly written: Written;
  /** Whether nobody removed it meanwhile. */
  readonly isOpen: boolean;
  /** The collection that was served. */
  readonly retired: Collection | undefined;
}

async function loadFresh(load: Load, content: OnlineContent): Promise<LoadOnlineResult> {
  const { context: { collections, signal } } = load;
  const collection = await collections.open(signal);
  let filled: Filled;
  try {
    const written = await content.all(collection);
    const retired = await retireServed(load);
    await checkLife(load);
    filled = { written, retired, isOpen: await collections.isOpen(collection) };
  } catch (error) {
    await collections.drop(collection).catch(() => undefined); // It is noted, and swept later.
    throw error;
  }
  // From here on the collection may be served, also when an answer is lost: only the sweep may remove it.
  return await serveCollection(load, collection, filled);
}

/**
 * Gives the collection that is served its time to go before another takes its place. Whoever swept between the two would
 * otherwise find its old note, and remove it while servers still read it.
 */
async function retireServed(load: Load): Promise<Collection | undefined> {
  const { request: { definition, version }, context: { online, collections } } = load;
  const served = (await online.state(definition.name, version))?.collection;
  if (served !== undefined) await collections.retire(served);
  return served;
}

/** A store that was emptied, or came back from its disk, may have lost what this load has written: then it must not be served. */
async function checkLife({ request: { definition, version }, context: { online }, life }: Load): Promise<void> {
  if (await online.life() === life) return;
  throw new VarveError(
    "UNAVAILABLE",
    `Cannot load view "${definition.name}" version ${version}: ${online.description} was emptied or restarted meanwhile; load it again`,
  );
}

/** Makes the filled collection the one that is served, unless another loader brought one that is at least as new. */
async function serveCollection(
  load: Load,
  collection: Collection,
  { written: { rows, cutKeys }, isOpen, retired }: Filled,
): Promise<LoadOnlineResult> {
  const { request, context: { online, collections, clock }, snapshot, layout, epoch } = load;
  const { definition: { name: view }, version } = request;
  const reached = {
    appliedVersion: snapshot.version,
    watermark: formatTimestamp(watermarkOf(snapshot, sliceLength(request.definition))),
    updatedAt: formatTimestamp(clock.now()),
  };
  let before: ViewState | undefined;
  const state = await changeState(online, view, version, (current) => {
    before = current;
    if (!isOpen) return undefined; // It was taken for dead and removed.
    const ahead = current?.collection !== undefined && current.layout === layout &&
      (request.rebuild ? current.appliedVersion > snapshot.version : current.appliedVersion >= snapshot.version);
    return ahead
      ? undefined
      : { view, version, collection, layout, epoch, ...reached, ...(cutKeys !== undefined && { cutKeys }) };
  });
  if (state?.collection !== collection) {
    await collections.drop(collection);
    return superseded(state, rows);
  }
  // Another loader's, that came in between; without a note of its end it goes a day after it was opened.
  const other = before?.collection;
  if (other !== undefined && other !== retired) await collections.retire(other).catch(() => undefined);
  return { outcome: "fresh", appliedVersion: snapshot.version, rows, watermark: state.watermark };
}

async function loadChanges(
  load: Load,
  collection: Collection,
  write: (collection: Collection) => Promise<Written>,
): Promise<LoadOnlineResult> {
  const { request: { definition, version }, context: { online, clock }, snapshot } = load;
  const { rows, cutKeys } = await write(collection);
  const watermark = watermarkOf(snapshot, sliceLength(definition));
  await checkLife(load);
  const state = await changeState(online, definition.name, version, (current) => {
    // Somebody filled another collection, or is further on: then what was written here is harmless, and nothing is to be said.
    if (current?.collection !== collection || current.appliedVersion >= snapshot.version) return undefined;
    const before = toMicros(current.watermark);
    return {
      ...current,
      appliedVersion: snapshot.version,
      watermark: formatTimestamp(watermark > before ? watermark : before),
      updatedAt: formatTimestamp(clock.now()),
      ...(cutKeys !== undefined && { cutKeys: Math.max(0, (current.cutKeys ?? 0) + cutKeys) }),
    };
  });
  if (state?.collection !== collection || state.appliedVersion !== snapshot.version) return superseded(state, rows);
  return { outcome: "incremental", appliedVersion: snapshot.version, rows, watermark: state.watermark };
}

function superseded(state: ViewState | undefined, rows: number): LoadOnlineResult {
  const { appliedVersion = -1, watermark = formatTimestamp(0n) } = state ?? {};
  return { outcome: "superseded", appliedVersion, rows, watermark };
}
