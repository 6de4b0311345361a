/** Structured logs: one JSON object a line, on standard error; the door to pino. */
import { pino } from "pino";

/** What the processes log with. */
export interface Logger {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

/** Never written, wherever they stand in what is logged. */
const secrets = ["secretAccessKey", "accessKeyId", "password", "authorization", "redis", "queueRedis"];

/** A logger for a process with this role. */
export function createLogger(role: string, level: string): Logger {
  return pino(
    {
      level,
      base: { role, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: secrets.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: "[hidden]" },
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ fd: 2, sync: true }),
  );
}

/** Lets one line of a kind through in a while, and counts the others: what goes wrong for long would fill the log. */
export class LogGate {
  readonly #everyMs: number;
  readonly #told = new Map<string, number>();
  readonly #untold = new Map<string, number>();

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  /** Whether this one is to be told. */
  opens(kind: string): boolean {
    const now = performance.now();
    if (now - (this.#told.get(kind) ?? -Infinity) < this.#everyMs) {
      this.#untold.set(kind, (this.#untold.get(kind) ?? 0) + 1);
      return false;
    }
    this.#told.set(kind, now);
    return true;
  }

  /** How many were held back since the last line. */
  takeUntold(kind: string): number {
    const count = this.#untold.get(kind) ?? 0;
    this.#untold.delete(kind);
    return count;
  }
}
