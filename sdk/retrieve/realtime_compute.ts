/** Computes the features of realtime views: the one place for requests and training sets, so that both give the same values. */
import type { RealtimeExpressions, RealtimeViewDefinition } from "../define/definitions.ts";
import { realtimeSchema, requestTimeField } from "../define/realtime_checks.ts";
import { realtimeFunction } from "../define/realtime_function.ts";
import { compileExpr, RowError, type RowValues } from "../engine/row.ts";
import { rowValue, userValue } from "../engine/value_form.ts";
import { messageOf, VarveError } from "../errors.ts";
import { literalValue } from "../frame/expr_literal.ts";
import { requestTimeColumn } from "../frame/expr_node.ts";
import type { PublishedFunction } from "../sandbox/published_function.ts";
import type { FunctionRuns } from "../sandbox/runner_options.ts";
import type { Row } from "../schema.ts";

/** Computes features of rows. Everything is in row form; columns of a row are those of `realtimeSchema`. */
export interface RealtimeComputer {
  /** One list of values per row, in the order of the view's features, defaults filled in (S7). `title` names a row in errors. */
  compute(
    rows: readonly RowValues[],
    title: (row: number) => string,
    signal?: AbortSignal,
  ): unknown[][] | Promise<unknown[][]>;
}

/** Compiles what a realtime view computes, once. Functions are run by `functions`. */
export function realtimeComputer(definition: RealtimeViewDefinition, functions: FunctionRuns): RealtimeComputer {
  const fn = realtimeFunction(definition);
  if (fn) return functionComputer(definition, fn, functions);
  return expressionsComputer(definition, (definition.compute as RealtimeExpressions).expressions);
}

function expressionsComputer(
  definition: RealtimeViewDefinition,
  expressions: RealtimeExpressions["expressions"],
): RealtimeComputer {
  const { features, name } = definition;
  const schema = realtimeSchema(definition);
  const defaults = defaultsOf(definition);
  const columns = features.map((feature, i) => ({
    feature: feature.name,
    evaluate: compileExpr(expressions[feature.name]!, schema),
    otherwise: defaults[i],
  }));
  return {
    compute: (rows, title) =>
      rows.map((row, r) =>
        columns.map(({ feature, evaluate, otherwise }) => {
          try {
            return evaluate(row) ?? otherwise;
          } catch (error) {
            if (!(error instanceof RowError)) throw error;
            throw new VarveError(
              "INVALID_REQUEST",
              `Cannot compute feature "${feature}" of realtime view "${name}" for ${title(r)}: ${messageOf(error)}`,
              { cause: error, details: { view: name, feature } },
            );
          }
        })
      ),
  };
}

/** A function takes and gives values as users see them. */
function functionComputer(
  definition: RealtimeViewDefinition,
  fn: PublishedFunction,
  functions: FunctionRuns,
): RealtimeComputer {
  const { name: view } = definition;
  const inputs = fn.input.map(({ name, type }) => ({
    name,
    type,
    column: name === requestTimeField ? requestTimeColumn : name,
  }));
  const defaults = defaultsOf(definition);
  return {
    compute: async (rows, title, signal) => {
      const given = rows.map((row) => {
        const values: Row = {};
        for (const { name, type, column } of inputs) values[name] = userValue(row[column], type);
        return values;
      });
      let answers: Row[];
      try {
        answers = await functions.run(fn, given, { signal });
      } catch (error) {
        throw rowFailure(error, view, title);
      }
      return answers.map((answer) => fn.output.map(({ name, type }, i) => rowValue(answer[name], type) ?? defaults[i]));
    },
  };
}

/** Tells of the row in the words of whoever asked. */
function rowFailure(error: unknown, view: string, title: (row: number) => string): unknown {
  if (!(error instanceof VarveError) || error.code !== "FUNCTION_FAILED") return error;
  const { row, problem, field } = error.details;
  if (typeof row !== "number" || typeof problem !== "string") return error;
  return new VarveError(
    "FUNCTION_FAILED",
    `Cannot compute realtime view "${view}" for ${title(row)}: ${problem}`,
    { cause: error, details: { view, row, ...(field !== undefined && { field }) } },
  );
}

/** What replaces null in each feature, in row form. */
function defaultsOf({ features }: RealtimeViewDefinition): unknown[] {
  return features.map(({ type, default: value }) =>
    value === undefined ? null : literalValue({ kind: "literal", type, value })
  );
}
