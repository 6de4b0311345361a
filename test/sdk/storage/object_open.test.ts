import { describe, expect, it } from "vitest";
import { objectStoreFrom } from "../../../sdk/storage/object_open.ts";

const cacheFolder = "/tmp/never-written";

describe("objectStoreFrom()", () => {
  it.each([
    ["s3://bucket/a/b/", "S3 bucket s3://bucket/a/b"],
    ["s3://bucket", "S3 bucket s3://bucket/"],
    ["file:///data/it%20is", "folder /data/it is"],
    ["/data/varve", "folder /data/varve"],
  ])("opens %s", (url, description) => {
    expect(objectStoreFrom(url, { cacheFolder }).description).toBe(description);
  });

  it("opens a relative path below the current folder", () => {
    expect(objectStoreFrom(".varve/data", { cacheFolder }).description).toBe(`folder ${process.cwd()}/.varve/data`);
  });

  it.each(["", "s3://", "s3:///prefix", "gs://bucket/x", "https://key:secret@host/x", "s3://bucket/a b"])(
    "refuses %j and says what it takes",
    (url) => {
      expect(() => objectStoreFrom(url, { cacheFolder })).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining("secret") }),
      );
    },
  );

  it("names the server, not the keys in its URL", () => {
    const store = objectStoreFrom("s3://bucket/x", { cacheFolder, endpoint: "http://key:secret@127.0.0.1:9000" });
    expect(store.description).toBe("S3 bucket s3://bucket/x at 127.0.0.1:9000");
  });
});
