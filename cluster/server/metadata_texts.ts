/**
 * The JSON text of metadata. Values become effective when they are materialized, most of them together: the texts of few times are most
 * of what a server writes, and they are kept.
 */

/** All that are kept, by the number of their run and what changes in them. */
const kept = new Map<string, string>();
let keptLength = 0;
/** Rises when all are forgotten. */
let generation = 0;
let runs = 0;

/** Characters of all texts together. */
const maxLength = 4_000_000;
/** Of one run; where there are more, keeping them would cost more than writing them. */
const perRun = 64;
/** After so many others it keeps new ones: times go on. */
const missesToKeep = 1_024;
/** Of one row, not of a batch. */
const maxChangedLength = 128;

/** Features of one view: they have the same times and statuses. */
export class MetadataRun {
  /** Where one of them is in a row. */
  readonly place: number;
  readonly #described: readonly string[];
  readonly #number = runs++;
  #count = 0;
  #misses = 0;
  #generation = generation;

  /** `described` are the insides of objects, without what changes. */
  constructor(place: number, described: readonly string[]) {
    this.place = place;
    this.#described = described;
  }

  /** The objects, with what changes behind what does not. */
  text(changed: string): string {
    if (changed.length > maxChangedLength) return this.#written(changed);
    const key = `${this.#number} ${changed}`;
    const known = kept.get(key);
    if (known !== undefined) return known;
    if (this.#generation !== generation) {
      this.#generation = generation;
      this.#count = 0;
    }
    if (this.#count >= perRun && ++this.#misses < missesToKeep) return this.#written(changed);
    if (this.#misses >= missesToKeep) this.#misses = this.#count = 0;
    return this.#keep(key, changed);
  }

  #written(changed: string): string {
    let text = "";
    for (let i = 0; i < this.#described.length; i++) {
      text += `${i === 0 ? "{" : ",{"}${this.#described[i]!}${changed}}`;
    }
    return text;
  }

  #keep(key: string, changed: string): string {
    // Joined: text that was added up would be put together again whenever it is sent.
    const text = this.#described.map((inside) => `{${inside}${changed}}`).join(",");
    keptLength += text.length;
    if (keptLength > maxLength) {
      kept.clear();
      keptLength = text.length;
      this.#generation = ++generation;
      this.#count = 0;
    }
    this.#count++;
    kept.set(key, text);
    return text;
  }
}
