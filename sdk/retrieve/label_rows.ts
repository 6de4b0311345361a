/** Looks at the rows of a training set: finds the label, takes a sample where there are many, and measures its features. */
import { type EngineSession, quoteName } from "../engine/engine.ts";
import { checkOptions, type OptionNames, VarveError } from "../errors.ts";
import { type Field, formatType, isNumericType, type Schema } from "../schema.ts";
import { columnProfiles, inGroups, numberSql, type ProfiledColumn, sampleTable } from "./column_stats.ts";
import { areas, correlations, label, type LabelContext, means, partsOf } from "./label_measures.ts";
import {
  type LabelFacts,
  type LabelFeature,
  type LabelOptions,
  type LabelPart,
  LabelProfile,
} from "./label_profile.ts";

/** What is looked at. */
export interface LabelledRows {
  /** The training set, as SQL. */
  readonly sql: string;
  readonly schema: Schema;
  readonly rowCount: number;
  /** Names of the features. */
  readonly features: readonly string[];
  /** Columns of the spine that are neither keys nor its time. */
  readonly extras: readonly Field[];
  readonly signal?: AbortSignal | undefined;
}

const suspicious = 0.98;
/** Fewer rows may tell anything by chance. */
const enough = 10;

const labelOptions: OptionNames<LabelOptions> = { label: true, features: true, maxRows: true };

/** Looks at a training set. */
export async function labelProfile(
  session: EngineSession,
  { sql, schema, rowCount, features, extras, signal }: LabelledRows,
  options: LabelOptions,
): Promise<LabelProfile> {
  checkOptions("Cannot profile the training set", options, labelOptions);
  const { label: wanted, features: chosen, maxRows = 200_000 } = options;
  const found = findLabel(schema, features, extras, wanted);
  const names = chooseFeatures(features, chosen);
  if (!Number.isSafeInteger(maxRows) || maxRows < 1) {
    throw new VarveError("INVALID_REQUEST", `Cannot profile with maxRows ${maxRows}: it is a whole number from 1 on`);
  }
  const columns = names.map((name, i): ProfiledColumn => ({
    name,
    type: schema.find((field) => field.name === name)!.type,
    column: `__varve_feature_${i}`,
  }));
  const labelSql = numberSql({ ...found, column: found.name })!;
  const rowNumber = "__varve_number";
  const all = await sampleTable(session, {
    select: [`${labelSql} AS ${label}`, ...columns.map(({ name, column }) => `${quoteName(name)} AS ${column}`)],
    from: `(SELECT *, row_number() OVER () AS ${rowNumber} FROM (${sql}))`,
    by: [rowNumber],
    rows: rowCount,
    maxRows,
  }, signal);
  try {
    const [facts] = await session.rows(
      `SELECT count(*)::DOUBLE AS n, count(${label})::DOUBLE AS labelled, avg(${label}) AS mean, min(${label}) AS lo, ` +
        `max(${label}) AS hi, count(DISTINCT ${label})::DOUBLE AS different FROM ${all}`,
      signal,
    );
    const { n, labelled, mean, lo, hi, different } = facts as Readonly<Record<string, number>>;
    const isBoolean = found.type === "boolean" || (different === 2 && lo === 0 && hi === 1);
    const table = `(SELECT * FROM ${all} WHERE ${label} IS NOT NULL)`;
    const context: LabelContext = { session, table, rows: labelled!, isBoolean, lo: lo ?? 0, hi: hi ?? 0, signal };
    const profiles = await columnProfiles(session, table, columns, signal);
    const against: Pick<LabelFeature, "strength" | "direction">[] = [];
    const byLabel: LabelFeature["byLabel"][] = [];
    const parts: LabelPart[][] = [];
    for (const group of inGroups(columns.map((column, i) => ({ column, profile: profiles[i]! })))) {
      against.push(...await (isBoolean ? areas(context, group) : correlations(context, group)));
      byLabel.push(...isBoolean ? await means(context, group) : group.map(() => []));
      parts.push(...await partsOf(context, group));
    }
    const list = profiles.map((profile, i): LabelFeature => ({
      ...profile,
      ...against[i]!,
      parts: parts[i]!,
      byLabel: byLabel[i]!,
    }));
    const rare = isBoolean ? Math.min(mean ?? 0, 1 - (mean ?? 0)) * labelled! : labelled!;
    const measure = isBoolean ? "AUC" : "correlation";
    return new LabelProfile({
      label: { name: found.name, type: formatType(found.type), isGuessed: wanted === undefined },
      kind: isBoolean ? "boolean" : "number",
      measure,
      rowCount,
      rowsRead: labelled!,
      unlabelled: n! - labelled!,
      labelMean: mean ?? null,
      features: list.sort((a, b) => (b.strength ?? -1) - (a.strength ?? -1) || (a.feature < b.feature ? -1 : 1)),
      warnings: rare < enough ? [] : list.flatMap((each) => leakWarnings(each, measure, found.name)),
    });
  } finally {
    await session.run(`DROP TABLE IF EXISTS ${all}`);
  }
}

function findLabel(
  schema: Schema,
  features: readonly string[],
  extras: readonly Field[],
  wanted: string | undefined,
): Field {
  const fits = ({ type }: Field) => type === "boolean" || isNumericType(type);
  if (wanted !== undefined) {
    const found = schema.find(({ name }) => name === wanted);
    if (!found || features.includes(wanted)) {
      throw new VarveError(
        "INVALID_REQUEST",
        `Cannot profile against label "${wanted}": ${
          found ? "it is a feature" : "there is no such column"
        }; columns of the spine are ${
          schema.filter(({ name }) => !features.includes(name)).map(({ name }) => name).join(", ")
        }`,
      );
    }
    if (fits(found)) return found;
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot profile against label "${wanted}": it is ${
        formatType(found.type)
      }; derive a boolean or a number in the spine`,
    );
  }
  const candidates = extras.filter(fits);
  if (candidates.length === 1) return candidates[0]!;
  const names = candidates.map(({ name }) => name);
  throw new VarveError(
    "INVALID_REQUEST",
    candidates.length === 0
      ? "Cannot profile a training set without a label: the spine has no boolean or number beside its keys and time; select one into it"
      : `Cannot tell which column is the label: ${names.join(", ")} may be; name it, as in { label: "${names[0]}" }`,
  );
}

function chooseFeatures(features: readonly string[], chosen: readonly string[] | undefined): string[] {
  const unknown = chosen?.find((name) => !features.includes(name));
  if (unknown === undefined) return [...new Set(chosen ?? features)];
  throw new VarveError(
    "INVALID_REQUEST",
    `Cannot profile feature ${JSON.stringify(unknown)}: features are ${features.join(", ")}`,
  );
}

function leakWarnings(
  { feature, strength, rows, nullShare, byLabel }: LabelFeature,
  measure: LabelFacts["measure"],
  name: string,
): string[] {
  const advice = "it may hold what is only known afterwards: look where it comes from, and what store.leaks(…) says";
  if (strength !== null && strength >= suspicious && rows * (1 - nullShare) >= enough) {
    return [`${feature} tells ${name} nearly by itself (${measure} ${strength.toFixed(3)}): ${advice}`];
  }
  const [no, yes] = byLabel;
  const ofNulls = no && yes ? 0.5 + Math.abs(no.nullShare - yes.nullShare) / 2 : 0;
  if (ofNulls < suspicious) return [];
  return [`Whether ${feature} is null tells ${name} nearly by itself (AUC ${ofNulls.toFixed(3)}): ${advice}`];
}
