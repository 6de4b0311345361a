/** What has to be looked up for reads of which some are computed: the stored features, and where each input is among them. */
import type { DataType } from "../schema.ts";
import { type AnyRead, type FeatureRead, isRealtime, type RealtimeRead } from "./feature_read.ts";

/** A realtime view with the place of each of its inputs. */
export interface ComputedRead {
  readonly read: RealtimeRead;
  /** Its inputs: what its expressions call them, and what they are called among the stored features. */
  readonly inputs: readonly { readonly name: string; readonly type: DataType; readonly column: string }[];
}

/** Reads, split into what is looked up and what is computed of it. */
export interface SplitReads {
  /** Every look-up once: a view that the reader wants by the same keys as a realtime view does is looked up for both. */
  readonly stored: readonly FeatureRead[];
  readonly computed: readonly ComputedRead[];
}

const hiddenPrefix = "__input_";

/** A read to which features are added that are only inputs. */
type GrowingRead = FeatureRead & { readonly features: { readonly feature: string; readonly as: string }[] };

/** Splits reads. Features that are only inputs have names that no feature of a user's can have. */
export function splitReads(reads: readonly AnyRead[]): SplitReads {
  const stored: GrowingRead[] = reads.flatMap((read) =>
    isRealtime(read) ? [] : [{ ...read, features: [...read.features] }]
  );
  let hidden = 0;
  const computed = reads.filter(isRealtime).map((read) => {
    const columns = new Map<string, string>();
    for (const input of read.inputs) {
      const same = lookupName(input);
      let found = stored.find((each) => lookupName(each) === same);
      if (!found) stored.push(found = { ...input, alias: `__${read.alias}_${input.alias}`, features: [] });
      for (const { feature, as } of input.features) {
        let column = found.features.find((each) => each.feature === feature)?.as;
        if (column === undefined) found.features.push({ feature, as: column = `${hiddenPrefix}${hidden++}` });
        columns.set(as, column);
      }
    }
    const inputs = read.definition.inputs.map(({ name, type }) => ({ name, type, column: columns.get(name)! }));
    return { read, inputs };
  });
  return { stored, computed };
}

/** Whether a column is only an input. */
export function isHidden(column: string): boolean {
  return column.startsWith(hiddenPrefix);
}

/** Equal for reads that one look-up serves. */
export function lookupName({ definition, version, joinKeyMap }: FeatureRead): string {
  const keys = Object.entries(joinKeyMap).sort(([a], [b]) => a < b ? -1 : 1);
  return JSON.stringify([definition.name, version, keys]);
}
