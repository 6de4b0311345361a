/** Cuts the bytes that a child writes into frames. */
import { frameHead } from "./child_host.ts";

/** One frame. */
export interface Frame {
  /** Which batch it answers. */
  readonly sequence: number;
  /** What it is. */
  readonly kind: number;
  /** Rows in it. */
  readonly rows: number;
  /** Its body, at the start of its own buffer. */
  readonly body: Uint8Array<ArrayBuffer>;
}

/** Collects bytes until a frame is whole. */
export class FrameReader {
  readonly #maxBytes: number;
  readonly #head: Uint8Array<ArrayBuffer> = new Uint8Array(frameHead);
  #headFilled = 0;
  #body: Uint8Array<ArrayBuffer> | undefined;
  #bodyFilled = 0;

  /** Makes one that refuses a body larger than this. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The frames that are whole with these bytes. Throws when a body is larger than allowed. */
  push(bytes: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    let at = 0;
    while (at < bytes.length) {
      if (this.#body === undefined) {
        const part = bytes.subarray(at, at + frameHead - this.#headFilled);
        this.#head.set(part, this.#headFilled);
        this.#headFilled += part.length;
        at += part.length;
        if (this.#headFilled < frameHead) break;
        const length = new Uint32Array(this.#head.buffer)[0]!;
        if (length > this.#maxBytes) {
          throw new RangeError(`a reply of ${length} bytes, over the limit of ${this.#maxBytes}`);
        }
        this.#body = new Uint8Array(length);
        this.#bodyFilled = 0;
      }
      const part = bytes.subarray(at, at + this.#body.length - this.#bodyFilled);
      this.#body.set(part, this.#bodyFilled);
      this.#bodyFilled += part.length;
      at += part.length;
      if (this.#bodyFilled < this.#body.length) break;
      const [, sequence, kind, rows] = new Uint32Array(this.#head.buffer);
      frames.push({ sequence: sequence!, kind: kind!, rows: rows!, body: this.#body });
      this.#body = undefined;
      this.#headFilled = 0;
    }
    return frames;
  }
}
