/** Computes slices of a view into temporary tables, and what they have in common whatever is made of their rows. */
import { reservedColumns, type ViewDefinition } from "../define/definitions.ts";
import type { EngineSession } from "../engine/engine.ts";
import { messageOf, VarveError } from "../errors.ts";
import type { Query, ScanStep } from "../frame/query.ts";
import { findField, type Schema } from "../schema.ts";
import type { TimeRange } from "../time.ts";
import { viewTableSchema } from "../window/view_aggregators.ts";
import { stageAttributes } from "./stage_attributes.ts";
import type { StagedSlices, StageOptions } from "./staged.ts";
import { stageWindows } from "./stage_windows.ts";

/** The columns of a view's table: join keys, the three timestamps, and features, or what aggregates are made of. */
export function storedSchema(definition: ViewDefinition): Schema {
  if (definition.mode === "aggregates") return viewTableSchema(definition);
  return [
    ...definition.entity.joinKeys.map(({ name, type }) => ({ name, type })),
    { name: reservedColumns.eventTimestamp, type: "timestamp" },
    { name: reservedColumns.effectiveTimestamp, type: "timestamp" },
    { name: reservedColumns.writtenTimestamp, type: "timestamp" },
    ...definition.features.map(({ name, type }) => ({ name, type })),
  ];
}

/** Computes the slices of the range into temporary tables, from which they are written. */
export async function stageSlices(
  session: EngineSession,
  definition: ViewDefinition,
  range: TimeRange,
  options: StageOptions,
): Promise<StagedSlices> {
  return definition.mode === "attributes"
    ? await stageAttributes(session, definition, range, options)
    : await stageWindows(session, definition, range, options);
}

/** Source rows without an event timestamp: they belong to no slice, so no slice's query ever sees them. */
export async function countNullTimestamps(session: EngineSession, query: Query, signal?: AbortSignal): Promise<number> {
  let count = 0;
  for (const scan of drivingScans(query)) {
    const column = scan.source.eventTimestamp;
    if (column === undefined || !findField(scan.schema, column)) continue;
    count += await session.nullCount(scan, column, signal);
  }
  return count;
}

/** The scans whose event timestamps decide which slice a row belongs to. */
export function drivingScans(query: Query): ScanStep[] {
  switch (query.kind) {
    case "scan":
      return [query];
    case "sql":
      return Object.values(query.inputs).flatMap(drivingScans);
    case "union":
      return query.inputs.flatMap(drivingScans);
    default:
      return drivingScans(query.input);
  }
}

/** Says which view failed, and keeps the code: what the queue shows as the reason of a dead job. */
export function inView(definition: ViewDefinition, version: number, error: unknown): unknown {
  if (!(error instanceof VarveError) || error.message.includes(`view "${definition.name}"`)) return error;
  return new VarveError(
    error.code,
    `Cannot materialize view "${definition.name}" version ${version}: ${messageOf(error)}`,
    {
      cause: error,
      details: { ...error.details, view: definition.name, version },
    },
  );
}
