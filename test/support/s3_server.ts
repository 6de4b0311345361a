/**
 * A small S3 server on node:http: one bucket, path style, conditional writes that hold, signatures and checksums that are
 * checked, and faults on demand. `tsx test/support/s3_server.ts --port 0 --folder X` prints how to reach it as JSON.
 */
import { mkdirSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { checkBody, checkSignature, S3Error, type S3Key } from "./s3_auth.ts";
import { type Fault, Faults } from "./s3_faults.ts";
import { md5, type StoredObject, StoredObjects } from "./s3_objects.ts";

/** What `startS3` may be told. */
export interface S3ServerOptions {
  /** @default any free port */
  readonly port?: number;
  /** Objects are kept here. @default in memory */
  readonly folder?: string;
  /** @default "varve" */
  readonly bucket?: string;
  /** Entries in one page of a listing, at most. @default 1000 */
  readonly pageSize?: number;
}

/** A running server. */
export interface S3Server extends S3Key {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly faults: Faults;
  /** Requests since the start, by method. */
  readonly requests: Readonly<Record<string, number>>;
  close(): Promise<void>;
}

/** Starts a server on the loopback interface. */
export async function startS3(options: S3ServerOptions = {}): Promise<S3Server> {
  const { port = 0, folder, bucket = "varve", pageSize = 1000 } = options;
  if (folder !== undefined) mkdirSync(folder, { recursive: true });
  const key = { accessKeyId: "varve-test-key", secretAccessKey: "varve-test-secret" };
  const faults = new Faults();
  const requests: Record<string, number> = {};
  const service = new Service(bucket, key, new StoredObjects(folder), faults, pageSize);
  const server = createServer((request, response) => {
    requests[request.method!] = (requests[request.method!] ?? 0) + 1;
    void service.answer(request, response);
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { endpoint, region: "us-east-1", bucket, ...key, faults, requests, close: () => close(server) };
}

interface Upload {
  readonly key: string;
  readonly parts: Map<number, Buffer>;
}

interface Asked {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  readonly key: string;
  readonly fault: Fault | undefined;
}

class Service {
  readonly #bucket: string;
  readonly #signingKey: S3Key;
  readonly #objects: StoredObjects;
  readonly #faults: Faults;
  readonly #pageSize: number;
  readonly #uploads = new Map<string, Upload>();
  #uploadCount = 0;

  constructor(bucket: string, key: S3Key, objects: StoredObjects, faults: Faults, pageSize: number) {
    this.#bucket = bucket;
    this.#signingKey = key;
    this.#objects = objects;
    this.#faults = faults;
    this.#pageSize = pageSize;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const url = new URL(request.url!, "http://s3");
      const [, bucket = "", ...rest] = url.pathname.split("/");
      const key = rest.map(decodeURIComponent).join("/");
      const fault = this.#faults.take(request.method!, key);
      if (fault?.kind === "hang") return;
      if (fault?.kind === "foreign") return send(response, fault.status ?? 200, fault.body);
      if (fault?.kind === "error") throw new S3Error(fault.status, fault.code, "A test asked for this error");
      checkSignature(request, this.#signingKey);
      if (bucket !== this.#bucket) throw new S3Error(404, "NoSuchBucket", `There is no bucket "${bucket}"`);
      const { body, checksums } = checkBody(request, Buffer.concat(chunks));
      const asked = { request, response, query: url.searchParams, key, fault };
      if (key === "") return this.#answerBucket(asked, body);
      await this.#answerObject(asked, body, checksums);
    } catch (error) {
      sendError(request, response, error);
    }
  }

  #answerBucket({ request, response, query, fault }: Asked, body: Buffer): void {
    if (request.method === "HEAD") return send(response, 200);
    if (request.method === "GET" && query.get("list-type") === "2") {
      return send(response, 200, this.#list(query), fault);
    }
    if (request.method === "POST" && query.has("delete")) {
      const keys = [...body.toString().matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key]) => unescapeXml(key!));
      keys.forEach((key) => this.#objects.delete(key));
      const deleted = keys.map((key) => `<Deleted><Key>${escapeXml(key)}</Key></Deleted>`).join("");
      return send(response, 200, `<DeleteResult>${body.includes("<Quiet>true<") ? "" : deleted}</DeleteResult>`, fault);
    }
    throw new S3Error(501, "NotImplemented", `${request.method} of a bucket is not implemented`);
  }

  async #answerObject(asked: Asked, body: Buffer, checksums: Record<string, string>): Promise<void> {
    const { request, response, query, key, fault } = asked;
    const uploadId = query.get("uploadId");
    if ("x-amz-copy-source" in request.headers) throw new S3Error(501, "NotImplemented", "Copying is not implemented");
    switch (request.method) {
      case "GET":
      case "HEAD":
        return await this.#get(asked);
      case "PUT": {
        if (uploadId !== null) {
          this.#upload(uploadId, key).parts.set(Number(query.get("partNumber")), body);
          return send(response, 200, "", fault, { etag: `"${md5(body).toString("hex")}"`, ...checksums });
        }
        this.#checkConditions(asked);
        const { etag } = this.#objects.put(key, body, checksums);
        return send(response, 200, "", fault, { etag, ...checksums });
      }
      case "DELETE":
        if (uploadId === null) this.#objects.delete(key);
        else this.#uploads.delete(uploadId);
        return send(response, 204, "", fault);
      case "POST":
        if (query.has("uploads")) {
          const id = `upload-${++this.#uploadCount}`;
          this.#uploads.set(id, { key, parts: new Map() });
          const xml = `<Bucket>${this.#bucket}</Bucket><Key>${escapeXml(key)}</Key><UploadId>${id}</UploadId>`;
          const result = `<InitiateMultipartUploadResult>${xml}</InitiateMultipartUploadResult>`;
          return send(response, 200, result, fault);
        }
        if (uploadId !== null) return this.#complete(asked, uploadId, body.toString());
    }
    throw new S3Error(501, "NotImplemented", `${request.method} of an object is not implemented`);
  }

  async #get({ request, response, key, fault }: Asked): Promise<void> {
    const object = this.#objects.find(key);
    if (!object) throw new S3Error(404, "NoSuchKey", "There is no such object");
    const range = rangeOf(request.headers.range, object.size);
    const checksums = request.headers["x-amz-checksum-mode"] === "ENABLED" && !range ? object.checksums : {};
    const { start, end } = range ?? { start: 0, end: object.size };
    const headers = {
      etag: object.etag,
      "last-modified": new Date(object.modified).toUTCString(),
      "accept-ranges": "bytes",
      "content-type": "application/octet-stream",
      "content-length": String(end - start),
      ...range && { "content-range": `bytes ${start}-${end - 1}/${object.size}` },
      ...checksums,
    };
    if (request.method === "HEAD") {
      response.writeHead(200, headers).end();
      return;
    }
    const body = (await this.#objects.read(key)).subarray(start, end);
    response.writeHead(range ? 206 : 200, headers);
    await sendBody(response, body, fault);
  }

  #complete({ request, response, key, fault, ...asked }: Asked, uploadId: string, xml: string): void {
    const upload = this.#upload(uploadId, key);
    const wanted = [...xml.matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, part]) => ({
      number: Number(/<PartNumber>(\d+)</.exec(part!)?.[1]),
      etag: unescapeXml(/<ETag>([^<]*)</.exec(part!)?.[1] ?? "").replaceAll('"', ""),
    }));
    const parts = wanted.map(({ number, etag }, i) => {
      const part = upload.parts.get(number);
      if (!part || md5(part).toString("hex") !== etag) {
        throw new S3Error(400, "InvalidPart", `Part ${number} is not here`);
      }
      if (i > 0 && number <= wanted[i - 1]!.number) {
        throw new S3Error(400, "InvalidPartOrder", "Parts are out of order");
      }
      return part;
    });
    if (parts.length === 0) throw new S3Error(400, "MalformedXML", "There are no parts");
    this.#checkConditions({ request, response, key, fault, ...asked });
    this.#uploads.delete(uploadId);
    const etag = `${md5(Buffer.concat(parts.map(md5))).toString("hex")}-${parts.length}`;
    const object = this.#objects.put(key, Buffer.concat(parts), {}, etag);
    const result = `<Key>${escapeXml(key)}</Key><ETag>${escapeXml(object.etag)}</ETag>`;
    send(response, 200, `<CompleteMultipartUploadResult>${result}</CompleteMultipartUploadResult>`, fault);
  }

  #upload(id: string, key: string): Upload {
    const upload = this.#uploads.get(id);
    if (upload?.key !== key) throw new S3Error(404, "NoSuchUpload", "There is no such upload");
    return upload;
  }

  #checkConditions({ request, key, fault }: Asked): void {
    if (fault?.kind === "ignoreConditions") return;
    const object = this.#objects.find(key);
    const { "if-none-match": none, "if-match": match } = request.headers;
    if (none !== undefined && none !== "*") throw new S3Error(501, "NotImplemented", "If-None-Match takes * only");
    if (match !== undefined && !object) throw new S3Error(404, "NoSuchKey", "There is no such object");
    if (
      (none !== undefined && object) ||
      (match !== undefined && object?.etag.replaceAll('"', "") !== match.replaceAll('"', ""))
    ) {
      throw new S3Error(412, "PreconditionFailed", "At least one of the conditions does not hold");
    }
  }

  #list(query: URLSearchParams): string {
    const prefix = query.get("prefix") ?? "";
    const delimiter = query.get("delimiter") ?? "";
    const token = query.get("continuation-token");
    const after = token === null ? query.get("start-after") ?? "" : Buffer.from(token, "base64url").toString();
    const limit = Math.min(Number(query.get("max-keys") ?? this.#pageSize), this.#pageSize);
    const entries = new Map<string, { last: string; object?: StoredObject }>();
    let truncated = false;
    for (const object of this.#objects.list(prefix, after)) {
      const cut = delimiter === "" ? -1 : object.key.indexOf(delimiter, prefix.length);
      const folder = cut < 0 ? undefined : object.key.slice(0, cut + delimiter.length);
      // A page ended with this folder: the rest of it was not listed, and is not listed now.
      if (folder !== undefined && token !== null && after.startsWith(folder)) continue;
      if (entries.size === limit && !entries.has(folder ?? object.key)) {
        truncated = true;
        break;
      }
      entries.set(folder ?? object.key, { last: object.key, ...folder === undefined && { object } });
    }
    const last = [...entries.values()].at(-1)?.last ?? "";
    const next = `<NextContinuationToken>${Buffer.from(last).toString("base64url")}</NextContinuationToken>`;
    const items = [...entries].map(([name, { object }]) => object ? contentsXml(object) : folderXml(name)).join("");
    return `<ListBucketResult><Name>${this.#bucket}</Name><Prefix>${
      escapeXml(prefix)
    }</Prefix><KeyCount>${entries.size}` +
      `</KeyCount><MaxKeys>${limit}</MaxKeys><IsTruncated>${truncated}</IsTruncated>${truncated ? next : ""}${items}` +
      `</ListBucketResult>`;
  }
}

