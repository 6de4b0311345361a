/** Lays code out: what fits on a line stays on it, what does not is broken where it may be, the outermost first. */

/** Code that may be laid out in several ways. */
export type Doc = string | readonly Doc[] | Line | Group | Indented | Broken;

/** Where a line may end; flat it is this text. `isHard`: it always ends. */
interface Line {
  readonly kind: "line";
  readonly flat: string;
  readonly isHard: boolean;
}

/** Ways to lay the same out, the best first; the last is taken where none fits. */
interface Group {
  readonly kind: "group";
  readonly ways: readonly { readonly doc: Doc; readonly isBroken: boolean }[];
}

interface Indented {
  readonly kind: "indented";
  readonly doc: Doc;
}

/** What is there only where the group around it is broken. */
interface Broken {
  readonly kind: "broken";
  readonly text: string;
}

const softLine: Line = { kind: "line", flat: "", isHard: false };
const spaceLine: Line = { kind: "line", flat: " ", isHard: false };

/** Where a line ends in any case. */
export const hardLine: Doc = { kind: "line", flat: "", isHard: true };

/** What is nested deeper. */
export function indented(doc: Doc): Doc {
  return { kind: "indented", doc };
}

function group(doc: Doc): Group {
  return { kind: "group", ways: [{ doc, isBroken: false }, { doc, isBroken: true }] };
}

function commas(items: readonly Doc[]): Doc {
  return items.map((item, i) => i === 0 ? item : [",", spaceLine, item]);
}

function enclosed(open: string, items: readonly Doc[], close: string, edge: Line): Doc {
  if (items.length === 0) return open + close;
  return [open, indented([edge, commas(items)]), { kind: "broken", text: "," }, edge, close];
}

/** `[a, b]`. */
export function listDoc(items: readonly Doc[]): Doc {
  return group(enclosed("[", items, "]", softLine));
}

/** `{ a: b }`. */
export function recordDoc(entries: readonly Doc[]): Doc {
  return group(enclosed("{", entries, "}", spaceLine));
}

/** `f(a, b)`; a last argument that can be broken is broken before the arguments are put on lines of their own. */
export function callDoc(name: Doc, args: readonly Doc[]): Doc {
  const flat = [name, enclosed("(", args, ")", softLine)];
  const last = args.at(-1);
  const ways = [{ doc: flat, isBroken: true }];
  if (args.some(isLong)) return { kind: "group", ways };
  ways.unshift({ doc: flat, isBroken: false });
  if (typeof last === "object" && "kind" in last && last.kind === "group") {
    const hugged = [name, "(", ...args.slice(0, -1).flatMap((arg): Doc[] => [arg, ", "]), brokenOf(last), ")"];
    ways.splice(1, 0, { doc: hugged, isBroken: false });
  }
  return { kind: "group", ways };
}

/** Whether it is a text of several lines. */
function isLong(doc: Doc): boolean {
  return typeof doc === "string" && doc.includes("\n");
}

function brokenOf({ ways }: Group): Doc {
  return { kind: "group", ways: ways.slice(-1) };
}

/** A chain of calls: on one line where it fits, else each on a line of its own. */
export function chainDoc(head: Doc, links: readonly Doc[]): Doc {
  if (links.length === 0) return head;
  return group([head, indented(links.map((link) => [softLine, link]))]);
}

interface Todo {
  readonly indent: number;
  readonly isBroken: boolean;
  readonly doc: Doc;
}

/** The text, in lines of at most `width` where that can be. */
export function layOut(doc: Doc, width = 120): string {
  const out: string[] = [];
  let column = 0;
  const todo: Todo[] = [{ indent: 0, isBroken: true, doc }];
  const write = (text: string) => {
    out.push(text);
    const end = text.lastIndexOf("\n");
    column = end < 0 ? column + text.length : text.length - end - 1;
  };
  for (let next = todo.pop(); next; next = todo.pop()) {
    const { indent, isBroken, doc } = next;
    if (typeof doc === "string") write(doc);
    else if (!("kind" in doc)) {
      for (let i = doc.length - 1; i >= 0; i--) todo.push({ indent, isBroken, doc: doc[i]! });
    } else if (doc.kind === "indented") todo.push({ indent: indent + 2, isBroken, doc: doc.doc });
    else if (doc.kind === "broken") write(isBroken ? doc.text : "");
    else if (doc.kind === "line") write(isBroken || doc.isHard ? `\n${" ".repeat(indent)}` : doc.flat);
    else {
      const fitting = doc.ways.find((way) => fits({ indent, ...way }, todo, width - column));
      todo.push({ indent, ...fitting ?? doc.ways.at(-1)! });
    }
  }
  return out.join("");
}

/** Whether the rest of the line has room for something and for what follows it up to where the line may end. */
function fits(first: Todo, rest: readonly Todo[], room: number): boolean {
  const todo: Todo[] = [first];
  let after = rest.length;
  while (room >= 0) {
    const next = todo.pop() ?? rest[--after];
    if (!next) return true;
    const { indent, isBroken, doc } = next;
    if (typeof doc === "string") {
      const end = doc.indexOf("\n");
      room -= end < 0 ? doc.length : end;
      if (end >= 0) return room >= 0;
    } else if (!("kind" in doc)) {
      for (let i = doc.length - 1; i >= 0; i--) todo.push({ indent, isBroken, doc: doc[i]! });
    } else if (doc.kind === "indented") todo.push({ indent, isBroken, doc: doc.doc });
    else if (doc.kind === "broken") room -= isBroken ? doc.text.length : 0;
    else if (doc.kind === "group") {
      // Inside of what is tried flat all is flat, but for a group with one way; what comes after may be broken.
      todo.push({ indent, ...(isBroken ? doc.ways.at(-1)! : doc.ways[0]!) });
    } else if (isBroken) return true;
    else if (doc.isHard) return false;
    else room -= doc.flat.length;
  }
  return false;
}
