/** The known name that was most likely meant; undefined when none is near. */
function nearestName(wrong: string, known: readonly string[]): string | undefined {
  const plain = simplify(wrong);
  let best: string | undefined;
  // One slip in a short name, up to three in a long one.
  let bestDistance = Math.min(3, Math.floor(plain.length / 3)) + 1;
  for (const name of known) {
    const distance = editDistance(plain, simplify(name));
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

/** `, did you mean …?` or nothing: the end of a sentence about an unknown name. */
export function suggestion(wrong: string, known: readonly string[]): string {
  const nearest = nearestName(wrong, known);
  return nearest === undefined ? '' : `; did you mean "${nearest}"?`;
}

function simplify(name: string): string {
  // Longer names than any parameter has would only cost time.
  return name.slice(0, 64).toLowerCase().replace(/[-_ ]/g, '');
}

/** Insertions, deletions, replacements and swaps of neighbours, each one step. */
function editDistance(left: string, right: string): number {
  let before: readonly number[] = [];
  let above: readonly number[] = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const isSame = left[row - 1] === right[column - 1];
      let least = Math.min(
        (above[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (above[column - 1] ?? 0) + (isSame ? 0 : 1),
      );
      const isSwapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (row > 1 && column > 1 && isSwapped) least = Math.min(least, (before[column - 2] ?? 0) + 1);
      current.push(least);
    }
    before = above;
    above = current;
  }
  return above[right.length] ?? 0;
}
