/** What text is accepted where a value is read from it, in RE2's syntax, which JavaScript's RegExp shares here. Whole texts must match. */

/** `12`, `-12`, `+12`. */
export const integerText = "[+-]?[0-9]+";

/** `1`, `-1.5`, `.5`, `5.`, `1e-3`, and the words for what is not finite. */
export const floatText =
  "[+-]?(?:[0-9]+(?:\\.[0-9]*)?|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?[iI][nN][fF](?:[iI][nN][iI][tT][yY])?|[nN][aA][nN]";

/** Words for true. */
export const trueTexts: readonly string[] = ["true", "True", "TRUE", "t", "T", "1"];

/** Words for false. */
export const falseTexts: readonly string[] = ["false", "False", "FALSE", "f", "F", "0"];

const day = "[0-9]{4}-[0-9]{2}-[0-9]{2}";

/** `2001-02-28`. */
export const dateText = day;

/** ISO 8601: a day, or a day and a time to the microsecond, with `Z`, an offset, or nothing, which is UTC (S1). */
export const timestampText =
  `${day}(?:[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\\.[0-9]{1,6})?)?(?:Z|[+-](?:0[0-9]|1[0-5]):[0-5][0-9])?)?`;
