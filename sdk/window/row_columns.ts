/** What aggregators read of rows in the engine: one column for every different input and condition together. */
import type { AggregateView } from "../define/definitions.ts";
import { quoteName } from "../engine/engine.ts";
import { isUserFunction, type WindowFunctionName } from "../frame/window_functions.ts";
import type { Field } from "../schema.ts";
import type { WindowInputs } from "./inputs.ts";
import type { RowLeaves } from "./leaves.ts";

/** A column, and the SQL over the columns of {@link WindowInputs.query} that gives it. */
export interface RowColumn extends Field {
  readonly sql: string;
}

/** The columns, and for each of the aggregations that were asked for where its own are. */
export interface RowColumns {
  readonly columns: readonly RowColumn[];
  readonly leaves: readonly RowLeaves[];
}

/** The columns that aggregations, by their places in the view, read. Rows that do not count for one are null in its value. */
export function rowColumns(view: AggregateView, inputs: WindowInputs, aggregations: readonly number[]): RowColumns {
  const columns: RowColumn[] = [];
  const place = (sql: string, type: Field["type"]): number => {
    const found = columns.findIndex((column) => column.sql === sql);
    return found >= 0 ? found : columns.push({ name: `value_${columns.length}`, type, sql }) - 1;
  };
  const typeOf = (name: string) => inputs.columns.find((column) => column.name === name)!.type;
  const leaves = aggregations.map((aggregation): RowLeaves => {
    const { input, by, where } = inputs.aggregations[aggregation]!;
    const counted = input === undefined ? "1" : quoteName(input);
    const sql = where === undefined ? counted : `CASE WHEN ${quoteName(where)} THEN ${counted} END`;
    return {
      kind: "rows",
      ...(input !== undefined || where !== undefined
        ? { value: place(sql, input === undefined ? "int32" : typeOf(input)) }
        : {}),
      ...(by !== undefined && { by: place(quoteName(by), typeOf(by)) }),
      ...(view.secondaryKey && { key: place(quoteName(view.secondaryKey.name), view.secondaryKey.type) }),
    };
  });
  return { columns, leaves };
}

const orderedFunctions: ReadonlySet<string> = new Set<WindowFunctionName>([
  "first",
  "last",
  "firstN",
  "lastN",
  "firstDistinct",
  "lastDistinct",
]);

/** Whether the order of rows with one and the same event time shows in the result; of users' own functions nobody knows. */
export function showsOrder(name: string): boolean {
  return orderedFunctions.has(name) || isUserFunction(name);
}

/** What orders rows of equal key and event time where the source's order is lost, after the time at which they were written. */
export function valueOrder(view: AggregateView, inputs: WindowInputs): string[] {
  return [...(view.secondaryKey ? [view.secondaryKey] : []), ...inputs.columns].map(({ name }) =>
    `${quoteName(name)} NULLS FIRST`
  );
}
