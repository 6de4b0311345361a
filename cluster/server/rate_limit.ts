/** How many requests a key may make: a token bucket each. */
import { VarveError } from "varve";

/** A rate, and how much may come at once after a pause. */
export interface Rate {
  readonly perSecond: number;
  /** Requests; at least 1. */
  readonly burst: number;
}

interface Bucket {
  tokens: number;
  /** When they were counted, ms. */
  at: number;
}

/** Buckets by the ids of keys: there are no more of them than keys. */
export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>();
  readonly #now: () => number;

  /** `now` gives milliseconds and never goes back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Takes one request out of a bucket; RATE_LIMITED when it is empty, with `details.retryAfterSeconds`. */
  take(id: string, rate: Rate): void {
    const now = this.#now();
    const burst = Math.max(1, rate.burst);
    const bucket = this.#buckets.get(id);
    if (bucket === undefined) {
      this.#buckets.set(id, { tokens: burst - 1, at: now });
      return;
    }
    const tokens = Math.min(burst, bucket.tokens + Math.max(0, now - bucket.at) * rate.perSecond / 1000);
    bucket.at = now;
    bucket.tokens = tokens;
    if (tokens >= 1) {
      bucket.tokens = tokens - 1;
      return;
    }
    const retryAfterSeconds = Math.ceil((1 - tokens) / rate.perSecond);
    throw new VarveError(
      "RATE_LIMITED",
      `Cannot answer now: the API key asks more than ${rate.perSecond} times a second; try again in ${retryAfterSeconds} s`,
      { details: { retryAfterSeconds, perSecond: rate.perSecond } },
    );
  }
}
