/** A training set in a notebook: what was read, how much of it is null, what to beware of, and its first rows. */
import type { MimeBundle } from "../display.ts";
import type { TrainingSet } from "../retrieve/training_set.ts";
import { formatCount } from "../text.ts";
import { stacked, tableBundle, textBundle } from "./html.ts";
import { nullCell } from "./profile_tables.ts";
import { rowsTable } from "./rows_table.ts";

const shownRows = 5;

/** A training set in both forms; runs the join. */
export async function trainingBundle(train: TrainingSet): Promise<MimeBundle> {
  const rows = await train.head(shownRows);
  const nulls = await train.nullShares();
  const { asOf, from, views } = train.record;
  const facts = [
    `${formatCount(train.rowCount)} rows`,
    asOf === "effective" ? "as it could have been served" : 'as it had happened (asOf: "event")',
    ...from === "source" ? ["computed from the source"] : views.map((view) => {
      const { alias, version } = view;
      return "inputs" in view
        ? `${alias} version ${version}, computed`
        : `${alias} version ${version}, table version ${view.tableVersion}`;
    }),
  ];
  const shares = Object.entries(nulls).map(([feature, share]) => [feature, nullCell(share)]);
  const leaks = asOf === "event"
    ? ["A join by event time may see what was not known yet: store.leaks(…) tells for which rows"]
    : [];
  const notes = [...train.warnings, ...leaks].map((warning) => textBundle(`! ${warning}`));
  return stacked(
    rowsTable(train.schema, rows, { title: "training set", total: train.rowCount }),
    tableBundle({
      head: ["feature", "null"],
      rows: shares,
      align: ["left", "right"],
      note: facts.join(" · "),
    }),
    ...notes,
  );
}
