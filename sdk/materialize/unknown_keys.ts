/** Keys that a load has to look up in the whole table. */
import type { AggregateView } from "../define/definitions.ts";
import type { ColumnBatch, EngineSession, Relation } from "../engine/engine.ts";
import type { Load } from "./load_context.ts";

const table = "varve_unknown_keys";
/** Keys that are added to the table at once. */
const waitingKeys = 4096;

/** Keys of whose values only the table knows enough, in a temporary table of a session of their own. */
export class UnknownKeys {
  readonly #load: Load;
  readonly #definition: AggregateView;
  readonly #waiting: { readonly batch: ColumnBatch; readonly row: number }[] = [];
  #session: EngineSession | undefined;
  #relation: Relation | undefined;

  /** Nothing is opened before the first key comes. */
  constructor(load: Load, definition: AggregateView) {
    this.#load = load;
    this.#definition = definition;
  }

  /** The session that has the table. */
  async session(): Promise<EngineSession> {
    return this.#session ??= await this.#load.context.engine.session();
  }

  /** Adds the key in a row of a batch. */
  async add(batch: ColumnBatch, row: number): Promise<void> {
    this.#waiting.push({ batch, row });
    if (this.#waiting.length >= waitingKeys) await this.#flush();
  }

  /** All keys; undefined when there are none. */
  async relation(): Promise<Relation | undefined> {
    if (this.#waiting.length > 0) await this.#flush();
    return this.#relation;
  }

  async #flush(): Promise<void> {
    const rows = this.#waiting.splice(0);
    const { joinKeys } = this.#definition.entity;
    const schema = joinKeys.map(({ name, type }) => ({ name, type }));
    const columns = joinKeys.map((_, k) => ({
      values: rows.map(({ batch, row }) => batch.columns[k]!.values[row]),
      hasNulls: false,
      isNull: () => false,
    }));
    const session = await this.session();
    const batches = [{ rowCount: rows.length, columns }];
    const { signal } = this.#load.context;
    if (this.#relation) await session.append(table, schema, batches, signal);
    else this.#relation = await session.fill(table, schema, batches, signal);
  }

  /** Forgets the table. */
  close(): void {
    this.#session?.close();
  }
}
