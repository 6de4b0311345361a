/** What became of one view's look-up: the same words in training sets and online answers. */

/**
 * `PRESENT`: a row was found. `MISSING`: the key has no row that was effective then. `EXPIRED`: its newest row is older
 * than the view's ttl (S6). `NULL_KEY`: a join key is null, so nothing was looked up (S7).
 */
export type FeatureStatus = "PRESENT" | "MISSING" | "EXPIRED" | "NULL_KEY";

/** The same of a feature that is answered online; `TIME_OUT`: it could not be computed in time, and whoever asked wanted the rest. */
export type AnswerStatus = FeatureStatus | "TIME_OUT";
