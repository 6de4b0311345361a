/** What the aggregations of a view read of its rows, and what is stored of them. */
import { type AggregateView, type AggregationDefinition, reservedColumns } from "../define/definitions.ts";
import type { ExprNode } from "../frame/expr_node.ts";
import { typeOfExpr } from "../frame/expr_type.ts";
import { canonicalJson } from "../frame/hash.ts";
import type { NamedExpr, Query } from "../frame/query.ts";
import { schemaOf } from "../frame/query_schema.ts";
import type { Field } from "../schema.ts";

/** Names, among {@link WindowInputs.columns}, of what one aggregation reads. */
export interface AggregationInputs {
  readonly input?: string;
  readonly by?: string;
  /** A boolean: null and false leave the row out. */
  readonly where?: string;
}

/** The rows of a view as aggregators see them. */
export interface WindowInputs {
  /**
   * The view's query, cut down to: join keys, event timestamp, written timestamp if the view has one, secondary key if it has
   * one, and {@link columns}.
   */
  readonly query: Query;
  /** The different expressions that aggregations read, as columns `input_0` …: equal expressions share one. */
  readonly columns: readonly Field[];
  /** By aggregation, in their order. */
  readonly aggregations: readonly AggregationInputs[];
}

/** What the aggregations of a view read. */
export function windowInputs(view: AggregateView): WindowInputs {
  const schema = schemaOf(view.query);
  const names = new Map<string, string>();
  const exprs: NamedExpr[] = [];
  const columns: Field[] = [];
  const columnOf = (expr: ExprNode): string => {
    const text = canonicalJson(expr);
    let name = names.get(text);
    if (name === undefined) {
      name = `input_${columns.length}`;
      names.set(text, name);
      exprs.push({ name, expr });
      columns.push({ name, type: typeOfExpr(expr, schema) });
    }
    return name;
  };
  const aggregations = view.aggregations.map(({ input, by, where }: AggregationDefinition): AggregationInputs => ({
    ...(input && { input: columnOf(input) }),
    ...(by && { by: columnOf(by) }),
    ...(where && { where: columnOf(where) }),
  }));
  const kept = [
    ...view.entity.joinKeys.map(({ name }) => name),
    view.eventTimestamp,
    ...(view.writtenTimestamp === undefined ? [] : [view.writtenTimestamp]),
    ...(view.secondaryKey === undefined ? [] : [view.secondaryKey.name]),
  ].map((name): NamedExpr => ({ name, expr: { kind: "column", name } }));
  return { query: { kind: "select", input: view.query, columns: [...kept, ...exprs] }, columns, aggregations };
}

/**
 * The columns of a view's offline table. With `edge: "exact"` it holds the view's rows: join keys, event timestamp, effective
 * and written timestamp, secondary key, inputs. Else it holds tiles, one per key and tile that has rows: the event timestamp is the
 * start of the tile, the written timestamp the newest of its rows, and every aggregation has the slots of its state as
 * `<aggregation>__<slot>`.
 */
export function windowTableSchema(
  view: AggregateView,
  slots: (aggregation: AggregationDefinition) => readonly Field[],
): Field[] {
  const times = [reservedColumns.eventTimestamp, reservedColumns.effectiveTimestamp, reservedColumns.writtenTimestamp];
  const stored = view.edge === "exact"
    ? [...(view.secondaryKey ? [view.secondaryKey] : []), ...windowInputs(view).columns]
    : view.aggregations.flatMap((each) =>
      slots(each).map(({ name, type }) => ({ name: slotColumn(each.name, name), type }))
    );
  return [
    ...view.entity.joinKeys.map(({ name, type }) => ({ name, type })),
    ...times.map((name): Field => ({ name, type: "timestamp" })),
    ...stored,
  ];
}

/** The column of a tile that holds a slot of an aggregation's state. */
export function slotColumn(aggregation: string, slot: string): string {
  return `${aggregation}__${slot}`;
}
