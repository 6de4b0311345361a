/** Polars DataFrames that varve gives show themselves like everything else that it gives. */
import { Displayed } from "../display.ts";
import type { DataFrame } from "./polars.ts";

/** A DataFrame as something that shows itself. */
export class ShownDataFrame extends Displayed {
  /** What is shown. */
  readonly frame: DataFrame;

  /** Shows a DataFrame. */
  constructor(frame: DataFrame) {
    super();
    this.frame = frame;
  }

  /** The library's own text. */
  override toString(): string {
    return this.frame.toString();
  }
}

const hooks = [Symbol.for("Jupyter.display"), Symbol.for("nodejs.util.inspect.custom")] as const;

/** Gives a DataFrame the looks of varve in notebooks; what is made of it has the library's. */
export function withLooks(frame: DataFrame): DataFrame {
  const shown = new ShownDataFrame(frame) as unknown as Readonly<Record<symbol, (...options: unknown[]) => unknown>>;
  for (const hook of hooks) {
    Object.defineProperty(frame, hook, {
      value: (...options: unknown[]) => shown[hook]!(...options),
      configurable: true,
      enumerable: false,
    });
  }
  return frame;
}
