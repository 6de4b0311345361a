/** What comparing logged answers with what should have been answered found. */
import type { Row } from "./schema.ts";

/** What became of one feature. */
export interface FeatureAudit {
  /** Its name in the answer; `view.feature` where a realtime view alone read it. */
  readonly feature: string;
  /** Answers that differ from what is computed. */
  readonly mismatches: number;
  /** Answers without a row of the key, where one had been loaded. */
  readonly missing: number;
}

/** One answer that differs. */
export interface AuditExample {
  /** When it was asked for. */
  readonly at: string;
  /** The join keys. */
  readonly key: Row;
  /** The feature. */
  readonly feature: string;
  /** What was answered. */
  readonly served: unknown;
  /** What the offline tables give. */
  readonly offline: unknown;
  /** The status it was answered with. */
  readonly status: string;
}

/** What a check of the audit log found. */
export interface AuditReport {
  /** The service. */
  readonly service: string;
  /** Requests from this instant on. */
  readonly from: string;
  /** Requests before this instant. */
  readonly to: string;
  /** Answers in the log. */
  readonly rows: number;
  /** Whether there are more than were looked at. */
  readonly more: boolean;
  /** Values that were compared. */
  readonly values: number;
  /** Values that are as computed. */
  readonly matches: number;
  /** Values that differ. */
  readonly mismatches: number;
  /** Values that were not there though they had been loaded. */
  readonly missing: number;
  /** Values that could not be compared: keys are hashed, or what they came from is gone. */
  readonly uncompared: number;
  /** Why, once each. */
  readonly notes: readonly string[];
  /** By feature. */
  readonly features: readonly FeatureAudit[];
  /** The first that differ, at most twenty. */
  readonly examples: readonly AuditExample[];
}

const maxExamples = 20;

/** Counts what is found. */
export class Tally {
  /** Values, by what became of them. */
  readonly counts = { values: 0, matches: 0, mismatches: 0, missing: 0, uncompared: 0 };
  readonly #features = new Map<string, { mismatches: number; missing: number }>();
  readonly #notes = new Set<string>();
  readonly #examples: AuditExample[] = [];

  /** Values that cannot be compared, and why. */
  uncompared(values: number, why: string): void {
    this.counts.uncompared += values;
    this.#notes.add(why);
  }

  /** A value that is as it should be. */
  matched(feature: string): void {
    this.counts.values++;
    this.counts.matches++;
    this.#feature(feature);
  }

  /** One that is not. */
  differs(kind: "mismatches" | "missing", example: AuditExample): void {
    this.counts.values++;
    this.counts[kind]++;
    this.#feature(example.feature)[kind]++;
    if (this.#examples.length < maxExamples) this.#examples.push(example);
  }

  #feature(name: string): { mismatches: number; missing: number } {
    let counts = this.#features.get(name);
    if (!counts) this.#features.set(name, counts = { mismatches: 0, missing: 0 });
    return counts;
  }

  /** All of it. */
  result() {
    const features = [...this.#features].map(([feature, counts]) => ({ feature, ...counts }));
    return { ...this.counts, notes: [...this.#notes], features, examples: this.#examples };
  }
}
