/** Tries the functions that a plan would publish: in the sandbox that will run them, before anybody relies on them. */
import type { Definition, ViewDefinition } from "./define/definitions.ts";
import { neverNullFields, realtimeFunction } from "./define/realtime_function.ts";
import { type Issue, VarveError } from "./errors.ts";
import { sameRealtimeView } from "./registry/differences.ts";
import type { Plan } from "./registry/plan.ts";
import { checkDeterministic } from "./sandbox/check_deterministic.ts";
import type { StoreParts } from "./store_parts.ts";
import { trialRows } from "./store_trial_rows.ts";

/**
 * Runs each function that is new twice over made-up rows, with nulls and extremes, and over some that are stored, and compares the
 * answers. Throws `INVALID_DEFINITION` where they differ or where there is none, and `UNSUPPORTED` where there is no sandbox to try it
 * in. Gives the plan, with a warning about each function that has no answer to some of what is stored.
 */
export async function tryFunctions(
  parts: StoreParts,
  plan: Plan,
  definitions: readonly Definition[],
): Promise<Plan> {
  const state = parts.registry.cached;
  const warnings: Issue[] = [];
  const find = (name: string) =>
    definitions.find((each): each is ViewDefinition => each.kind === "view" && each.name === name) ??
      state.views[name]?.versions.at(-1)?.definition;
  for (const action of plan.actions) {
    if (action.kind !== "putRealtimeView") continue;
    const { definition } = action.version;
    const fn = realtimeFunction(definition);
    const earlier = state.realtimeViews[definition.name]?.versions ?? [];
    if (!fn || earlier.some((version) => sameRealtimeView(version.definition, definition))) continue;
    try {
      const stored = await trialRows(parts, definition, find);
      const neverNull = neverNullFields(definition, find);
      const unanswered = await checkDeterministic(fn, { ...parts.options.functions, neverNull, stored });
      if (unanswered) {
        const { rows, problem } = unanswered;
        const message = `its function has no answer to ${rows} of ${stored.length} rows of stored features: ${problem}`;
        warnings.push({ path: `${definition.kind}:${definition.name}`, message });
      }
    } catch (error) {
      if (!(error instanceof VarveError) || error.code !== "UNSUPPORTED") throw error;
      const message = `Cannot publish ${fn.name}: its function cannot be tried. ${error.message}`;
      throw new VarveError("UNSUPPORTED", message, { cause: error });
    }
  }
  return warnings.length === 0 ? plan : plan.warned(warnings);
}
