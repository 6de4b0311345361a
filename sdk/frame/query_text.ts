/** A query as readable text: one line a step, in the order of the chain. */
import { formatType } from "../schema.ts";
import { aggregateText } from "./aggregate_text.ts";
import { exprText } from "./expr_text.ts";
import type { JoinKey, NamedExpr, Query, ScanStep, SortKey } from "./query.ts";

/** Readable text of a query; inputs of joins and unions are indented. */
export function queryText(query: Query): string {
  switch (query.kind) {
    case "scan":
      return scanText(query);
    case "sql": {
      const inputs = Object.entries(query.inputs).map(([name, input]) => `  ${name}:\n${indent(queryText(input), 4)}`);
      return [`sql(${JSON.stringify(query.sql.trim())})`, ...inputs].join("\n");
    }
    case "union":
      return ["union", ...query.inputs.map((input) => indent(`- ${indent(queryText(input), 2).trimStart()}`, 2))].join(
        "\n",
      );
    default:
      return `${queryText(query.input)}\n${indent(stepText(query), 2)}`;
  }
}

function indent(text: string, width: number): string {
  return text.split("\n").map((line) => " ".repeat(width) + line).join("\n");
}

function scanText(step: ScanStep): string {
  const { source } = step;
  const what = source.kind === "file"
    ? `${source.format}(${source.paths.join(", ")})`
    : `memory(${source.rowCount} rows, ${source.id.slice(0, 12)})`;
  const times = [
    ...(source.eventTimestamp === undefined ? [] : [`event timestamp ${source.eventTimestamp}`]),
    ...(source.writtenTimestamp === undefined ? [] : [`written timestamp ${source.writtenTimestamp}`]),
  ];
  return `${[what, ...times].join(", ")}: ${
    step.schema.map((field) => `${field.name} ${formatType(field.type)}`).join(", ")
  }`;
}

type ChainStep = Exclude<Query, { kind: "scan" | "sql" | "union" }>;

function stepText(step: ChainStep): string {
  switch (step.kind) {
    case "filter":
      return `filter ${exprText(step.where)}`;
    case "select":
    case "derive":
      return `${step.kind} ${step.columns.map(namedText).join(", ")}`;
    case "rename":
      return `rename ${Object.entries(step.names).map(([from, to]) => `${from} to ${to}`).join(", ")}`;
    case "drop":
      return `drop ${step.columns.join(", ")}`;
    case "join":
      return `${step.how} join on ${keysText(step.on)}\n${indent(queryText(step.right), 2)}`;
    case "asOfJoin": {
      const tolerance = step.tolerance === undefined ? "" : ` within ${step.tolerance}`;
      return `as-of join on ${keysText([...step.on, step.time])}${tolerance}\n${indent(queryText(step.right), 2)}`;
    }
    case "aggregate": {
      const by = step.by.length > 0 ? `group by ${step.by.join(", ")}: ` : "aggregate ";
      return by + step.aggregates.map((each) => `${each.name} = ${aggregateText(each)}`).join(", ");
    }
    case "distinct":
      return step.columns.length > 0 ? `distinct by ${step.columns.join(", ")}` : "distinct";
    case "sort":
      return `sort by ${step.by.map(sortText).join(", ")}`;
    case "limit":
      return `limit ${step.count}${step.offset > 0 ? ` after ${step.offset}` : ""}`;
    case "unnest":
      return `unnest ${step.column}${step.keepEmpty ? ", keep empty" : ""}`;
    case "sample":
      return `sample ${
        step.rows === undefined ? `${step.fraction} of the rows` : `${step.rows} rows`
      }, seed ${step.seed}`;
  }
}

function namedText({ name, expr }: NamedExpr): string {
  return expr.kind === "column" && expr.name === name ? name : `${name} = ${exprText(expr)}`;
}

function keysText(keys: readonly JoinKey[]): string {
  return keys.map((key) => key.left === key.right ? key.left : `${key.left} = ${key.right}`).join(", ");
}

function sortText(key: SortKey): string {
  return `${exprText(key.expr)}${key.descending ? " descending" : ""}${key.nulls === "first" ? " nulls first" : ""}`;
}
