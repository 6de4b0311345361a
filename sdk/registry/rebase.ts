/** Whether a change that lost a race may follow the changes that won it. */
import { messageOf, VarveError } from "../errors.ts";
import { checkActions } from "./check_actions.ts";
import type { Action, Change, RegistryState } from "./state.ts";
import { describeChange, overlap, touchedNames } from "./touched.ts";

/**
 * Throws unless the actions fit the state; after changes of others, CONFLICT tells what they did. `judged`: the actions were made
 * for this very state, so that only fitting counts.
 */
export function checkRebase(
  workspace: string,
  actions: readonly Action[],
  state: RegistryState,
  others: readonly Change[],
  judged: boolean,
): void {
  const inTheWay = judged ? [] : others.filter((other) => overlap(actions, other.actions));
  if (inTheWay.length > 0) throw conflict(workspace, inTheWay);
  try {
    checkActions(state, actions);
  } catch (error) {
    throw others.length === 0 ? error : conflict(workspace, others, error);
  }
}

function conflict(workspace: string, others: readonly Change[], cause?: unknown): VarveError {
  const why = cause === undefined ? "" : ` (${messageOf(cause)})`;
  return new VarveError(
    "CONFLICT",
    `Cannot commit to the registry of workspace "${workspace}": others came first${why}; plan again\n  - ${
      others.map(describeChange).join("\n  - ")
    }`,
    {
      cause,
      details: {
        changes: others.map((other) => ({
          revision: other.revision,
          author: other.author,
          at: other.at,
          reason: other.reason,
          touched: touchedNames(other),
        })),
      },
    },
  );
}
