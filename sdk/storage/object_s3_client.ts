/** Which bucket, and how its server is spoken to: the door to the AWS SDK. */
import type { S3Client } from "@aws-sdk/client-s3";
import { VarveError } from "../errors.ts";

/** The keys to a bucket. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** Which bucket, how to reach it, and how patient to be. */
export interface S3Options {
  readonly bucket: string;
  /** Everything lives below it. @default "" */
  readonly prefix?: string;
  /** A server other than Amazon's: `http://127.0.0.1:9000`. */
  readonly endpoint?: string;
  /** @default "us-east-1" with an endpoint, else what the AWS configuration of this computer says */
  readonly region?: string;
  /** @default what the AWS configuration of this computer says */
  readonly credentials?: S3Credentials;
  /** Where copies of objects are kept on local disk. */
  readonly cacheFolder: string;
  /** How much of them. @default 20 GB */
  readonly cacheBytes?: number;
  /** How long a copy stays after it was asked for, at least. @default one hour */
  readonly cacheKeepMs?: number;
  /** Tries in all. @default 6 */
  readonly attempts?: number;
  /** The longest wait before the second try; it doubles with each one. @default 100 */
  readonly retryDelayMs?: number;
  /** How long one try may take without progress. @default 20,000 */
  readonly timeoutMs?: number;
  /** Files larger than this go up in parts of this size. @default 16 MiB */
  readonly partBytes?: number;
}

/** A client of one bucket's server, and the commands it sends. */
export interface LoadedS3 {
  readonly client: S3Client;
  readonly sdk: typeof import("@aws-sdk/client-s3");
}

/** The SDK is slow to load: only who talks to a bucket pays for it. */
export async function loadS3(options: S3Options): Promise<LoadedS3> {
  // It would print that its next year's versions want another Node; package.json decides which version is used.
  process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
  const sdk = await import("@aws-sdk/client-s3");
  const { endpoint, region = endpoint === undefined ? undefined : "us-east-1", credentials } = options;
  const client = new sdk.S3Client({
    ...region !== undefined && { region },
    ...credentials && { credentials: { ...credentials } },
    // Servers other than Amazon's rarely have a host name for every bucket.
    ...endpoint !== undefined && { endpoint, forcePathStyle: true },
    // Tries are counted in one place: here.
    maxAttempts: 1,
    requestHandler: { connectionTimeout: 5_000 },
  });
  return { client, sdk };
}

/** What messages call an endpoint. */
export function hostOf(endpoint: string): string {
  try {
    return new URL(endpoint).host;
  } catch {
    throw new VarveError("INVALID_CONFIG", `Cannot use the S3 endpoint: it is not a URL; write it as http://host:port`);
  }
}
