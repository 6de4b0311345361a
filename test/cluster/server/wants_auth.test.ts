import { describe, expect, it } from "vitest";
import { wantsAuth } from "../../../cluster/server/wants_auth.ts";
import { serverConfig } from "./served_store.ts";

describe("wantsAuth()", () => {
  const away = "10.0.0.1";
  const here = "127.0.0.1";
  it.each(
    [
      ["serve", here, undefined, undefined, true],
      ["serve", away, undefined, undefined, true],
      ["serve", here, "off", undefined, false],
      ["serve", here, "off", true, true],
      ["serve", here, "on", false, false],
      ["up", here, undefined, undefined, false],
      ["up", away, undefined, undefined, true],
      ["up", here, "on", undefined, true],
      ["up", here, undefined, true, true],
      ["up", away, undefined, false, false],
    ] as const,
  )("%s on %s, VARVE_AUTH %s, flag %s: %s", (command, host, auth, flag, expected) => {
    const { isOn, note } = wantsAuth(command, { ...serverConfig, host, ...(auth && { auth }) }, flag);
    expect([isOn, note === ""]).toEqual([expected, expected]);
  });
});
