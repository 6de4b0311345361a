import { describe, expect, it } from "vitest";
import { namesLike } from "../../sdk/text.ts";

describe("namesLike()", () => {
  it("gives all names where there are few, in their order", () => {
    expect(namesLike("c", [])).toBe("none");
    expect(namesLike("c", ["b", "a"])).toBe("b, a");
  });

  it("gives of many those that begin most like the one that was wanted, and counts the others", () => {
    const names = Array.from({ length: 1_500 }, (_, i) => `service_${i}`);
    const told = namesLike("fraud_modle", [...names.slice(0, 700), "fraud_model", "fraud_rules", ...names.slice(700)]);
    expect(told).toMatch(/^fraud_model, fraud_rules, service_0, service_1, .*, service_17 and 1,482 more$/);
  });
});
