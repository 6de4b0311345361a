/** Operations in JavaScript; expr_sql_call.ts has the same as SQL. */
import type { TypedCall } from "../frame/expr_type.ts";
import type { Operation } from "../frame/operations.ts";
import { listBuilders } from "./row_list.ts";
import { logicBuilders } from "./row_logic.ts";
import { numberBuilders } from "./row_number.ts";
import { stringBuilders } from "./row_string.ts";
import { timeBuilders } from "./row_time.ts";
import type { Builder } from "./row_builder.ts";
import type { Evaluate } from "./row_value.ts";

const builders: Readonly<Record<Operation, Builder>> = {
  ...numberBuilders,
  ...logicBuilders,
  ...stringBuilders,
  ...timeBuilders,
  ...listBuilders,
};

/** Compiles a call, given its compiled arguments. */
export function compileCall(call: TypedCall, args: readonly Evaluate[]): Evaluate {
  return builders[call.operation](args, call);
}
