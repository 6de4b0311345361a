/** A logger that remembers. */
import type { Logger } from "../../cluster/log.ts";

export class LogRecorder implements Logger {
  readonly lines: { readonly level: string; readonly details: Record<string, unknown>; readonly message: string }[] =
    [];

  debug(details: object, message: string): void {
    this.#add("debug", details, message);
  }
  info(details: object, message: string): void {
    this.#add("info", details, message);
  }
  warn(details: object, message: string): void {
    this.#add("warn", details, message);
  }
  error(details: object, message: string): void {
    this.#add("error", details, message);
  }

  #add(level: string, details: object, message: string): void {
    this.lines.push({ level, details: { ...details }, message });
  }
}
