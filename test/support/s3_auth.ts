/** How the S3 server checks who asks (Signature Version 4) and that what arrived is what was sent. */
import { createHash, createHmac } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { crc32 } from "node:zlib";
import { md5 } from "./s3_objects.ts";

/** Answered as an XML error. */
export class S3Error extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The key that requests are signed with. */
export interface S3Key {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const authorizationPattern =
  /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/;

/** Refuses a request that was not signed with the key. */
export function checkSignature(request: IncomingMessage, key: S3Key): void {
  const match = authorizationPattern.exec(request.headers.authorization ?? "");
  if (!match) throw new S3Error(403, "AccessDenied", "The request has no AWS4-HMAC-SHA256 signature");
  const [, accessKeyId, day, region, signedHeaders, signature] = match;
  if (accessKeyId !== key.accessKeyId) {
    throw new S3Error(403, "InvalidAccessKeyId", "The access key does not exist");
  }
  const time = headerOf(request, "x-amz-date") ?? "";
  if (!time.startsWith(day!)) throw new S3Error(403, "AccessDenied", "x-amz-date is not of the credential's day");
  const scope = `${day}/${region}/s3/aws4_request`;
  const text = ["AWS4-HMAC-SHA256", time, scope, sha256(canonical(request, signedHeaders!)).toString("hex")].join("\n");
  const signing = [day!, region!, "s3", "aws4_request"].reduce<Buffer | string>(hmac, `AWS4${key.secretAccessKey}`);
  if (hmac(signing, text).toString("hex") !== signature) {
    throw new S3Error(403, "SignatureDoesNotMatch", "The signature is not the one that the server computes");
  }
}

/** The body that was meant, from the bytes that came: chunks taken apart, hashes and checksums compared. */
export function checkBody(
  request: IncomingMessage,
  raw: Buffer,
): { readonly body: Buffer; readonly checksums: Record<string, string> } {
  const sent = headerOf(request, "x-amz-content-sha256") ?? "UNSIGNED-PAYLOAD";
  let body = raw;
  let trailers: Record<string, string> = {};
  if (sent === "STREAMING-UNSIGNED-PAYLOAD-TRAILER") ({ body, trailers } = unchunk(raw));
  else if (sent.startsWith("STREAMING-")) throw new S3Error(501, "NotImplemented", `${sent} is not implemented`);
  else if (sent !== "UNSIGNED-PAYLOAD" && sent !== sha256(raw).toString("hex")) {
    throw new S3Error(400, "XAmzContentSHA256Mismatch", "The body is not what x-amz-content-sha256 says");
  }
  const length = headerOf(request, "x-amz-decoded-content-length");
  if (length !== undefined && Number(length) !== body.byteLength) {
    throw new S3Error(400, "IncompleteBody", `${body.byteLength} bytes arrived of ${length}`);
  }
  const digest = headerOf(request, "content-md5");
  if (digest !== undefined && digest !== md5(body).toString("base64")) {
    throw new S3Error(400, "BadDigest", "The body is not what Content-MD5 says");
  }
  return { body, checksums: checkChecksums(request, body, trailers) };
}

function checkChecksums(
  request: IncomingMessage,
  body: Buffer,
  trailers: Readonly<Record<string, string>>,
): Record<string, string> {
  const checksums: Record<string, string> = {};
  for (const [name, value] of Object.entries({ ...request.headers, ...trailers })) {
    const algorithm = /^x-amz-checksum-(crc32|crc32c|crc64nvme|sha1|sha256)$/.exec(name)?.[1];
    if (algorithm === undefined) continue;
    if (checksum(algorithm, body) !== value) throw new S3Error(400, "BadDigest", `The body is not what ${name} says`);
    checksums[name] = String(value);
  }
  const promised = headerOf(request, "x-amz-trailer");
  if (promised !== undefined && !(promised in trailers)) {
    throw new S3Error(400, "MalformedTrailerError", `The trailer ${promised} is missing`);
  }
  return checksums;
}

function checksum(algorithm: string, body: Buffer): string {
  switch (algorithm) {
    case "crc32": {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(crc32(body));
      return bytes.toString("base64");
    }
    case "sha1":
    case "sha256":
      return createHash(algorithm).update(body).digest("base64");
    default:
      throw new S3Error(501, "NotImplemented", `Checksum ${algorithm} is not implemented`);
  }
}

/** Takes aws-chunked apart: hexadecimal length, bytes, and after the empty chunk the trailing headers. */
function unchunk(raw: Buffer): { body: Buffer; trailers: Record<string, string> } {
  const chunks: Buffer[] = [];
  const lineAt = (start: number) => {
    const end = raw.indexOf("\r\n", start);
    if (end < 0) throw new S3Error(400, "IncompleteBody", "A chunk has no end");
    return { line: raw.toString("latin1", start, end), next: end + 2 };
  };
  for (let at = 0;;) {
    const { line, next } = lineAt(at);
    const length = Number.parseInt(line, 16);
    if (!(length >= 0) || next + length > raw.byteLength) {
      throw new S3Error(400, "IncompleteBody", "A chunk is cut off");
    }
    if (length === 0) return { body: Buffer.concat(chunks), trailers: readTrailers(raw.toString("latin1", next)) };
    chunks.push(raw.subarray(next, next + length));
    at = next + length + 2;
  }
}

function readTrailers(text: string): Record<string, string> {
  const lines = text.split("\r\n").filter((line) => line.includes(":"));
  return Object.fromEntries(lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()];
  }));
}

function canonical(request: IncomingMessage, signedHeaders: string): string {
  const [path, query = ""] = request.url!.split("?");
  const parameters = query === "" ? [] : query.split("&").map((part) => part.includes("=") ? part : `${part}=`);
  const headers = signedHeaders.split(";").map((name) => `${name}:${(headerOf(request, name) ?? "").trim()}\n`);
  return [
    request.method,
    path,
    parameters.sort().join("&"),
    headers.join(""),
    signedHeaders,
    headerOf(request, "x-amz-content-sha256"),
  ].join("\n");
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(",") : value;
}

function sha256(data: string | Buffer): Buffer {
  return createHash("sha256").update(data).digest();
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
