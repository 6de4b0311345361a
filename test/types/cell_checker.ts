/** Checks cells of a notebook as tslab does: with its compiler, its settings, and the built package. */
import { createRequire } from "node:module";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/** What the tests use of TypeScript 5.0. */
interface Compiler {
  readonly ModuleKind: { readonly ESNext: number };
  readonly ScriptTarget: { readonly ES2022: number };
  readonly ModuleResolutionKind: { readonly NodeJs: number };
  createDocumentRegistry(): object;
  createLanguageService(host: object, registry: object): LanguageService;
  flattenDiagnosticMessageText(text: unknown, line: string): string;
  displayPartsToString(parts: unknown): string;
  getDefaultLibFilePath(options: object): string;
  readonly ScriptSnapshot: { fromString(text: string): object };
  readonly sys: {
    fileExists(path: string): boolean;
    readFile(path: string): string | undefined;
    readDirectory(path: string): string[];
    directoryExists(path: string): boolean;
    getDirectories(path: string): string[];
    realpath(path: string): string;
  };
  readonly version: string;
}

interface Diagnostic {
  readonly start: number;
  readonly messageText: unknown;
}

interface LanguageService {
  getSyntacticDiagnostics(file: string): Diagnostic[];
  getSemanticDiagnostics(file: string): Diagnostic[];
  getQuickInfoAtPosition(file: string, position: number): { readonly displayParts: unknown } | undefined;
}

const ts = createRequire(join(root, "package.json"))("@tslab/typescript-for-tslab") as Compiler;

/** The compiler's version. */
export const compilerVersion = ts.version;

/** A cell that can be changed, checked, and asked about. */
export class Cell {
  readonly #file = join(root, "notebooks/cell.ts");
  readonly #service: LanguageService;
  #version = 0;
  #code = "";

  constructor() {
    const options = {
      module: ts.ModuleKind.ESNext,
      target: ts.ScriptTarget.ES2022,
      moduleResolution: ts.ModuleResolutionKind.NodeJs,
      lib: ["lib.es2022.d.ts"],
      skipLibCheck: true,
      esModuleInterop: true,
      types: ["node"],
    };
    const { sys } = ts;
    const read = (path: string) => path === this.#file ? this.#code : sys.readFile(path);
    this.#service = ts.createLanguageService({
      getCompilationSettings: () => options,
      getScriptFileNames: () => [this.#file],
      getScriptVersion: (path: string) => path === this.#file ? String(this.#version) : "0",
      getScriptSnapshot(path: string) {
        const text = read(path);
        return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
      },
      getCurrentDirectory: () => join(root, "notebooks"),
      getDefaultLibFileName: () => ts.getDefaultLibFilePath(options),
      fileExists: (path: string) => path === this.#file || sys.fileExists(path),
      readFile: read,
      directoryExists: sys.directoryExists,
      getDirectories: sys.getDirectories,
      realpath: sys.realpath,
    }, ts.createDocumentRegistry());
  }

  /** What is wrong with a cell, by line number from 1 on. */
  check(code: string): Map<number, string> {
    this.#code = code;
    this.#version++;
    const found = [
      ...this.#service.getSyntacticDiagnostics(this.#file),
      ...this.#service.getSemanticDiagnostics(this.#file),
    ];
    const said = new Map<number, string>();
    for (const { start, messageText } of found) {
      const line = code.slice(0, start).split("\n").length;
      const text = ts.flattenDiagnosticMessageText(messageText, "\n");
      said.set(line, said.has(line) ? `${said.get(line)}\n${text}` : text);
    }
    return said;
  }

  /** What an editor shows where the pointer is: at the first place of a text. */
  hover(text: string): string {
    const info = this.#service.getQuickInfoAtPosition(this.#file, this.#code.indexOf(text));
    return ts.displayPartsToString(info?.displayParts ?? []);
  }
}
