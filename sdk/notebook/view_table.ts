/** A feature view in a notebook: its features, and what is known of each. */
import { knownGlance, type ViewFacts, viewFacts } from "../define/view_facts.ts";
import type { FeatureView } from "../define/view.ts";
import { tilesText } from "../define/view_text.ts";
import type { MimeBundle, Rendering } from "../display.ts";
import { aggregateText } from "../frame/aggregate_text.ts";
import { windowText } from "../frame/windows.ts";
import { formatType } from "../schema.ts";
import { cellText } from "./cell_text.ts";
import { type Cell, stacked, tableBundle, textBundle } from "./html.ts";
import { holdsCells } from "./profile_tables.ts";

/** The definition and what was seen of it before; then how it stands in the store, and what it holds now. */
export function viewRendering(view: FeatureView): Rendering {
  const glance = knownGlance(view.definition);
  const known = glance ? { lines: [], glance } : { lines: ["reading a sample …"] };
  return {
    first: viewTable(view, known),
    async later() {
      // A store that does not answer is no reason not to show the view.
      const found = await viewFacts(view.definition).catch(() => undefined);
      return viewTable(view, { ...(glance && { glance }), lines: [], ...found });
    },
  };
}

function viewTable({ definition, name }: FeatureView, { lines, glance }: ViewFacts): MimeBundle {
  const { entity, features, schedule, dataDelay, start, ttl, online, description } = definition;
  const keys = entity.joinKeys.map(({ name, type }) => `${name} ${formatType(type)}`).join(", ");
  const settings = [
    `of ${entity.name} (${keys})`,
    `every ${schedule}${dataDelay === "0s" ? "" : `, data ${dataDelay} later`} since ${
      start.replace(/T00:00:00Z$/, "")
    }`,
    ...(definition.mode === "aggregates" ? [tilesText(definition)] : []),
    ...(ttl === "forever" ? [] : [`ttl ${ttl}`]),
    online ? "online" : "not online",
  ];
  // A column in which nothing would stand is left out.
  const hasDefault = features.some((each) => each.default !== undefined);
  const isDescribed = features.some((each) => each.description !== undefined);
  const computed = new Map<string | undefined, string>(
    definition.mode === "aggregates" ? definition.aggregations.map((each) => [each.name, aggregateText(each)]) : [],
  );
  const held = glance && new Map(glance.features.map((each) => [each.feature, each]));
  const head = [
    "feature",
    "type",
    ...(definition.mode === "aggregates" ? ["computed"] : []),
    ...(hasDefault ? ["default"] : []),
    ...(held ? ["null", "values", "over time"] : []),
    ...(isDescribed ? ["description"] : []),
  ];
  const table = tableBundle({
    title: `feature view ${name}`,
    head,
    align: head.map((each) => each === "null" ? "right" : "left"),
    rows: features.map((each): Cell[] => [
      each.name,
      formatType(each.type),
      ...("window" in each ? [`${computed.get(each.aggregation) ?? "keys"} over ${windowText(each)}`] : []),
      ...(hasDefault ? [each.default === undefined ? "" : cellText(each.default)] : []),
      ...(held ? holdsCells(held.get(each.name)) : []),
      ...(isDescribed ? [each.description ?? ""] : []),
    ]),
    first: definition.mode === "aggregates" ? [2, 1] : [1],
    note: [settings.join(" · "), ...lines, ...(glance ? [`values: ${glance.looked}`] : [])].join("\n"),
  });
  return description === undefined ? table : stacked(textBundle(description), table);
}