function contentsXml({ key, size, etag, modified }: StoredObject): string {
  return `<Contents><Key>${escapeXml(key)}</Key><LastModified>${new Date(modified).toISOString()}</LastModified>` +
    `<ETag>${escapeXml(etag)}</ETag><Size>${size}</Size><StorageClass>STANDARD</StorageClass></Contents>`;
}

function folderXml(name: string): string {
  return `<CommonPrefixes><Prefix>${escapeXml(name)}</Prefix></CommonPrefixes>`;
}

function rangeOf(header: string | undefined, size: number): { start: number; end: number } | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  if (!match || (match[1] === "" && match[2] === "")) return undefined;
  const suffix = match[1] === "";
  const start = suffix ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = suffix || match[2] === "" ? size : Math.min(size, Number(match[2]) + 1);
  if (start >= end) throw new S3Error(416, "InvalidRange", "The range is outside of the object");
  return { start, end };
}

function send(
  response: ServerResponse,
  status: number,
  xml = "",
  fault?: Fault,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (fault?.kind === "dropReply") {
    response.destroy();
    return;
  }
  const body = Buffer.from(xml === "" ? "" : `<?xml version="1.0" encoding="UTF-8"?>${xml}`);
  const length = status === 204 ? {} : { "content-length": String(body.byteLength) };
  response.writeHead(status, { "content-type": "application/xml", ...length, ...headers }).end(body);
}

