/** Upper and lower case, one code point for one, as engines have it; JavaScript's own maps some to several, and looks at neighbours. */

/** In lower case. */
export function lowerCase(text: string): string {
  return isAscii(text) ? text.toLowerCase() : mapEach(text, lowerOf);
}

/** In upper case. */
export function upperCase(text: string): string {
  return isAscii(text) ? text.toUpperCase() : mapEach(text, upperOf);
}

const isAscii = (text: string): boolean => !/[^\0-\x7f]/.test(text);

function mapEach(text: string, map: (character: string) => string): string {
  let result = "";
  for (const character of text) result += map(character);
  return result;
}

/** Greek letters with iota subscript: their upper case as one character comes eight further, or nine. */
const iotaSteps: readonly (readonly [first: number, last: number, step: number])[] = [
  [0x1f80, 0x1f87, 8],
  [0x1f90, 0x1f97, 8],
  [0x1fa0, 0x1fa7, 8],
  [0x1fb3, 0x1fb3, 9],
  [0x1fc3, 0x1fc3, 9],
  [0x1ff3, 0x1ff3, 9],
];

/** Letters whose other case came with Unicode 16 or later: left alone, because runtimes know them or not. */
const recent: readonly (readonly [first: number, last: number])[] = [
  [0x19b, 0x19b],
  [0x264, 0x264],
  [0x1c89, 0x1c8a],
  [0xa7cb, 0xa7cf],
  [0xa7d2, 0xa7d5],
  [0xa7da, 0xa7dc],
  [0x10d50, 0x10d85],
  [0x16ea0, 0x16ed3],
];

const isRecent = (code: number): boolean => recent.some(([first, last]) => code >= first && code <= last);

function upperOf(character: string): string {
  const code = character.codePointAt(0)!;
  if (code === 0xdf) return "\u1e9e";
  for (const [first, last, step] of iotaSteps) {
    if (code >= first && code <= last) return String.fromCodePoint(code + step);
  }
  return single(character, character.toUpperCase());
}

function lowerOf(character: string): string {
  return character === "\u0130" ? "i" : single(character, character.toLowerCase());
}

/** The mapped character, unless it became several or is too new. */
function single(character: string, mapped: string): string {
  if (mapped === character) return character;
  const code = mapped.codePointAt(0)!;
  if (mapped.length !== String.fromCodePoint(code).length || isRecent(character.codePointAt(0)!) || isRecent(code)) {
    return character;
  }
  return mapped;
}
