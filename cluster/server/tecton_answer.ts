/**
 * Writes answers in Tecton's shape as JSON text: what a service's answers have in common is text before the first request, and the
 * values of a vector are written in one go. Several times faster than a serializer that walks a schema and asks of each value what
 * it is.
 */
import { formatTimestamp } from "varve";
import type { DataType } from "varve";
import type { Answer, ServiceReader } from "varve/serving";
import { MetadataRun } from "./metadata_texts.ts";
import { jsonForm, jsonValue, tectonType } from "./tecton_json.ts";
import type { JsonForm, TectonType } from "./tecton_json.ts";
import { VectorTexts } from "./vector_texts.ts";

/** One feature's place in the answer. */
interface Slot {
  readonly name: string;
  /** Of which view: its features are looked up together. */
  readonly view: string;
  readonly index: number;
  readonly type: TectonType;
  /** The type in varve's words. */
  readonly exactType: DataType;
  /** Features of one realtime view keep their order. */
  readonly group: string;
  readonly form: JsonForm;
  readonly description: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
}

/** A row's features; undefined when they did not come in time. */
export type Row = Answer | undefined;

/** Which metadata is told. */
export type Wanted = Readonly<Record<string, boolean>>;

const writers = new WeakMap<ServiceReader, AnswerWriter>();
const texts = new VectorTexts();

/** The writer of a service's answers; made once per reader. */
export function answerWriter(reader: ServiceReader): AnswerWriter {
  let writer = writers.get(reader);
  if (!writer) writers.set(reader, writer = new AnswerWriter(reader));
  return writer;
}

/** Writes the answers of one service. */
export class AnswerWriter {
  /**
   * Tecton's order: features of realtime views first, by view and inside one as it has them; then the others by `namespace.feature`,
   * alphabetical.
   */
  readonly #slots: readonly Slot[];
  readonly #kind = texts.newKind();
  /** What does not change in the metadata of features, by what is wanted of it. */
  readonly #described: Described[] = [];

  constructor(reader: ServiceReader) {
    this.#slots = reader.features
      .map((feature, index) => {
        const view = `${feature.isComputed ? 0 : 1}${feature.namespace}`;
        return {
          name: `${feature.namespace}.${feature.name}`,
          view,
          index,
          type: tectonType(feature.type),
          exactType: feature.type,
          group: feature.isComputed ? view : `${view}.${feature.name}`,
          form: jsonForm(feature.type),
          description: feature.description,
          tags: feature.tags ?? {},
        };
      })
      .sort((a, b) => a.group < b.group ? -1 : a.group > b.group ? 1 : a.index - b.index);
  }

  /** Names and types in the order of vectors. */
  get features(): readonly { readonly name: string; readonly dataType: TectonType }[] {
    return this.#slots.map(({ name, type }) => ({ name, dataType: type }));
  }

