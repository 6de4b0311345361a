/** A growing byte buffer that every encoder of this room writes into. */

/** Bytes under construction: `reserve` first, then write to `bytes` or `view` and move `at`. */
export class ByteWriter {
  bytes: Buffer;
  view: DataView;
  at = 0;

  constructor(size = 1024) {
    this.bytes = Buffer.allocUnsafeSlow(size);
    this.view = viewOf(this.bytes);
  }

  /** Makes room for `count` more bytes; the buffers may be replaced. */
  reserve(count: number): void {
    const needed = this.at + count;
    if (needed <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.at);
    this.bytes = grown;
    this.view = viewOf(grown);
  }

  /** Writes text as UTF-8; gives the number of bytes. */
  text(text: string): number {
    const length = text.length;
    this.reserve(length * 3);
    const { bytes, at } = this;
    // Short ASCII text is the usual key: a loop beats the call into C++.
    let i = 0;
    if (length <= 48) {
      for (; i < length; i++) {
        const code = text.charCodeAt(i);
        if (code >= 0x80) break;
        bytes[at + i] = code;
      }
    }
    const written = i === length ? length : bytes.write(text, at, "utf8");
    this.at = at + written;
    return written;
  }

  /** A copy of what was written from `start` on. */
  copy(start = 0): Uint8Array {
    const copy = Buffer.allocUnsafe(this.at - start);
    this.bytes.copy(copy, 0, start, this.at);
    return copy;
  }
}

/** The bytes as a `DataView`. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The same memory as a `Buffer`. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
