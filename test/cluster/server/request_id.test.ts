import { describe, expect, it } from "vitest";
import { newRequestId } from "../../../cluster/server/request_id.ts";

describe("newRequestId()", () => {
  it("gives random UUIDs of version 4, none of them twice", () => {
    const ids = Array.from({ length: 20_000 }, newRequestId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    // Every digit that is free takes every value.
    for (let at = 0; at < 36; at++) {
      const values = new Set(ids.map((id) => id[at])).size;
      expect(values).toBe([8, 13, 14, 18, 23].includes(at) ? 1 : at === 19 ? 4 : 16);
    }
  });
});
