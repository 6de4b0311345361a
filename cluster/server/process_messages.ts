/** What the processes of one server tell each other. */
import type { MetricsText, MetricValues } from "./metrics.ts";

/** From the process that answers to the one that watches over it. */
export type FromMember =
  | { readonly kind: "listening"; readonly url: string; readonly keys?: number }
  /** Its metrics, as they were asked for. */
  | { readonly kind: "values"; readonly id: number; readonly values: MetricValues }
  /** A client of this one wants the metrics of all. */
  | { readonly kind: "wantMetrics"; readonly id: number };

/** From the process that watches to one that answers. */
export type ToMember =
  | { readonly kind: "close" }
  | { readonly kind: "wantValues"; readonly id: number }
  | { readonly kind: "metrics"; readonly id: number; readonly metrics: MetricsText };

/** Whether a message is one of these: libraries send their own through the same channel. */
export function isOurs(message: unknown): message is { readonly varve: FromMember | ToMember } {
  return typeof message === "object" && message !== null && "varve" in message;
}
