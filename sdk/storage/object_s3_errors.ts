/** What the errors of S3 and its SDK mean, without the credentials that some of them quote. */
import { type ErrorCode, messageOf, VarveError } from "../errors.ts";

const credentialErrors = new Set([
  "AccessDenied",
  "CredentialsProviderError",
  "ExpiredToken",
  "Forbidden",
  "InvalidAccessKeyId",
  "InvalidToken",
  "RequestTimeTooSkewed",
  "SignatureDoesNotMatch",
  "TokenRefreshRequired",
  "Unauthorized",
  "403",
  "401",
]);
const unreachable = /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH/;
const fullErrors = new Set(["QuotaExceeded", "StorageFull", "XMinioStorageFull"]);

/** Translates for one store; `details.final` marks errors that another try cannot mend. */
export class S3Errors {
  readonly #store: string;
  readonly #secrets: readonly string[];

  constructor(
    store: string,
    credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken?: string },
  ) {
    this.#store = store;
    this.#secrets = Object.values(credentials ?? {}).filter((secret) => typeof secret === "string" && secret !== "");
  }

  nameOf(error: unknown): string {
    return error instanceof Error ? error.name : "";
  }

  statusOf(error: unknown): number | undefined {
    if (typeof error !== "object" || error === null || !("$metadata" in error)) return undefined;
    return (error.$metadata as { readonly httpStatusCode?: number }).httpStatusCode;
  }

  /** Whether the server says that the key does not exist. A missing bucket, or the 404 of a proxy that has lost its server, does not. */
  isMissingKey(error: unknown): boolean {
    return this.statusOf(error) === 404 && this.nameOf(error) === "NoSuchKey";
  }

  missing(key: string): VarveError {
    return new VarveError("NOT_FOUND", `Cannot get object "${key}": ${this.#store} does not have it`);
  }

  translate(error: unknown, action: string): VarveError {
    if (error instanceof VarveError) return error;
    const name = this.nameOf(error);
    const status = this.statusOf(error);
    const fail = (code: ErrorCode, why: string, final = true) =>
      new VarveError(code, `Cannot ${action}: ${this.#store} ${why}`, {
        cause: this.#withoutSecrets(error),
        details: { final, ...status !== undefined && { status } },
      });
    if (name === "NoSuchBucket") return fail("NOT_FOUND", "does not exist; create the bucket");
    if (credentialErrors.has(name) || status === 401 || status === 403) {
      return fail("UNAVAILABLE", `refused the credentials (${name}); check the access key, its rights and the clock`);
    }
    if (fullErrors.has(name) || status === 507) return fail("EXHAUSTED", `is full (${name}); free some space`);
    if (status === 501) return fail("UNSUPPORTED", `cannot do this (${name}); use a server that can`);
    if (status === 301 || status === 307) return fail("UNAVAILABLE", "is in another region; set the region");
    if (isFileError(error)) throw error;
    const said = this.#scrub(messageOf(error)) || name;
    if (said === "Region is missing") {
      return fail("UNAVAILABLE", "has no region; set s3.region, VARVE_S3_REGION or AWS_REGION");
    }
    // Of the 4xx, only conflicts of racing writers and broken uploads get better by themselves.
    const hopeless = status !== undefined && status >= 400 && status < 500 && ![408, 409, 429].includes(status) &&
      !["BadDigest", "RequestTimeout", "IncompleteBody", "XAmzContentChecksumMismatch"].includes(name);
    if (hopeless) return fail("UNAVAILABLE", `refused it: ${name}: ${said}`);
    if (unreachable.test(said)) {
      return fail("UNAVAILABLE", `does not answer (${said}); start it, or correct the endpoint`, false);
    }
    if (name === "TimeoutError") return fail("TIMEOUT", `did not answer in time: ${said}`, false);
    return fail("UNAVAILABLE", `did not do it: ${said}`, false);
  }

  /** The SDK's errors quote request parts: only the name, the text and the request's number are kept. */
  #withoutSecrets(error: unknown): Error {
    const plain = new Error(this.#scrub(messageOf(error)));
    plain.name = this.nameOf(error) || "Error";
    return plain;
  }

  #scrub(text: string): string {
    return this.#secrets.reduce((rest, secret) => rest.replaceAll(secret, "***"), text);
  }
}

/** Errors of the local file system have a path or a file call; the network's do not. */
function isFileError(error: unknown): boolean {
  if (!(error instanceof Error) || !("syscall" in error)) return false;
  return ["open", "write", "read", "ftruncate", "fsync", "close"].includes(String(error.syscall)) &&
    ["ENOSPC", "EDQUOT", "EFBIG", "EACCES", "EROFS", "EMFILE"].includes(String("code" in error ? error.code : ""));
}
