import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type S3Server, startS3 } from "./s3_server.ts";

const clientOf = ({ endpoint, region, accessKeyId, secretAccessKey }: S3Server) =>
  new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    maxAttempts: 1,
  });

describe("startS3()", () => {
  let server: S3Server;
  let client: S3Client;
  const Bucket = "varve";
  const folder = mkdtempSync(join(tmpdir(), "varve-s3-server-"));
  const statusOf = (sent: Promise<unknown>) => sent.then(() => 200, (error) => error.$metadata.httpStatusCode);
  const put = (Key: string, Body: string | Buffer, rest = {}) =>
    client.send(new PutObjectCommand({ Bucket, Key, Body, ...rest }));
  const get = async (Key: string, rest = {}) => {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key, ...rest }));
    return Buffer.from(await Body!.transformToByteArray());
  };

  beforeAll(async () => {
    server = await startS3({ folder });
    client = clientOf(server);
  });
  afterAll(async () => {
    client.destroy();
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("stores a streamed body with a trailing checksum exactly", async () => {
    const body = randomBytes(300_045);
    const Body = Readable.from([body.subarray(0, 100_000), body.subarray(100_000)]);
    await client.send(new PutObjectCommand({ Bucket, Key: "streamed", Body, ContentLength: body.byteLength }));
    expect((await get("streamed")).equals(body)).toBe(true);
  });

  it("refuses a wrong checksum", async () => {
    expect(await statusOf(put("wrong", "body", { ChecksumCRC32: "AAAAAA==" }))).toBe(400);
    expect(await statusOf(get("wrong"))).toBe(404);
  });

  it("gives ranges, from the end too", async () => {
    await put("range", "0123456789");
    expect((await get("range", { Range: "bytes=2-4" })).toString()).toBe("234");
    expect((await get("range", { Range: "bytes=7-" })).toString()).toBe("789");
    expect((await get("range", { Range: "bytes=-2" })).toString()).toBe("89");
    expect(await statusOf(get("range", { Range: "bytes=10-" }))).toBe(416);
  });

  it("lets one of 30 racing If-Match writers win", async () => {
    const { ETag } = await put("match", "first");
    const raced = await Promise.all(
      Array.from({ length: 30 }, (_, i) => statusOf(put("match", `${i}`, { IfMatch: ETag }))),
    );
    expect(raced.filter((status) => status === 200)).toHaveLength(1);
    expect(new Set(raced)).toEqual(new Set([200, 412]));
  });

  it("completes an upload only if its condition holds", async () => {
    await put("taken", "x");
    const upload = async (Key: string) => {
      const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
      const sent = await client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: "part" }));
      const MultipartUpload = { Parts: [{ PartNumber: 1, ETag: sent.ETag }] };
      const command = { Bucket, Key, UploadId, MultipartUpload, IfNoneMatch: "*" };
      return await statusOf(client.send(new CompleteMultipartUploadCommand(command)));
    };
    expect(await upload("taken")).toBe(412);
    expect(await upload("free")).toBe(200);
    expect((await get("free")).toString()).toBe("part");
  });

  it("lists folders, page by page", async () => {
    for (const key of ["f/a/1", "f/a/2", "f/b", "f/c/1", "f/d"]) await put(key, "x");
    const names: (string | undefined)[] = [];
    let ContinuationToken: string | undefined;
    do {
      const page = await client.send(
        new ListObjectsV2Command({ Bucket, Prefix: "f/", Delimiter: "/", MaxKeys: 1, ContinuationToken }),
      );
      names.push(
        ...(page.Contents ?? []).map(({ Key }) => Key),
        ...(page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix),
      );
      ContinuationToken = page.NextContinuationToken;
    } while (ContinuationToken);
    expect(names).toEqual(["f/a/", "f/b", "f/c/", "f/d"]);
  });

  it("keeps its objects in the folder", async () => {
    await put("kept ü&<", "first");
    await put("kept ü&<", "kept");
    const next = await startS3({ folder });
    const other = clientOf(next);
    const { Body } = await other.send(new GetObjectCommand({ Bucket, Key: "kept ü&<" }));
    expect(await Body!.transformToString()).toBe("kept");
    other.destroy();
    await next.close();
  });
});
