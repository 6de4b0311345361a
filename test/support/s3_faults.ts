/** What a test may make go wrong in the S3 server. */

/** What happens to a request. */
export type Fault =
  /** Answered with an error, nothing done. */
  | { readonly kind: "error"; readonly status: number; readonly code: string }
  /** Done, but the connection is cut instead of an answer. */
  | { readonly kind: "dropReply" }
  /** The body of the answer comes in small pieces, with a pause before each. */
  | { readonly kind: "slowBody"; readonly pauseMs: number }
  /** The body of the answer stops in the middle and the connection is cut. */
  | { readonly kind: "truncate" }
  /** One byte of the answer's body is another. */
  | { readonly kind: "corrupt" }
  /** A body that is not what was asked for, as of a proxy that has a page of its own; said to be done, unless there is a status. */
  | { readonly kind: "foreign"; readonly body: string; readonly status?: number }
  /** No answer at all. */
  | { readonly kind: "hang" }
  /** If-Match and If-None-Match are not looked at. */
  | { readonly kind: "ignoreConditions" };

/** Which requests a fault happens to, and how often. */
export interface FaultRule {
  readonly method?: string;
  readonly key?: RegExp;
  /** @default 1 */
  readonly times?: number;
}

interface Planned {
  readonly fault: Fault;
  readonly rule: FaultRule;
  left: number;
}

/** The faults that are planned, in order; each request meets at most one. */
export class Faults {
  #planned: Planned[] = [];
  /** How many requests met one. */
  hits = 0;

  add(fault: Fault, rule: FaultRule = {}): void {
    this.#planned.push({ fault, rule, left: rule.times ?? 1 });
  }

  clear(): void {
    this.#planned = [];
    this.hits = 0;
  }

  /** The fault of this request, which is used up. */
  take(method: string, key: string): Fault | undefined {
    const found = this.#planned.find(({ rule, left }) =>
      left > 0 && (rule.method ?? method) === method && (rule.key?.test(key) ?? true)
    );
    if (!found) return undefined;
    found.left--;
    this.hits++;
    return found.fault;
  }
}
