/** What is kept where requests find it, of a view of aggregates: which columns of its table, and how they are read again. */
import { type AggregateView, reservedColumns } from "../define/definitions.ts";
import { canonicalJson, hashOf } from "../frame/hash.ts";
import type { Field } from "../schema.ts";
import { durationToMicros } from "../time.ts";
import type { Aggregator } from "./aggregator.ts";
import { type WindowEdges, windowEdges } from "./edges.ts";
import { windowInputs, windowTableSchema } from "./inputs.ts";
import { viewAggregators } from "./view_aggregators.ts";

/** What one aggregation reads of the kept columns. */
export interface OnlineAggregation {
  readonly name: string;
  readonly aggregator: Aggregator;
  /** Of tiles: the column of its first slot. */
  readonly firstSlot: number;
  /** Of rows: the columns of its value, what orders it, and its condition; -1 where it has none. */
  readonly input: number;
  readonly by: number;
  readonly where: number;
}

/** What is kept of a view. */
export interface OnlinePlan {
  readonly edges: WindowEdges;
  /** Whether rows are kept, or states of tiles. */
  readonly keepsRows: boolean;
  /** The columns of the view's table that are kept, beside join keys and the event timestamp, in order. */
  readonly columns: readonly Field[];
  readonly aggregations: readonly OnlineAggregation[];
  /** Of rows: the column of the secondary key; -1 where there is none. */
  readonly secondaryKey: number;
  /** Whether some window has no beginning. */
  readonly hasLifetime: boolean;
  /** Whether tiles are kept and all windows end together: then a window is everything from its beginning on. */
  readonly endsTogether: boolean;
  /** Another number where windows lie elsewhere: 32 bits of a hash. */
  readonly windowsHash: number;
}

/** What is kept of a view; throws INVALID_DEFINITION when this process cannot compute its aggregations. */
export function onlinePlan(view: AggregateView): OnlinePlan {
  const keepsRows = view.edge === "exact";
  const viewInputs = windowInputs(view);
  const aggregators = viewAggregators(view, viewInputs);
  const slotsOf = new Map(view.aggregations.map(({ name }, i) => [name, aggregators[i]!.slots]));
  // What comes before are the join keys and the three times of every table.
  const first = view.entity.joinKeys.length + Object.keys(reservedColumns).length;
  const columns = windowTableSchema(view, ({ name }) => slotsOf.get(name)!).slice(first);
  const placeOf = (name: string | undefined) => columns.findIndex((column) => column.name === name);
  const inputs = keepsRows ? viewInputs.aggregations : [];
  let slot = 0;
  const aggregations = view.aggregations.map(({ name }, i): OnlineAggregation => {
    const aggregator = aggregators[i]!;
    const { input, by, where } = inputs[i] ?? {};
    const firstSlot = slot;
    slot += aggregator.slots.length;
    return { name, aggregator, firstSlot, input: placeOf(input), by: placeOf(by), where: placeOf(where) };
  });
  return {
    edges: windowEdges(view),
    keepsRows,
    columns,
    aggregations,
    secondaryKey: keepsRows ? placeOf(view.secondaryKey?.name) : -1,
    hasLifetime: view.features.some(({ window }) => window.kind === "lifetime"),
    endsTogether: !keepsRows && view.features.every(({ window }) => window.kind !== "series" && isZero(window.offset)),
    windowsHash: windowsHash(view),
  };
}

function isZero(duration: string): boolean {
  return durationToMicros(duration, "offset", { allowZero: true }) === 0n;
}

function windowsHash({ every, edge, boundary, schedule, dataDelay, features }: AggregateView): number {
  const windows = [...new Set(features.map(({ window }) => canonicalJson(window)))].sort();
  const text = JSON.stringify([every, edge, boundary, schedule, dataDelay, windows]);
  return parseInt(hashOf(text).slice(0, 8), 16);
}
