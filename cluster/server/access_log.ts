/** One line per request: who asked what and how it ended, never which values, keys of entities or secrets. */
import { LogGate } from "../log.ts";
import type { Logger } from "../log.ts";

/** What is logged: nothing, requests that failed, all of them, or those that failed and a share of the others. */
export type AccessLogSetting = "off" | "errors" | "all" | number;

/** A request that was answered. */
export interface AccessFacts {
  readonly requestId: string;
  readonly method: string;
  /** The route's pattern; undefined where there is none. */
  readonly route: string | undefined;
  readonly service: string | undefined;
  readonly status: number;
  readonly ms: number;
  /** The size of the answer's body. */
  readonly bytes: number | undefined;
  /** The id of the API key: no secret. */
  readonly key: string | undefined;
}

/** How many lines of requests that failed are written in a second: a client in a loop must not fill the disk. */
const errorLinesPerSecond = 20;

/** Writes lines. */
export class AccessLog {
  readonly #share: number;
  readonly #withErrors: boolean;
  readonly #logger: Logger;
  readonly #gate = new LogGate(1_000 / errorLinesPerSecond);
  /** Every 1/share-th request is written, so that a share is exact and nothing random is needed. */
  #due = 0;

  constructor(setting: AccessLogSetting, logger: Logger) {
    this.#share = typeof setting === "number" ? setting : setting === "all" ? 1 : 0;
    this.#withErrors = setting !== "off";
    this.#logger = logger;
  }

  /** Whether a request that ended with this status is to be written. Ask once per request. */
  wants(status: number): boolean {
    if (this.#share > 0) {
      this.#due += this.#share;
      if (this.#due >= 1) {
        this.#due -= 1;
        return true;
      }
    }
    return status >= 400 && this.#withErrors && this.#gate.opens("error");
  }

  /** Writes the line. */
  write(facts: AccessFacts): void {
    const untold = this.#gate.takeUntold("error");
    this.#logger.info({ ...facts, ...(untold > 0 && { untold }) }, "request");
  }
}
