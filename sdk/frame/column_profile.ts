/** What a profile says of one column of numbers, texts or anything else: plain data. */

/** Values of a number that lie together: from the one to below the other; the last bin holds its end too. */
export interface ProfileBin {
  /** The least value. */
  readonly from: number;
  /** Where the next bin begins. */
  readonly to: number;
  /** Rows with such a value. */
  readonly rows: number;
}

/** One value and how often it is there. */
export interface ProfileValue {
  /** The value, as text. */
  readonly value: string;
  /** Rows that have it. */
  readonly rows: number;
}

/** Values below which a share of all lies. */
export interface ProfileQuantiles {
  /** 5 % lie below. */
  readonly p05: number;
  /** A quarter lies below. */
  readonly p25: number;
  /** Half lies below. */
  readonly p50: number;
  /** Three quarters lie below. */
  readonly p75: number;
  /** 95 % lie below. */
  readonly p95: number;
}

/** What one feature holds. Numbers are of its finite values; a boolean counts as 0 and 1. */
export interface ColumnProfile<Name extends string = string> {
  /** The feature. */
  readonly feature: Name;
  /** Its type, as text. */
  readonly type: string;
  /** Rows that were looked at. */
  readonly rows: number;
  /** Rows in which it is null. */
  readonly nulls: number;
  /** Their share, from 0 to 1. */
  readonly nullShare: number;
  /** Rows in which it is NaN or infinite. */
  readonly notFinite: number;
  /** Different values; null for lists and structs. */
  readonly distinct: number | null;
  /** The least value; null for lists and structs. */
  readonly min: unknown;
  /** The greatest value; null for lists and structs. */
  readonly max: unknown;
  /** The mean of a number, the share of true of a boolean. */
  readonly mean: number | null;
  /** Of a number. */
  readonly quantiles: ProfileQuantiles | null;
  /** How a number lies: equal parts of what is between its 1st and 99th percentile, and the ends with the first and last part. */
  readonly bins: readonly ProfileBin[];
  /** The most frequent values of a text or boolean, or of a whole number that has few. */
  readonly values: readonly ProfileValue[];
}

/** The fields of a profile that fit into one row of a table. */
export function profileRow(profile: ColumnProfile): ProfileRow {
  const { feature, type, rows, nulls, nullShare, notFinite, distinct, min, mean, max, quantiles } = profile;
  const { p05 = null, p25 = null, p50 = null, p75 = null, p95 = null } = quantiles ?? {};
  return { feature, type, rows, nulls, nullShare, notFinite, distinct, min, p05, p25, p50, p75, p95, max, mean };
}

/** A feature in one row: {@link ColumnProfile} without its lists. */
export interface ProfileRow extends Omit<ColumnProfile, "quantiles" | "bins" | "values"> {
  /** 5 % lie below. */
  readonly p05: number | null;
  /** A quarter lies below. */
  readonly p25: number | null;
  /** Half lies below. */
  readonly p50: number | null;
  /** Three quarters lie below. */
  readonly p75: number | null;
  /** 95 % lie below. */
  readonly p95: number | null;
}
