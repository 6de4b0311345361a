/** What a plan does to what reads views: services and realtime views alike. */
import type { ServiceView } from "../define/definitions.ts";
import type { Issue } from "../errors.ts";

/** A service or realtime view, as there would be once the plan is applied. */
export interface ReaderOfViews {
  /** How plans name it: `service:x`. */
  readonly path: string;
  /** What messages call it. */
  readonly what: "service" | "realtime view";
  readonly uses: readonly ServiceView[];
  readonly isRegistered: boolean;
  /** What does not fit between it and the views. */
  issues(): readonly Issue[];
}

/** Problems of a reader that the plan brings, or of a registered one that the plan would break. */
export function readerConflicts(
  { path, what, uses, isRegistered, issues }: ReaderOfViews,
  desired: ReadonlySet<string>,
  deleted: ReadonlySet<string>,
): Issue[] {
  const isMine = desired.has(path);
  const isIn = ({ view }: ServiceView, names: ReadonlySet<string>) =>
    names.has(`view:${view}`) || names.has(`realtimeView:${view}`);
  if (!isMine && !uses.some((use) => isIn(use, desired) || isIn(use, deleted))) return [];
  const gone = uses.filter((use) => isIn(use, deleted)).map((use) => `"${use.view}"`);
  if (gone.length > 0) {
    return [{
      path,
      message: `it reads view ${gone.join(", ")}, to be deleted; delete the ${what} too, or publish it without`,
    }];
  }
  const way = isMine || !isRegistered
    ? ""
    : `; this plan would break it: publish the ${what} too, or keep what it reads`;
  return issues().map((issue) => ({ path, message: `${issue.path}: ${issue.message}${way}` }));
}