  /** `{"features":[…]}`. */
  vector(row: Row): string {
    if (row?.storedRows) return texts.of(this.#kind, row.storedRows, () => JSON.stringify(this.#vector(row)));
    return JSON.stringify(this.#vector(row));
  }

  /** `[{"features":[…]},…]`. */
  vectors(rows: readonly Row[]): string {
    if (rows[0]?.storedRows) return `[${rows.map((row) => this.vector(row)).join(",")}]`;
    const vectors = new Array<object>(rows.length);
    for (let r = 0; r < rows.length; r++) vectors[r] = this.#vector(rows[r]);
    return JSON.stringify(vectors);
  }

  #vector(row: Row): object {
    const slots = this.#slots;
    const features = new Array<unknown>(slots.length);
    for (let i = 0; i < slots.length; i++) {
      const { form, index } = slots[i]!;
      features[i] = row === undefined ? null : jsonValue(row.values[index], form);
    }
    return { features };
  }

  /** The list of features in an answer's metadata. */
  metadata(wanted: Wanted, row: Row): string {
    return this.#metadata(wanted, (place, times, statuses) => {
      const reason = statusAt(row, place);
      return (times ? `,"effectiveTime":${timeText(row?.effectiveTimes[place])}` : "") +
        (statuses ? `,"status":"${tectonStatus(reason)}","reason":"${reason}"` : "");
    });
  }

  /**
   * The same of many rows: statuses are lists with an entry per row. Clients read one time per feature: the newest, by which every row
   * had its value. Each row's own stands beside it.
   */
  batchMetadata(wanted: Wanted, rows: readonly Row[]): string {
    return this.#metadata(
      wanted,
      (place, times, statuses) =>
        (times ? timesText(rows.map((row) => row?.effectiveTimes[place])) : "") +
        (statuses ? statusesText(rows.map((row) => statusAt(row, place))) : ""),
    );
  }

  /** `changing` gives the text of a feature's times and statuses, each behind a comma; it is made once for what is looked up together. */
  #metadata(wanted: Wanted, changing: (place: number, times: boolean, statuses: boolean) => string): string {
    const { isEmpty, runs } = this.#describedBy(wanted);
    const times = wanted["includeEffectiveTimes"] === true;
    const statuses = wanted["includeServingStatus"] === true;
    let text = "";
    for (let i = 0; i < runs.length; i++) {
      const run = runs[i]!;
      const changed = changing(run.place, times, statuses);
      text += (i === 0 ? "" : ",") + run.text(isEmpty ? changed.slice(1) : changed);
    }
    return `[${text}]`;
  }

  #describedBy(wanted: Wanted): Described {
    let mask = 0;
    for (let i = 0; i < describing.length; i++) if (wanted[describing[i]!]) mask |= 1 << i;
    return this.#described[mask] ??= { isEmpty: mask === 0, runs: this.#runs(wanted) };
  }

  /** Slots that follow each other and are looked up together. */
  #runs(wanted: Wanted): MetadataRun[] {
    const runs: Slot[][] = [];
    for (const slot of this.#slots) {
      const last = runs.at(-1);
      if (last && last[0]!.view === slot.view) last.push(slot);
      else runs.push([slot]);
    }
    return runs.map((slots) => new MetadataRun(slots[0]!.index, slots.map((slot) => describe(slot, wanted))));
  }
}

/** What does not change in the metadata of features. */
interface Described {
  /** There is nothing in front of times and statuses. */
  readonly isEmpty: boolean;
  readonly runs: readonly MetadataRun[];
}

/** What is the same in every answer. */
const describing = [
  "includeNames",
  "includeDataTypes",
  "includeExactTypes",
  "includeFeatureDescriptions",
  "includeFeatureTags",
];

function statusAt(row: Row, place: number): string {
  return row === undefined ? "TIME_OUT" : row.statuses[place]!;
}

/** The inside of an object. */
function describe(slot: Slot, wanted: Wanted): string {
  const described = {
    ...(wanted["includeNames"] && { name: slot.name }),
    ...(wanted["includeDataTypes"] && { dataType: slot.type }),
    ...(wanted["includeExactTypes"] && { exactType: slot.exactType }),
    ...(wanted["includeFeatureDescriptions"] && { description: slot.description ?? null }),
    ...(wanted["includeFeatureTags"] && { tags: slot.tags }),
  };
  return JSON.stringify(described).slice(1, -1);
}

/** Tecton knows present, missing and late; why a value is missing (expired, null key, no row) is told as the reason. */
function tectonStatus(reason: string): string {
  return reason === "PRESENT" || reason === "TIME_OUT" ? reason : "MISSING_DATA";
}

function statusesText(reasons: readonly string[]): string {
  return `,"status":${JSON.stringify(reasons.map(tectonStatus))},"reason":${JSON.stringify(reasons)}`;
}

function timesText(times: readonly (bigint | undefined)[]): string {
  const newest = times.reduce((a, b) => a === undefined || (b !== undefined && b > a) ? b : a, undefined);
  return `,"effectiveTime":${timeText(newest)},"effectiveTimes":[${times.map(timeText).join(",")}]`;
}

function timeText(micros: bigint | undefined): string {
  return micros === undefined ? "null" : `"${formatTimestamp(micros)}"`;
}
