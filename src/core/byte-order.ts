/**
 * Orders two strings as their UTF-8 bytes would be ordered, which is how every backend lists keys.
 * JavaScript's `<` compares UTF-16 units and so puts U+1F600 (a surrogate pair) before U+FFFD.
 * @returns negative, zero or positive, as `Array.prototype.sort` wants it.
 */
export function compareUtf8(left: string, right: string): number {
  if (left === right) return 0;
  const shared = Math.min(left.length, right.length);
  for (let at = 0; at < shared; at += 1) {
    const a = left.charCodeAt(at);
    const b = right.charCodeAt(at);
    if (a !== b) return utf8Rank(a) - utf8Rank(b);
  }
  return left.length - right.length;
}

/** Surrogates encode code points above U+FFFF, so they rank behind U+E000..U+FFFF. */
function utf8Rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
