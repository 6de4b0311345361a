/** What frames and definitions look like in a notebook. Import it from a composition root for its effect. */
import type { RealtimeViewDefinition } from "../define/definitions.ts";
import { computedText, fieldsText, useText } from "../define/realtime_text.ts";
import { RealtimeView } from "../define/realtime_view.ts";
import { FeatureService } from "../define/service.ts";
import { requestKeys } from "../define/selection.ts";
import { FeatureView } from "../define/view.ts";
import { ViewProfile } from "../define/view_profile.ts";
import { kernel, type MimeBundle, type Rendering, useRenderer } from "../display.ts";
import { hideStacksWhen } from "../errors.ts";
import { Frame } from "../frame/frame.ts";
import { KeyedFrame } from "../frame/keyed_frame.ts";
import { Plot } from "../frame/plots.ts";
import { aggregateText } from "../frame/aggregate_text.ts";
import { WindowedFrame } from "../frame/windowed_frame.ts";
import { windowText } from "../frame/windows.ts";
import type { Query } from "../frame/query.ts";
import { formatType } from "../schema.ts";
import { LabelProfile } from "../retrieve/label_profile.ts";
import { TrainingSet } from "../retrieve/training_set.ts";
import { dataFrameBundle, isDataFrame } from "./data_frame.ts";
import { tableBundle, textBundle } from "./html.ts";
import { plotBundle } from "./plot_bundle.ts";
import { labelProfileBundle, viewProfileBundle } from "./profile_tables.ts";
import { maxColumns, rowsTable } from "./rows_table.ts";
import { trainingBundle } from "./training_table.ts";
import { viewRendering } from "./view_table.ts";

const sampleRows = 10;

useRenderer(render);
hideStacksWhen(() => kernel() !== undefined);

/** What something looks like at once, and when its sample has been read. */
export function render(value: object): Rendering {
  if (value instanceof Frame) return { first: schemaTable(value), later: () => sample(value) };
  if (value instanceof Plot) return { first: { "text/plain": "drawing …" }, later: () => plotBundle(value) };
  if (value instanceof KeyedFrame) return render(value.frame);
  if (value instanceof WindowedFrame) return { first: windowsTable(value) };
  if (value instanceof FeatureView) return viewRendering(value);
  if (value instanceof RealtimeView) return { first: realtimeTable(value.definition) };
  if (value instanceof TrainingSet) return { first: textBundle(String(value)), later: () => trainingBundle(value) };
  // Its class is of a room that is reached through contracts only.
  if ("frame" in value && isDataFrame(value.frame)) return { first: dataFrameBundle(value.frame) };
  if (value instanceof ViewProfile) return { first: viewProfileBundle(value) };
  if (value instanceof LabelProfile) return { first: labelProfileBundle(value) };
  if (value instanceof FeatureService) return { first: serviceTable(value) };
  return { first: textBundle(String(value)) };
}

function schemaTable(frame: Frame): MimeBundle {
  return tableBundle({
    head: ["column", "type"],
    rows: frame.schema.map(({ name, type }) => [name, formatType(type)]),
    note: "reading the first rows …",
  });
}

async function sample(frame: Frame): Promise<MimeBundle> {
  // What is not shown need not be read.
  const shown = frame.schema.length > maxColumns ? frame.select(...frame.columns.slice(0, maxColumns)) : frame;
  const [rows, counted] = await Promise.all([
    shown.preview(sampleRows),
    countsCheaply(frame.query) ? frame.count() : undefined,
  ]);
  const total = counted ?? (rows.length < sampleRows ? rows.length : undefined);
  return rowsTable(frame.schema, rows, total === undefined ? {} : { total });
}

/** Whether the number of rows is known without reading them: Parquet and memory say it, and these steps keep it. */
function countsCheaply(query: Query): boolean {
  switch (query.kind) {
    case "scan":
      return query.source.kind === "memory" || query.source.format === "parquet";
    case "select":
    case "derive":
    case "rename":
    case "drop":
      return countsCheaply(query.input);
    default:
      return false;
  }
}

function serviceTable(service: FeatureService): MimeBundle {
  const given = service.views.flatMap((view) => view.kind === "realtimeView" ? view.request : []);
  const fields = [...new Map(given.map((field) => [field.name, field])).values()];
  return tableBundle({
    title: `feature service ${service.name}`,
    head: ["feature", "type", "from"],
    rows: service.definition.views.flatMap(({ view, features }) => {
      const types = new Map(
        service.views.find(({ name }) => name === view)?.features.map(({ name, type }) => [name, formatType(type)]),
      );
      return features.map(({ feature, as }) => [as, types.get(feature) ?? "", `${view}.${feature}`]);
    }),
    note: [
      ...(keysOf(service).length > 0 ? [`looked up by ${keysOf(service).join(", ")}`] : []),
      ...(fields.length > 0 ? [`requests give ${fieldsText(fields)}`] : []),
    ].join(" · "),
  });
}

function realtimeTable(view: RealtimeViewDefinition): MimeBundle {
  const { name, request, from, features } = view;
  return tableBundle({
    title: `realtime view ${name}`,
    head: ["feature", "type", "computed"],
    rows: features.map((feature) => [feature.name, formatType(feature.type), computedText(view, feature.name)]),
    note: [
      ...(request.length > 0 ? [`requests give ${fieldsText(request)}`] : []),
      ...(from.length > 0 ? [`reads ${from.map(useText).join("; ")}`] : []),
    ].join(" · "),
  });
}

/** The columns that a request gives, each once. */
function keysOf(service: FeatureService): string[] {
  const columns = service.definition.views.flatMap((use) => {
    const view = service.views.find(({ name }) => name === use.view);
    return view ? requestKeys(use, view).map(({ column }) => column) : [];
  });
  return [...new Set(columns)];
}

function windowsTable(windowed: WindowedFrame): MimeBundle {
  const { aggregations, features, edge } = windowed.spec;
  const types = windowed.featureTypes();
  const texts = new Map(aggregations.map((each) => [each.name, aggregateText(each)]));
  return tableBundle({
    title: `features of ${windowed.entity.name}`,
    head: ["feature", "type", "computed", "over"],
    rows: features.map(({ name, aggregation, window }, i) => [
      name,
      formatType(types[i]!),
      aggregation === undefined ? "keys" : texts.get(aggregation)!,
      windowText({ name, window }),
    ]),
    note: `edge ${edge} · preview({ at }) computes them for some keys`,
  });
}
