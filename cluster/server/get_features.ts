/** Answers one `get-features` request in Tecton's shape. */
import { formatTimestamp, VarveError } from "varve";
import type { Answer, ServiceReader, Serving } from "varve/serving";
import type { GetFeaturesParams } from "./get_features_schema.ts";
import { jsonEncoder, tectonType } from "./tecton_json.ts";
import type { TectonType } from "./tecton_json.ts";

/** One feature's place in the answer. */
interface Slot {
  readonly name: string;
  readonly index: number;
  readonly type: TectonType;
  readonly encode: (value: unknown) => unknown;
  readonly description: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
}

/** Tecton's order: by `namespace.feature`, alphabetical. Made once per reader. */
const slotsByReader = new WeakMap<ServiceReader, readonly Slot[]>();

export interface GetFeaturesContext {
  /** Request time (S3), micros. */
  readonly at: bigint;
  readonly signal: AbortSignal;
  /** `performance.now()` when the request came in. */
  readonly started: number;
}

/** The answer's body. */
export async function getFeatures(
  serving: Serving,
  params: GetFeaturesParams,
  context: GetFeaturesContext,
): Promise<object> {
  const reader = await serving.service(params.featureServiceName, context.signal);
  refuseUnknown(reader, params);
  const read = performance.now();
  const [answer] = await reader.read([params.joinKeyMap], { at: context.at, signal: context.signal });
  const storeSeconds = (performance.now() - read) / 1000;
  const slots = slotsOf(reader);
  const result = { features: slots.map((slot) => slot.encode(answer!.values[slot.index])) };
  const options = params.metadataOptions;
  if (!Object.values(options).includes(true)) return { result };
  const features = slots.map((slot) => describe(slot, answer!, options));
  const sloInfo = options["includeSloInfo"]
    ? {
      sloInfo: {
        sloEligible: true,
        sloServerTimeSeconds: seconds(context.started),
        storeMaxLatency: storeSeconds,
        serverTimeSeconds: seconds(context.started),
      },
    }
    : {};
  return { result, metadata: { features, ...sloInfo } };
}

/** A name that nothing reads is a mistake of the client: better told than ignored. */
function refuseUnknown(reader: ServiceReader, { joinKeyMap, requestContextMap }: GetFeaturesParams): void {
  const known = new Set(reader.joinKeys.map(({ name }) => name));
  const extra = Object.keys(joinKeyMap).filter((name) => !known.has(name));
  if (extra.length > 0) {
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot read service "${reader.service}": ${
        extra.map((name) => JSON.stringify(name)).join(", ")
      } is no join key of it; join keys are ${[...known].join(", ")}`,
      { details: { service: reader.service, extra } },
    );
  }
  const context = Object.keys(requestContextMap);
  if (context.length === 0) return;
  throw new VarveError(
    "INVALID_REQUEST",
    `Cannot read service "${reader.service}": it takes no request context, and ${
      context.map((name) => JSON.stringify(name)).join(", ")
    } is given; leave requestContextMap out`,
    { details: { service: reader.service, extra: context } },
  );
}

function describe(slot: Slot, answer: Answer, options: Readonly<Record<string, boolean>>): object {
  const effective = answer.effectiveTimes[slot.index];
  return {
    ...(options["includeNames"] ? { name: slot.name } : {}),
    ...(options["includeEffectiveTimes"]
      ? { effectiveTime: effective === undefined ? null : formatTimestamp(effective) }
      : {}),
    ...(options["includeDataTypes"] ? { dataType: slot.type } : {}),
    // Tecton knows present and missing; why a value is missing (expired, null key, no row) is said in varve's own status.
    ...(options["includeServingStatus"]
      ? {
        status: answer.statuses[slot.index] === "PRESENT" ? "PRESENT" : "MISSING_DATA",
        reason: answer.statuses[slot.index],
      }
      : {}),
    ...(options["includeFeatureDescriptions"] ? { description: slot.description ?? null } : {}),
    ...(options["includeFeatureTags"] ? { tags: slot.tags } : {}),
  };
}

function slotsOf(reader: ServiceReader): readonly Slot[] {
  let slots = slotsByReader.get(reader);
  if (!slots) {
    slots = reader.features
      .map((feature, index) => ({
        name: `${feature.namespace}.${feature.name}`,
        index,
        type: tectonType(feature.type),
        encode: jsonEncoder(feature.type),
        description: feature.description,
        tags: feature.tags ?? {},
      }))
      .sort((a, b) => a.name < b.name ? -1 : 1);
    slotsByReader.set(reader, slots);
  }
  return slots;
}

function seconds(since: number): number {
  return (performance.now() - since) / 1000;
}
