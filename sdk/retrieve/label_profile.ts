/** The features of a training set against its label: how much each tells of it by itself. */
import { Displayed } from "../display.ts";
import { VarveError } from "../errors.ts";
import { type ColumnProfile, type ProfileRow, profileRow } from "../frame/column_profile.ts";
import { Plot, type PlotOptions, plotSpec } from "../frame/plots.ts";
import { formatCount, formatShare } from "../text.ts";

/** What a profile of a training set looks at. */
export interface LabelOptions<Feature extends string = string, Label extends string = string> {
  /** The column of the spine that is to be told. @default the only boolean or number among the spine's other columns */
  readonly label?: Label;
  /** The features. @default all */
  readonly features?: readonly Feature[];
  /** Of more rows than this a sample is looked at, and the profile says so. @default 200_000 */
  readonly maxRows?: number;
}

/** The label for some rows: those of a tenth of a feature's values, of one value, or without one. */
export interface LabelPart {
  /** The value, or the least and the greatest of the part, as text; `null` for rows without one. */
  readonly value: string;
  /** Rows that have it. */
  readonly rows: number;
  /** The mean of their label: of a boolean, the share of true. */
  readonly labelMean: number | null;
}

/** One feature against the label. */
export interface LabelFeature extends ColumnProfile {
  /**
   * How well the feature alone tells the label: the area under the ROC curve of a boolean one, from 0.5 to 1, whichever way round;
   * of a number the correlation, from 0 to 1, whatever its sign. Null where it cannot be said.
   */
  readonly strength: number | null;
  /** Whether the label grows with the feature. Undefined of texts, which are measured by the mean label of each value. */
  readonly direction: "up" | "down" | undefined;
  /** The label where the feature is low, and so on to where it is high; or value by value; nulls last. */
  readonly parts: readonly LabelPart[];
  /** Of a boolean label: the feature where it is false and where it is true. */
  readonly byLabel: readonly { readonly label: boolean; readonly mean: number | null; readonly nullShare: number }[];
}

/** Everything that a profile of a training set says, as plain data. */
export interface LabelFacts {
  /** The label, and whether it was named or found. */
  readonly label: { readonly name: string; readonly type: string; readonly isGuessed: boolean };
  /** Whether the label is taken as yes or no, or as a number. */
  readonly kind: "boolean" | "number";
  /** What strength is. */
  readonly measure: "AUC" | "correlation";
  /** Rows of the training set. */
  readonly rowCount: number;
  /** How many were looked at; those without a label do not count. */
  readonly rowsRead: number;
  /** Rows looked at that have no label. */
  readonly unlabelled: number;
  /** The mean of the label: of a boolean, the share of true. */
  readonly labelMean: number | null;
  /** The features, the strongest first. */
  readonly features: readonly LabelFeature[];
  /** What looks as if it told the future. */
  readonly warnings: readonly string[];
}

/** The features of a training set against its label, as `train.profile()` found them. */
export class LabelProfile<Feature extends string = string> extends Displayed implements LabelFacts {
  /** The label, and whether it was named or found. */
  readonly label: LabelFacts["label"];
  /** Whether the label is taken as yes or no, or as a number. */
  readonly kind: "boolean" | "number";
  /** What strength is. */
  readonly measure: "AUC" | "correlation";
  /** Rows of the training set. */
  readonly rowCount: number;
  /** How many were looked at; those without a label do not count. */
  readonly rowsRead: number;
  /** Rows looked at that have no label. */
  readonly unlabelled: number;
  /** The mean of the label: of a boolean, the share of true. */
  readonly labelMean: number | null;
  /** The features, the strongest first. */
  readonly features: readonly (LabelFeature & { readonly feature: Feature })[];
  /** What looks as if it told the future. */
  readonly warnings: readonly string[];

  /** Made by a profile. */
  constructor(facts: LabelFacts) {
    super();
    this.label = facts.label;
    this.kind = facts.kind;
    this.measure = facts.measure;
    this.rowCount = facts.rowCount;
    this.rowsRead = facts.rowsRead;
    this.unlabelled = facts.unlabelled;
    this.labelMean = facts.labelMean;
    this.features = facts.features as LabelProfile<Feature>["features"];
    this.warnings = facts.warnings;
    Object.freeze(this);
  }

  /** One feature. */
  feature(name: Feature): LabelFeature {
    const found = this.features.find(({ feature }) => feature === name);
    if (found) return found;
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot find feature "${name}" in the profile: it has ${this.features.map(({ feature }) => feature).join(", ")}`,
    );
  }

  /** One row for each feature, the strongest first, as plain data. */
  rows(): (ProfileRow & Pick<LabelFeature, "strength" | "direction">)[] {
    return this.features.map((each) => ({
      ...profileRow(each),
      strength: each.strength,
      direction: each.direction,
    }));
  }

  /** A picture of the label by the values of a feature. */
  plot(feature: Feature, options: PlotOptions = {}): Plot {
    const { parts } = this.feature(feature);
    const { name } = this.label;
    const encoding = {
      x: { field: "value", type: "nominal", sort: null, title: feature },
      y: {
        field: "labelMean",
        type: "quantitative",
        title: this.kind === "boolean" ? `share of ${name}` : `mean of ${name}`,
      },
    };
    const spec = { ...plotSpec({ title: `${name} by ${feature}`, ...options }), mark: "bar", encoding };
    return new Plot(spec, () => Promise.resolve(parts.map((part) => ({ ...part }))));
  }

  /** What was looked at, in a line. */
  summary(): string {
    const { name, isGuessed } = this.label;
    const mean = this.labelMean === null
      ? ""
      : this.kind === "boolean"
      ? `, true for ${formatShare(this.labelMean)}`
      : `, ${this.labelMean.toPrecision(4)} on average`;
    const read = this.rowsRead + this.unlabelled;
    return [
      `label ${name}${isGuessed ? " (found; give { label } for another)" : ""}${mean}`,
      read === this.rowCount
        ? `${formatCount(this.rowCount)} rows`
        : `a sample of ${formatCount(read)} of ${formatCount(this.rowCount)} rows`,
      ...(this.unlabelled > 0 ? [`${formatCount(this.unlabelled)} without a label`] : []),
    ].join(" · ");
  }

  /** What was looked at, and how strong each feature is. */
  override toString(): string {
    const lines = this.features.map(({ feature, type, strength, nullShare }) =>
      `  ${feature} ${type}, ${this.measure} ${strength === null ? "unknown" : strength.toFixed(3)}, ${
        formatShare(nullShare)
      } null`
    );
    return [`profile of a training set · ${this.summary()}`, ...lines, ...this.warnings.map((each) => `  ! ${each}`)]
      .join("\n");
  }
}
