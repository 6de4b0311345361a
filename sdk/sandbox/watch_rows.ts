/** Rows that tell when a function asks them for a field that there is not. */
import type { DataType, Row, Schema } from "../schema.ts";

/** A field that was asked for. */
export interface Misread {
  /** Its path. */
  readonly field: string;
  /** What there is instead. */
  readonly message: string;
}

/** Watches one row at a time. */
export interface Watch {
  /** The row to give to the function; what it is asked for until the end is noted. */
  begin(schema: Schema, row: Row): Row;
  /** The first field that was asked for since the beginning and that there is not. */
  end(): Misread | undefined;
}

/** Makes a watch. Its own text is sent to the sandbox: it may use nothing from outside but what every JavaScript engine has. */
export function makeWatch(): Watch {
  const RealProxy = Proxy;
  const reflect = Reflect;
  let isOn = false;
  let found: Misread | undefined;

  function watched(fields: Schema, row: Row, path: string): Row {
    for (const { name, type } of fields) row[name] = watchedValue(type, row[name], `${path}${name}`);
    return new RealProxy(row, {
      get(target, key) {
        // What every object has is no field, nor is what JSON and promises ask of any. It is undefined as it is at a request.
        const isField = typeof key === "string" && !(key in target) && key !== "toJSON" && key !== "then";
        if (isOn && isField) found ??= { field: `${path}${key}`, message: instead(fields, path) };
        return reflect.get(target, key);
      },
    });
  }

  function watchedValue(type: DataType, value: unknown, path: string): unknown {
    if (value === null || typeof type !== "object") return value;
    if ("struct" in type) return watched(type.struct, value as Row, `${path}.`);
    return (value as unknown[]).map((item) => watchedValue(type.list, item, path));
  }

  function instead(fields: Schema, path: string): string {
    const names = fields.map(({ name }) => name).join(", ");
    return path === ""
      ? `which is no input; inputs are ${names}`
      : `which "${path.slice(0, -1)}" does not have; it has ${names}`;
  }

  return {
    begin(schema, row) {
      isOn = true;
      found = undefined;
      return watched(schema, row, "");
    },
    end() {
      isOn = false;
      return found;
    },
  };
}
