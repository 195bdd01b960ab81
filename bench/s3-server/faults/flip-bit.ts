/** A copy with one bit turned over; the original may be part of what is stored. */
export function flipBit(piece: Buffer, at: number, bit = 0): Buffer {
  const flipped = Buffer.from(piece);
  flipped[at] = (flipped[at] ?? 0) ^ (1 << (bit & 7));
  return flipped;
}