async function sendBody(response: ServerResponse, body: Buffer, fault: Fault | undefined): Promise<void> {
  switch (fault?.kind) {
    case "truncate":
      response.write(body.subarray(0, Math.floor(body.byteLength / 2)), () => response.destroy());
      return;
    case "dropReply":
      response.destroy();
      return;
    case "slowBody": {
      const step = Math.max(1, Math.ceil(body.byteLength / 10));
      for (let at = 0; at < body.byteLength && !response.destroyed; at += step) {
        await sleep(fault.pauseMs);
        response.write(body.subarray(at, at + step));
      }
      response.end();
      return;
    }
    case "corrupt": {
      const other = Buffer.from(body);
      if (other.byteLength > 0) other[other.byteLength >> 1]! ^= 1;
      response.end(other);
      return;
    }
    default:
      response.end(body);
  }
}

function sendError(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  if (response.destroyed) return;
  const { status, code, message } = error instanceof S3Error
    ? error
    : new S3Error(500, "InternalError", error instanceof Error ? error.message : String(error));
  const xml = `<Error><Code>${code}</Code><Message>${escapeXml(message)}</Message></Error>`;
  send(response, status, request.method === "HEAD" ? "" : xml);
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

function unescapeXml(text: string): string {
  return text.replaceAll("&quot;", '"').replaceAll("&#34;", '"').replaceAll("&lt;", "<").replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { port: { type: "string" }, folder: { type: "string" }, bucket: { type: "string" } },
  });
  const { port, ...rest } = values;
  const { endpoint, accessKeyId, secretAccessKey, region, bucket, close } = await startS3({
    ...port !== undefined && { port: Number(port) },
    ...rest,
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => void close().then(() => process.exit(0)));
  }
  console.log(JSON.stringify({ endpoint, accessKeyId, secretAccessKey, region, bucket }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) void main();
