/** A definition as code, which shows itself and can be written to a file. */
import { Displayed } from "../../display.ts";

/** A TypeScript module that defines a view or a service: `view.source()`. `varve apply` of it plans no change. */
export class DefinitionSource extends Displayed {
  /** The text of the module. */
  readonly text: string;

  /** Wraps the text; see `view.source()`. */
  constructor(text: string) {
    super();
    this.text = text;
    Object.freeze(this);
  }

  /** The text of the module. */
  override toString(): string {
    return this.text;
  }

  /** The text of the module. */
  toJSON(): string {
    return this.text;
  }

  /** Writes the module to a file, and replaces what is there. */
  async write(path: string): Promise<void> {
    const { writeFile } = await import("node:fs/promises");
    await writeFile(path, this.text);
  }
}
