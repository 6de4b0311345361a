/** What services and realtime views share: they read features of views, under unique names. Every check gives issues. */
import type { Issue } from "../errors.ts";
import { type DataType, type Field, formatType, sameType } from "../schema.ts";
import { columnIssues, nameIssues } from "./checks.ts";
import type { AnyView, ServiceView } from "./definitions.ts";
import { joinKeysOf, requestKeys } from "./selection.ts";

/** Problems of uses that can be seen without their views: aliases and names that are there twice. */
export function usesIssues(uses: readonly ServiceView[], where: string): Issue[] {
  const issues: Issue[] = [];
  const aliases = new Map<string, ServiceView>();
  const outputs = new Map<string, ServiceView>();
  for (const use of uses) {
    const path = `${where}.${use.alias}`;
    issues.push(...nameIssues(use.alias, path));
    const twin = aliases.get(use.alias.toLowerCase());
    if (twin) {
      const again = twin.view === use.view
        ? `it reads view "${use.view}" twice`
        : `two views are called "${use.alias}"`;
      issues.push({ path, message: `${again}; name each use: .as("…")` });
    }
    aliases.set(use.alias.toLowerCase(), use);
    if (use.features.length === 0) issues.push({ path, message: "no feature is selected" });
    for (const { as } of use.features) {
      issues.push(...columnIssues(as, `${path}.${as}`));
      const other = outputs.get(as.toLowerCase());
      if (other) {
        const place = other === use
          ? `twice in view "${use.view}"`
          : `in view "${other.view}" and in view "${use.view}"`;
        issues.push({
          path: `features.${as}`,
          message: `the name is there ${place}; use .rename({ ${as}: "…" }) or .prefix("${use.alias}_")`,
        });
      }
      outputs.set(as.toLowerCase(), use);
    }
  }
  return issues;
}

/** Problems of uses with their views: no such view, feature or key, keys of two types. */
export function usesViewIssues(
  uses: readonly ServiceView[],
  views: ReadonlyMap<string, AnyView>,
  where: string,
): Issue[] {
  const issues: Issue[] = [];
  for (const use of uses) {
    const path = `${where}.${use.alias}`;
    const view = views.get(use.view);
    if (!view) {
      const known = [...views.keys()].join(", ") || "none";
      issues.push({ path, message: `there is no view "${use.view}"; views are ${known}` });
      continue;
    }
    const known = view.features.map((feature) => feature.name);
    for (const { feature } of use.features) {
      if (known.includes(feature)) continue;
      issues.push({
        path,
        message: `view "${use.view}" has no feature "${feature}"; features are ${known.join(", ")}`,
      });
    }
    const keys = joinKeysOf(view);
    for (const key of Object.keys(use.joinKeyMap)) {
      if (keys.some((field) => field.name === key)) continue;
      const owner = view.kind === "view" ? `entity "${view.entity.name}"` : `realtime view "${view.name}"`;
      issues.push({ path, message: `${owner} has no join key "${key}"` });
    }
  }
  return [...issues, ...keyTypeIssues(uses, views)];
}

function keyTypeIssues(uses: readonly ServiceView[], views: ReadonlyMap<string, AnyView>): Issue[] {
  const issues: Issue[] = [];
  const known = new Map<string, { readonly type: DataType; readonly view: string }>();
  for (const { column, type, view } of keyColumnsOf(uses, views)) {
    const other = known.get(column);
    if (other && !sameType(other.type, type)) {
      issues.push({
        path: `request.${column}`,
        message: `view "${other.view}" wants ${formatType(other.type)}, view "${view}" wants ${
          formatType(type)
        }; use .mapKeys to give one of them another name`,
      });
    }
    known.set(column, { type, view });
  }
  return issues;
}

/** What a request gives must not be named as a feature, and its fields not as a join key; of one name there is one type. */
export function requestIssues(uses: readonly ServiceView[], views: ReadonlyMap<string, AnyView>): Issue[] {
  const issues: Issue[] = [];
  const keys = new Map(keyColumnsOf(uses, views).map(({ column }) => [column.toLowerCase(), column]));
  const fields = new Map<string, Field & { readonly view: string }>();
  for (const use of uses) {
    for (const field of requestFieldsOf(views.get(use.view))) {
      const path = `request.${field.name}`;
      const other = fields.get(field.name.toLowerCase());
      if (keys.has(field.name.toLowerCase())) {
        issues.push({
          path,
          message:
            `realtime view "${use.view}" has a request field of that name, which is also a join key; rename the field, or give the key another name by .mapKeys`,
        });
      } else if (other && (other.name !== field.name || !sameType(other.type, field.type))) {
        issues.push({
          path,
          message: `realtime view "${other.view}" wants ${other.name} ${
            formatType(other.type)
          }, realtime view "${use.view}" wants ${field.name} ${
            formatType(field.type)
          }; give them one type, or one of them another name`,
        });
      }
      fields.set(field.name.toLowerCase(), { ...field, view: use.view });
    }
  }
  for (const use of uses) {
    for (const { as } of use.features) {
      const what = keys.has(as.toLowerCase())
        ? "a join key of the request"
        : fields.has(as.toLowerCase())
        ? "a field of the request"
        : undefined;
      if (what === undefined) continue;
      issues.push({
        path: `features.${as}`,
        message: `"${as}" of view "${use.view}" is also ${what}; rename the feature`,
      });
    }
  }
  return issues;
}

/** Selections of one view must be of one definition of it. */
export function differingViews(views: readonly AnyView[]): Issue[] {
  const seen = new Map<string, string>();
  const issues: Issue[] = [];
  for (const view of views) {
    const json = JSON.stringify(view);
    if ((seen.get(view.name) ?? json) !== json) {
      issues.push({
        path: `views.${view.name}`,
        message: "two definitions of this view are mixed; make both selections from the same one",
      });
    }
    seen.set(view.name, json);
  }
  return issues;
}

/** The columns that uses look their keys up by, in order of first use, once for each use. */
export function keyColumnsOf(
  uses: readonly ServiceView[],
  views: ReadonlyMap<string, AnyView>,
): { readonly column: string; readonly type: DataType; readonly view: string }[] {
  return uses.flatMap((use) => {
    const view = views.get(use.view);
    if (!view) return [];
    const keys = joinKeysOf(view);
    return requestKeys(use, view).map(({ column }, i) => ({ column, type: keys[i]!.type, view: use.view }));
  });
}

/** What a request gives to a view beside join keys. */
export function requestFieldsOf(view: AnyView | undefined): readonly Field[] {
  return view?.kind === "realtimeView" ? view.request : [];
}

/** The columns that uses of views give, in order. What is not there is told elsewhere. */
export function inputsOf(from: readonly ServiceView[], views: ReadonlyMap<string, AnyView>): readonly Field[] {
  return Object.freeze(from.flatMap((use) =>
    use.features.flatMap(({ feature, as }) => {
      const found = views.get(use.view)?.features.find((each) => each.name === feature);
      return found ? [Object.freeze({ name: as, type: found.type })] : [];
    })
  ));
}

/** What uses of views are looked up by, each once. */
export function keysOf(from: readonly ServiceView[], views: ReadonlyMap<string, AnyView>): readonly Field[] {
  const keys = new Map<string, Field>();
  for (const { column, type } of keyColumnsOf(from, views)) {
    if (!keys.has(column)) keys.set(column, Object.freeze({ name: column, type }));
  }
  return Object.freeze([...keys.values()]);
}
