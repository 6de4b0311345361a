/** Lets views be profiled, and shown with what they hold, before they have a store. Import it for its effect. */
import { useSourceFacts } from "./define/view_facts.ts";
import { setProfileView } from "./define/view_profile.ts";
import { frameEngine } from "./engine/install.ts";
import { readStopped, stoppable } from "./interrupt.ts";
import { systemClock } from "./time.ts";

setProfileView(async (definition, options) => {
  const { viewProfile } = await import("./retrieve/view_profile.ts");
  return await stoppable(
    options,
    readStopped,
    async (stopped) =>
      await viewProfile(await frameEngine(), { definition, version: 0 }, undefined, {
        ...stopped,
        now: systemClock.now(),
      }),
  );
});

useSourceFacts(async (definition) => {
  const { viewGlance } = await import("./retrieve/view_glance.ts");
  return await viewGlance(await frameEngine(), { definition, version: 0 }, { now: systemClock.now() });
});
