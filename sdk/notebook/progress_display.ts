/** Long work below the cell that waits for it: a bar per view, replaced in place, that ends in a summary. */
import { type Display, type MimeBundle, showInCell } from "../display.ts";
import type { Progress } from "../materialize/progress.ts";
import { escapeHtml } from "./html.ts";
import { factsOf, isIdle, nameOf, type ProgressBars } from "./progress_bar.ts";

/** A page needs no more than this. */
const millisecondsBetween = 100;

/** Bars in a notebook; `elapsedSeconds` is measured by the caller's clock. */
export function progressDisplay(elapsedSeconds: () => number): ProgressBars {
  const states = new Map<string, { readonly progress: Progress; readonly facts: string }>();
  let display: Display | undefined;
  let shownAt = -Infinity;
  let isShown = true;
  const draw = () => {
    if (states.size === 0 || isShown) return;
    isShown = true;
    const bundle = barsBundle([...states.values()]);
    if (display) display.update(bundle);
    else display = showInCell(bundle);
  };
  return {
    update(progress) {
      if (isIdle(progress)) return;
      const seconds = elapsedSeconds();
      states.set(nameOf(progress), { progress, facts: factsOf(progress, seconds) });
      isShown = false;
      const comesAgain = progress.phase === "slices" || progress.phase === "online";
      if (comesAgain && seconds * 1000 - shownAt < millisecondsBetween) return;
      shownAt = seconds * 1000;
      draw();
    },
    stop: draw,
  };
}

function barsBundle(states: readonly { readonly progress: Progress; readonly facts: string }[]): MimeBundle {
  const lines = states.map(({ progress, facts }) => ({ name: nameOf(progress), share: shareOf(progress), facts }));
  const rows = lines.map(({ name, share, facts }) =>
    `<tr><td>${escapeHtml(name)}</td><td><progress max="1" value="${share}"></progress></td><td>${
      escapeHtml(facts)
    }</td></tr>`
  );
  return {
    "text/html": `<table><tbody>${rows.join("\n")}</tbody></table>`,
    "text/plain": lines.map(({ name, share, facts }) => `${name}  ${Math.floor(100 * share)}%  ${facts}`).join("\n"),
  };
}

function shareOf({ phase, slicesDone, slicesTotal }: Progress): number {
  if (phase === "done") return 1;
  return Math.floor((1000 * slicesDone) / Math.max(1, slicesTotal)) / 1000;
}
