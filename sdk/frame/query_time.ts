/** Which column of a query's result is the event timestamp or the written timestamp of its source. */
import { findField } from "../schema.ts";
import type { Query } from "./query.ts";
import { schemaOf } from "./query_schema.ts";

/** The column that still holds the source's event timestamp, if any. */
export function eventTimestampOf(query: Query): string | undefined {
  return carried(query, "eventTimestamp");
}

/** The column that still holds the source's written timestamp, if any. */
export function writtenTimestampOf(query: Query): string | undefined {
  return carried(query, "writtenTimestamp");
}

/** Whether a column of the result has, in every row, the very event timestamp of the source row that it was made of. */
export function holdsEventTimestamp(query: Query, column: string): boolean {
  switch (query.kind) {
    case "scan":
      return query.source.eventTimestamp === column && findField(query.schema, column)?.type === "timestamp";
    case "select":
    case "derive": {
      const found = query.columns.find(({ name }) => name === column);
      if (!found) return query.kind === "derive" && holdsEventTimestamp(query.input, column);
      return found.expr.kind === "column" && holdsEventTimestamp(query.input, found.expr.name);
    }
    case "rename": {
      const before = Object.entries(query.names).find(([, to]) => to === column)?.[0] ?? column;
      return holdsEventTimestamp(query.input, before);
    }
    case "filter":
    case "drop":
    case "sort":
      return holdsEventTimestamp(query.input, column);
    default:
      return false;
  }
}

function carried(query: Query, which: "eventTimestamp" | "writtenTimestamp"): string | undefined {
  switch (query.kind) {
    case "scan":
      return query.source[which];
    case "sql":
      return sameOfAll(
        Object.values(query.inputs).map((input) => carried(input, which)).filter((name) =>
          name !== undefined && findField(query.schema, name)
        ),
      );
    case "union":
      return sameOfAll(query.inputs.map((input) => carried(input, which)));
    case "select": {
      const name = carried(query.input, which);
      return query.columns.find(({ expr }) => expr.kind === "column" && expr.name === name)?.name;
    }
    case "rename": {
      const name = carried(query.input, which);
      return name !== undefined && Object.hasOwn(query.names, name) ? query.names[name] : name;
    }
    case "derive": {
      const name = carried(query.input, which);
      // A rounded event timestamp is still one; another type is not.
      return name !== undefined && ["timestamp", "date"].includes(findField(schemaOf(query), name)!.type as string)
        ? name
        : undefined;
    }
    case "drop": {
      const name = carried(query.input, which);
      return name !== undefined && query.columns.includes(name) ? undefined : name;
    }
    case "aggregate": {
      const name = carried(query.input, which);
      return name !== undefined && query.by.includes(name) ? name : undefined;
    }
    default:
      return carried(query.input, which);
  }
}

function sameOfAll(names: readonly (string | undefined)[]): string | undefined {
  return names.length > 0 && names.every((name) => name === names[0]) ? names[0] : undefined;
}
