/** Functions for tests of the sandbox. */
import { type AnyFunction, functionSource } from "../../../sdk/sandbox/function_source.ts";
import { hashOfSource } from "../../../sdk/sandbox/function_source.ts";
import type { PublishedFunction } from "../../../sdk/sandbox/published_function.ts";
import { schemaFrom, type SchemaTypes } from "../../../sdk/schema.ts";

/** A function as it is published. */
export function published(fn: AnyFunction, input: SchemaTypes, output: SchemaTypes, name = "view"): PublishedFunction {
  return { name, ...functionSource(fn), input: schemaFrom(input), output: schemaFrom(output) };
}

/** A text that nobody checked: what the sandbox has to hold on its own. */
export function unchecked(source: string, name = "attack"): PublishedFunction {
  const answer = schemaFrom({ got: "string" });
  return { name, source, hash: hashOfSource(source), input: schemaFrom({ n: "int32" }), output: answer };
}

/** The error of something that must fail. */
export async function failure(
  work: Promise<unknown>,
): Promise<Error & { code: string; details: Record<string, unknown> }> {
  try {
    await work;
  } catch (error) {
    return error as Error & { code: string; details: Record<string, unknown> };
  }
  throw new Error("It did not fail");
}
