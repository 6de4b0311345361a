/**
 * Histograms of latencies that cost a request a few dozen nanoseconds: the library's own make a text of all labels at every
 * observation. Told in its form when metrics are asked for.
 */

/** A value in the library's form. */
export interface HistogramValue {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Counts of one set of labels. */
export class Cell {
  /** One for every bound, and one for what lies above them. */
  readonly #counts: Float64Array;
  readonly #bounds: readonly number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  /** Counts one that took so many seconds. */
  observe(seconds: number): void {
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && seconds > bounds[at]!) at++;
    this.#counts[at]!++;
    this.#sum += seconds;
  }

  /** What was counted, as Prometheus has it: every bucket with all below it. */
  values(name: string, labels: Readonly<Record<string, string>>): HistogramValue[] {
    let count = 0;
    const buckets = [...this.#bounds.map(String), "+Inf"].map((le, i) => {
      count += this.#counts[i]!;
      return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: this.#sum },
      { metricName: `${name}_count`, labels, value: count },
    ];
  }
}

/** A histogram by any labels, in the form that the library's registry takes. */
export class LatencyHistogram {
  readonly name: string;
  readonly help: string;
  readonly type = "histogram";
  readonly aggregator = "sum";
  readonly #bounds: readonly number[];
  readonly #cells: { readonly labels: Readonly<Record<string, string>>; readonly cell: Cell }[] = [];

  constructor(name: string, help: string, bounds: readonly number[]) {
    this.name = name;
    this.help = help;
    this.#bounds = bounds;
  }

  /** A new place to count; asked once per set of labels. */
  cell(labels: Readonly<Record<string, string>> = {}): Cell {
    const cell = new Cell(this.#bounds);
    this.#cells.push({ labels, cell });
    return cell;
  }

  /** For the library. */
  async get(): Promise<object> {
    const { name, help, type, aggregator } = this;
    const values = this.#cells.flatMap(({ labels, cell }) => cell.values(name, labels));
    return await Promise.resolve({ name, help, type, aggregator, values });
  }
}
