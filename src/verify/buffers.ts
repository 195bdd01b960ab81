/** Reusable read buffers of two sizes within a byte budget, so that memory does not grow with the objects. */

export const LARGE_BUFFER_BYTES = 8 * 1024 * 1024;
const SMALL_BUFFER_BYTES = 64 * 1024;

/** What Node, its libraries, two listings and the small buffers take: 125 MiB at most with 150,000 small objects. */
const BASE_BYTES = 128 * 1024 * 1024;

/** How many large buffers fit beside the program itself. One is always there, or large objects could not be read. */
export function largeBuffersFor(memoryBytes: number, concurrency: number): number {
  const fitting = Math.floor((memoryBytes - BASE_BYTES) / LARGE_BUFFER_BYTES);
  return Math.max(1, Math.min(concurrency, fitting));
}

/** Each reader takes at most one buffer at a time, so waiting for one can never deadlock. */
export class BufferPool {
  readonly #large: Buffer[] = [];
  readonly #small: Buffer[] = [];
  readonly #waiting: ((buffer: Buffer) => void)[] = [];
  #largeLeft: number;

  constructor(largeBuffers: number) {
    this.#largeLeft = largeBuffers;
  }

  async take(sizeBytes: number, signal: AbortSignal): Promise<Buffer> {
    signal.throwIfAborted();
    if (sizeBytes <= SMALL_BUFFER_BYTES)
      return this.#small.pop() ?? Buffer.allocUnsafeSlow(SMALL_BUFFER_BYTES);
    const free = this.#large.pop();
    if (free !== undefined) return free;
    if (this.#largeLeft > 0) {
      this.#largeLeft -= 1;
      return Buffer.allocUnsafeSlow(LARGE_BUFFER_BYTES);
    }
    return this.#wait(signal);
  }

  giveBack(buffer: Buffer): void {
    if (buffer.length === SMALL_BUFFER_BYTES) {
      this.#small.push(buffer);
      return;
    }
    const next = this.#waiting.shift();
    if (next === undefined) this.#large.push(buffer);
    else next(buffer);
  }

  #wait(signal: AbortSignal): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const give = (buffer: Buffer): void => {
        signal.removeEventListener('abort', leave);
        resolve(buffer);
      };
      const leave = (): void => {
        const place = this.#waiting.indexOf(give);
        if (place >= 0) this.#waiting.splice(place, 1);
        reject(signal.reason);
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.push(give);
    });
  }
}
