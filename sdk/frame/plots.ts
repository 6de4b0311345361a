/** Pictures of a frame: what to draw, and the rows that are drawn; the notebook room draws it. */
import { Displayed } from "../display.ts";
import { checkOptions, type OptionNames, VarveError } from "../errors.ts";
import { findField, formatType, isNumericType, type Row, type Schema } from "../schema.ts";
import { count, max, min } from "./aggregates.ts";
import { col } from "./expr.ts";

/** The steps of a frame that pictures take. */
interface Plotted {
  readonly schema: Schema;
  // deno-lint-ignore no-explicit-any
  readonly [step: string]: any;
}

/** What may be said about a picture. */
export interface PlotOptions {
  /** Above it. */
  readonly title?: string;
  /** How wide the drawing is, in pixels. @default 480 */
  readonly width?: number;
  /** How high. @default 240 */
  readonly height?: number;
}

/** What may be said about a picture of rows. */
export interface MarkOptions<Names extends string = string> extends PlotOptions {
  /** A column whose every value has a line, or points or bars, of its own colour. */
  readonly color?: Names;
}

const plotOptions: OptionNames<PlotOptions> = { title: true, width: true, height: true };
const histogramOptions = { ...plotOptions, bins: true } as const;
const markOptions: OptionNames<MarkOptions> = { ...plotOptions, color: true };
const barOptions = { ...markOptions, limit: true } as const;

/** The most points or bars of one picture. */
const maxMarks = 5_000;

/** A picture: a Vega-Lite specification and the rows that go into it, read when it is shown. */
export class Plot extends Displayed {
  /** Vega-Lite, without its data. */
  readonly spec: Readonly<Record<string, unknown>>;
  readonly #read: () => Promise<Row[]>;

  /** Made by `frame.plot`. */
  constructor(spec: Readonly<Record<string, unknown>>, read: () => Promise<Row[]>) {
    super();
    this.spec = Object.freeze(spec);
    this.#read = read;
    Object.freeze(this);
  }

  /** The rows that are drawn. */
  async data(): Promise<Row[]> {
    return await this.#read();
  }

  /** What it is, in a line. */
  override toString(): string {
    return `plot ${JSON.stringify(this.spec["title"] ?? this.spec["mark"])}`;
  }
}

/** Draws a frame. */
export class FramePlots<Names extends string = string> {
  readonly #frame: Plotted;

  /** Made by `frame.plot`. */
  constructor(frame: object) {
    this.#frame = frame as Plotted;
  }

  /** How the values of a number lie: how many rows in each of `bins` equal parts of its range. */
  histogram(column: Names, options: PlotOptions & { readonly bins?: number } = {}): Plot {
    const { bins = 30 } = options;
    const field = this.#column(column, "draw a histogram of");
    if (!isNumericType(field.type)) {
      throw new VarveError(
        "INVALID_REQUEST",
        `Cannot draw a histogram of column "${column}": it is ${formatType(field.type)}; bars() counts other values`,
      );
    }
    if (!Number.isSafeInteger(bins) || bins < 1 || bins > 1_000) {
      throw new VarveError("INVALID_REQUEST", `Cannot draw ${bins} bins: give a whole number from 1 to 1000`);
    }
    const encoding = {
      x: { field: "from", type: "quantitative", title: column, bin: { binned: true } },
      x2: { field: "to" },
      y: { field: "rows", type: "quantitative", title: "rows" },
    };
    return new Plot(specOf("bar", encoding, options, histogramOptions), async () => {
      const numbers = this.#frame["derive"]({ value: col(column).cast("float64") }).filter(col("value").isFinite());
      const [found] = await numbers.groupBy().aggregate({ lo: min("value"), hi: max("value") }).rows() as Row[];
      const { lo, hi } = found as { lo: number | null; hi: number | null };
      if (lo === null || hi === null) return [];
      const width = hi > lo ? (hi - lo) / bins : 1;
      const rows = await numbers.derive({ bin: col("value").minus(lo).divide(width).floor() })
        .groupBy("bin").aggregate({ rows: count() }).sort("bin").rows() as { bin: number; rows: bigint }[];
      // The greatest value ends the last bin instead of beginning another one.
      const counts = new Map<number, number>();
      for (const { bin, rows: n } of rows) {
        const place = Math.min(bin, bins - 1);
        counts.set(place, (counts.get(place) ?? 0) + Number(n));
      }
      return [...counts].map(([bin, n]) => ({ from: lo + bin * width, to: lo + (bin + 1) * width, rows: n }));
    });
  }

