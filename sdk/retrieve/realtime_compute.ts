/** Computes the features of realtime views: the one place for requests and training sets, so that both give the same values. */
import type { RealtimeViewDefinition } from "../define/definitions.ts";
import { realtimeSchema } from "../define/realtime_checks.ts";
import { compileExpr, RowError, type RowValues } from "../engine/row.ts";
import { messageOf, VarveError } from "../errors.ts";
import { literalValue } from "../frame/expr_literal.ts";

/** Computes features of rows. Everything is in row form; columns of a row are those of `realtimeSchema`. */
export interface RealtimeComputer {
  /** One list of values per row, in the order of the view's features, defaults filled in (S7). `title` names a row in errors. */
  compute(rows: readonly RowValues[], title: (row: number) => string): unknown[][] | Promise<unknown[][]>;
}

/** Compiles what a realtime view computes, once. */
export function realtimeComputer(definition: RealtimeViewDefinition): RealtimeComputer {
  const { compute, features, name } = definition;
  const schema = realtimeSchema(definition);
  const columns = features.map((feature) => ({
    feature: feature.name,
    evaluate: compileExpr(compute.expressions[feature.name]!, schema),
    otherwise: feature.default === undefined
      ? null
      : literalValue({ kind: "literal", type: feature.type, value: feature.default }),
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
