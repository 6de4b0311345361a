import { describe, expect, it } from "vitest";
import { hashOfSource } from "../../../sdk/sandbox/function_source.ts";
import { readableSource } from "../../../sdk/sandbox/readable.ts";

const minified =
  "({amount,note,times})=>{const mean=values=>values.reduce((sum,value)=>sum+(value??0),0)/values.length;" +
  "if(amount){mean([])}else if(note){mean([-1])}for(let i=0;i<3;i++){mean(i-+2)}for(const a of times)mean(a);" +
  "const o={a:1,...note,'b-c':`x${amount}z ${{a:1}.a}`},e={};try{mean()}catch{mean(1)}" +
  "class A{#x=1;get(){return this.#x}}return{score:e,band:amount===null?null:amount>3?'high':'low'}}";

const laidOut = [
  "({ amount, note, times }) => {",
  "  const mean = values => values.reduce((sum, value) => sum + (value ?? 0), 0) / values.length;",
  "  if (amount) {",
  "    mean([])",
  "  } else if (note) {",
  "    mean([-1])",
  "  }",
  "  for (let i = 0; i < 3; i++) {",
  "    mean(i - +2)",
  "  }",
  "  for (const a of times)mean(a);",
  "  const o = { a: 1, ...note, 'b-c': `x${amount}z ${ { a: 1 }.a}` }, e = {};",
  "  try {",
  "    mean()",
  "  } catch {",
  "    mean(1)",
  "  }",
  "  class A {",
  "    #x = 1;",
  "    get() {",
  "      return this.#x",
  "    }",
  "  }",
  "  return { score: e, band: amount === null ? null : amount > 3 ? 'high' : 'low' }",
  "}",
];

describe("readableSource", () => {
  it("gives lines to a text without any, and changes nothing else", () => {
    expect(readableSource(minified).split("\n")).toEqual(laidOut);
    expect(hashOfSource(laidOut.join("\n"))).toBe(hashOfSource(minified));
  });

  it("leaves what has lines, what is short, and what it cannot read", () => {
    for (const text of ["(row) => ({ x: 1 })", `(row)=>{\n${"a;".repeat(100)}}`, "(".repeat(200)]) {
      expect(readableSource(text)).toBe(text);
    }
  });

  it.each([
    "a++",
    "b+ +c",
    "b- --c",
    "`  x${`y${{ a: { b: 1 } }.a}  `}  `",
    "/[/}]{2}/g",
    "({}).x",
    "async=1",
    "x=>{}",
    "switch(row){case'a':f();break;default:g()}",
    "of=in_",
    "'use {strict}'",
    "do{f()}while(row)",
    "out:for(;;){break out}",
    "var get={get a(){return 1},set a(v){},async*b(){},[c]:1}",
    "x={if:1,for:2}.if",
    "let y=function(){return 1}()",
  ])("means the same as before: %s", (part) => {
    const text = `(row)=>{let a=1,b,c,x,of;${"a;".repeat(60)}${part};return{a}}`;
    const laid = readableSource(text);
    expect(hashOfSource(laid)).toBe(hashOfSource(text));
    expect(laid.split("\n").length).toBeGreaterThan(60);
  });
});
