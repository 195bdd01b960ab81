/**
 * Divides a window among threads: who asks for less than an equal share leaves the rest to the others, what is left in
 * the end goes to all, and everyone has at least one place, so that no thread ever stands still.
 * @param demands places that each thread uses or waits for.
 */
export function shareOut(window: number, demands: readonly number[]): readonly number[] {
  const shares = demands.map(() => 0);
  const order = demands.map((_, index) => index).sort((a, b) => (demands[a] ?? 0) - (demands[b] ?? 0));
  let left = Math.floor(window);
  for (const [done, index] of order.entries()) {
    const share = Math.max(1, Math.min(demands[index] ?? 0, Math.floor(left / (order.length - done))));
    shares[index] = share;
    left = Math.max(0, left - share);
  }
  const each = demands.length > 0 ? Math.floor(left / demands.length) : 0;
  return shares.map((share) => share + each);
}