  /** One bar for each row: `y` by `x`; without `y`, how many rows have each value of `x`, the most frequent first. */
  bars(x: Names, y?: Names, options: MarkOptions<Names> & { readonly limit?: number } = {}): Plot {
    this.#column(x, "draw bars of");
    if (y !== undefined) this.#number(y, "draw bars of");
    const { limit = 30, color } = options;
    if (color !== undefined && y === undefined) {
      throw new VarveError(
        "INVALID_REQUEST",
        `Cannot colour bars that count rows by "${color}": aggregate first, and name the column that says how high they are`,
      );
    }
    const encoding = {
      x: { field: x, type: "nominal", sort: null },
      y: { field: y ?? "rows", type: "quantitative" },
      // Beside each other: stacked, they would say a sum that nobody asked for.
      ...(color !== undefined && { ...this.#colored(color, "bar"), xOffset: { field: color, sort: null } }),
    };
    return new Plot(specOf("bar", encoding, options, barOptions), async () => {
      if (y !== undefined) return await this.#frame["limit"](limit).rows();
      const counted = await this.#frame["groupBy"](x).aggregate({ rows: count() }).rows() as (Row & { rows: bigint })[];
      return counted.sort((a, b) => Number(b.rows - a.rows)).slice(0, limit);
    });
  }

  /** A line through the rows in their order: a number by a number or a time. At most 5,000 rows: aggregate first. */
  line(x: Names, y: Names, options: MarkOptions<Names> = {}): Plot {
    return this.#marks("line", x, y, options);
  }

  /** A point for each row. At most 5,000 rows: take a sample first. */
  points(x: Names, y: Names, options: MarkOptions<Names> = {}): Plot {
    return this.#marks("point", x, y, options);
  }

  #marks(mark: "line" | "point", x: Names, y: Names, options: MarkOptions<Names>): Plot {
    const { color } = options;
    const { type } = this.#column(x, `draw a ${mark} of`);
    const isTime = type === "timestamp" || type === "date";
    if (!isTime) this.#number(x, `draw a ${mark} along`, "numbers or times");
    this.#number(y, `draw a ${mark} of`);
    const encoding = {
      x: isTime ? utcTime(x) : { field: x, type: "quantitative", scale: { zero: false } },
      y: { field: y, type: "quantitative" },
      ...(color !== undefined && this.#colored(color, mark)),
    };
    const columns = new Set([x, y, ...(color === undefined ? [] : [color])]);
    return new Plot(specOf(mark, encoding, options, markOptions), async () => {
      const rows = await this.#frame["select"](...columns).limit(maxMarks + 1).rows() as Row[];
      if (rows.length <= maxMarks) return rows;
      throw new VarveError(
        "INVALID_REQUEST",
        `Cannot draw more than ${maxMarks} rows: aggregate them by time first, or take a sample`,
      );
    });
  }

  #colored(name: Names, mark: string): object {
    this.#column(name, `colour a ${mark} by`);
    // Names that only differ at their ends would be cut to the same.
    return { color: { field: name, type: "nominal", sort: null, legend: { labelLimit: 400 } } };
  }

  #number(name: string, verb: string, wanted = "numbers"): void {
    const { type } = this.#column(name, verb);
    if (isNumericType(type)) return;
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot ${verb} column "${name}": it is ${formatType(type)}, and ${wanted} are drawn; ` +
        "derive one, or bars() with one column counts the rows of each value",
    );
  }

  #column(name: string, verb: string): Schema[number] {
    const found = findField(this.#frame.schema, name);
    if (found) return found;
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot ${verb} column "${name}": columns are ${this.#frame.schema.map((each) => each.name).join(", ")}`,
    );
  }
}

/** Times are told in UTC (S1), and not as the clock of whoever looks. */
export function utcTime(field: string): object {
  return { field, type: "temporal", scale: { type: "utc" }, axis: { format: hoursOfDay } };
}

/** Of 24 hours, as tables say them; longer units as Vega has them. */
const hoursOfDay = { hours: "%H:%M", minutes: "%H:%M" } as const;

function specOf(mark: string, encoding: object, options: PlotOptions, names: Readonly<Record<string, true>>) {
  return { ...plotSpec(options, names), mark, encoding };
}

/** What every picture says. */
export function plotSpec(
  options: PlotOptions,
  names: Readonly<Record<string, true>> = plotOptions,
): Readonly<Record<string, unknown>> {
  checkOptions("Cannot draw", options, names);
  const { title, width = 480, height = 240 } = options;
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v5.json",
    ...(title !== undefined && { title }),
    width,
    height,
    config: plotLooks,
  };
}

/** A blue that stands out on white and on dark grey alike, and lines behind it that do not; a page's own theme says the rest. */
const plotLooks = {
  mark: { color: "#4a90d0" },
  axis: { gridColor: "#888", gridOpacity: 0.3, titlePadding: 8 },
} as const;
