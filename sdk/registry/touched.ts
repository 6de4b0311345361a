/** What an action touches, in words and as names, and whether two changes get in each other's way. */
import type { Action, Change } from "./state.ts";

/** The name of what an action writes: `view:x`, `realtimeView:x`, `entity:x` or `service:x`. */
export function touchedName(action: Action): string {
  switch (action.kind) {
    case "putEntity":
      return `entity:${action.entity.name}`;
    case "deleteEntity":
      return `entity:${action.name}`;
    case "addVersion":
      return `view:${action.version.definition.name}`;
    case "updateVersion":
    case "serve":
    case "deleteVersion":
      return `view:${action.view}`;
    case "deleteView":
      return `view:${action.name}`;
    case "putRealtimeView":
      return `realtimeView:${action.version.definition.name}`;
    case "deleteRealtimeView":
      return `realtimeView:${action.name}`;
    case "putService":
      return `service:${action.service.name}`;
    case "deleteService":
      return `service:${action.name}`;
  }
}

/** Every name that a change writes, once each. */
export function touchedNames(change: Pick<Change, "actions">): string[] {
  return [...new Set(change.actions.map(touchedName))];
}

/** An action as people say it: `adds version 2 of view "x"`. */
export function describeAction(action: Action): string {
  switch (action.kind) {
    case "putEntity":
      return `sets entity "${action.entity.name}"`;
    case "deleteEntity":
      return `deletes entity "${action.name}"`;
    case "addVersion":
      return `adds version ${action.version.version} of view "${action.version.definition.name}"`;
    case "updateVersion":
      return `updates version ${action.version} of view "${action.view}"`;
    case "serve":
      return `serves version ${action.version} of view "${action.view}"`;
    case "deleteVersion":
      return `deletes version ${action.version} of view "${action.view}"`;
    case "deleteView":
      return `deletes view "${action.name}"`;
    case "putRealtimeView":
      return `sets version ${action.version.version} of realtime view "${action.version.definition.name}"`;
    case "deleteRealtimeView":
      return `deletes realtime view "${action.name}"`;
    case "putService":
      return `sets service "${action.service.name}"`;
    case "deleteService":
      return `deletes service "${action.name}"`;
  }
}

/** A change on one line: who did what, when and why. */
export function describeChange(change: Change): string {
  const actions = change.actions.slice(0, 5).map(describeAction);
  if (change.actions.length > 5) actions.push(`${change.actions.length - 5} more`);
  const reason = change.reason === "" ? "" : `, "${change.reason}"`;
  return `revision ${change.revision} by ${change.author} at ${change.at}${reason}: ${actions.join(", ")}`;
}

/**
 * Whether `mine`, made without knowing `theirs`, may not simply follow it: both write the same thing. A moved pointer does not
 * disturb a new version or an update, nor they the pointer; two people who want the same thing do not disturb each other.
 * What needs more than names to be judged (a service whose view is gone) is for the check of the state.
 */
export function overlap(mine: readonly Action[], theirs: readonly Action[]): boolean {
  return mine.some((a) =>
    theirs.some((b) =>
      touchedName(a) === touchedName(b) && (a.kind === "serve") === (b.kind === "serve") &&
      JSON.stringify(a) !== JSON.stringify(b)
    )
  );
}
