/** View states as text, the same way in every online store: equal states have equal text, so stores compare and set text. */
import type { ViewState } from "./online_store.ts";

/** Names a view version's state. */
export function stateKey(view: string, version: number): string {
  return `${view}/${version}`;
}

/** The one text of a state. */
export function stateText(state: ViewState): string {
  const { view, version, collection, appliedVersion, watermark, layout, updatedAt, epoch, cutKeys } = state;
  return JSON.stringify({ view, version, collection, appliedVersion, watermark, layout, updatedAt, epoch, cutKeys });
}

/** The state of a text that a store holds. */
export function parseState(text: string): ViewState {
  return Object.freeze(JSON.parse(text) as ViewState);
}
