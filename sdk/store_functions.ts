/** Tries the functions that a plan would publish: in the sandbox that will run them, before anybody relies on them. */
import type { Definition, ViewDefinition } from "./define/definitions.ts";
import { neverNullFields, realtimeFunction } from "./define/realtime_function.ts";
import { VarveError } from "./errors.ts";
import { sameRealtimeView } from "./registry/differences.ts";
import type { Plan } from "./registry/plan.ts";
import type { RegistryState } from "./registry/state.ts";
import { checkDeterministic } from "./sandbox/check_deterministic.ts";
import type { FunctionSettings } from "./sandbox/runner.ts";

/**
 * Runs each function that is new twice over made-up rows, with nulls and extremes, and compares the answers. Throws
 * `INVALID_DEFINITION` where they differ or where there is none, and `UNSUPPORTED` where there is no sandbox to try it in.
 */
export async function tryFunctions(
  plan: Plan,
  definitions: readonly Definition[],
  state: RegistryState,
  settings: FunctionSettings = {},
): Promise<void> {
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
      await checkDeterministic(fn, { ...settings, neverNull: neverNullFields(definition, find) });
    } catch (error) {
      if (!(error instanceof VarveError) || error.code !== "UNSUPPORTED") throw error;
      const message = `Cannot publish ${fn.name}: its function cannot be tried. ${error.message}`;
      throw new VarveError("UNSUPPORTED", message, { cause: error });
    }
  }
}
