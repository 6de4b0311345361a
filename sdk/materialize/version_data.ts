/** Gathers what is stored of a view version: what `reconcile` compares with the registry. */
import type { ViewVersion } from "../registry/state.ts";
import type { DeltaTable } from "../storage/delta_format.ts";
import type { ObjectStore } from "../storage/object_store.ts";
import type { OnlineStore } from "../storage/online_store.ts";
import { onlineLayout } from "./online_layout.ts";
import { lateNoteKey, lateScans, readLateNote } from "./late_rows.ts";
import type { VersionData } from "./reconcile.ts";

/** Where data of view versions is found. */
export interface VersionDataContext {
  readonly workspace: string;
  readonly objects: Pick<ObjectStore, "find">;
  readonly table: (view: string, version: number) => DeltaTable;
  readonly online: () => Promise<OnlineStore>;
}

/** Reads the table's log and, if the view is online, its state. */
export async function versionData(
  context: VersionDataContext,
  { definition, version }: ViewVersion,
): Promise<VersionData> {
  const view = definition.name;
  const snapshot = await context.table(view, version).snapshot();
  const rows = snapshot.files.reduce((sum, file) => sum + file.rows, 0);
  const late = lateScans(definition).length === 0
    ? undefined
    : await readLateNote(context.objects, lateNoteKey(context.workspace, view, version));
  const data = {
    view,
    version,
    tableVersion: snapshot.version,
    committed: snapshot.slices,
    ...(late && { late }),
    ...(snapshot.slices.size > 0 && { rowsPerSlice: rows / snapshot.slices.size }),
  };
  if (!definition.online) return data;
  const online = await context.online();
  const [state, epoch] = await Promise.all([online.state(view, version), online.epoch()]);
  return { ...data, ...(state && { online: state }), layout: onlineLayout(definition, epoch) };
}
