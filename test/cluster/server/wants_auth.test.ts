import { describe, expect, it } from "vitest";
import { wantsAuth } from "../../../cluster/server/wants_auth.ts";
import { serverConfig } from "./served_store.ts";

describe("wantsAuth()", () => {
  const away = "10.0.0.1";
  const here = "127.0.0.1";
  it.each(
    [
      [here, undefined, undefined, true],
      [away, undefined, undefined, true],
      [here, "off", undefined, false],
      [here, "off", true, true],
      [here, "on", false, false],
      [away, undefined, false, false],
    ] as const,
  )("on %s, VARVE_AUTH %s, flag %s: %s", (host, auth, flag, expected) => {
    const { isOn, note } = wantsAuth({ ...serverConfig, host, ...(auth && { auth }) }, flag);
    expect([isOn, note === ""]).toEqual([expected, expected]);
  });
});
